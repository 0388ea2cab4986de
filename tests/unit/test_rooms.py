"""Room for large bodies: never more than there is, in the order of asking, and little for those that hang."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from consumer import clock
from consumer.deliver import rooms
from consumer.deliver.rooms import Room, Rooms


@pytest.fixture(autouse=True)
async def _in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(10):
        yield


class Holder:
    """Asks for room, and holds it until `go` is called."""

    def __init__(self, room: contextlib.AbstractAsyncContextManager[None]) -> None:
        self.has_it = False
        self.go = asyncio.Event()
        self.task = asyncio.create_task(self._hold(room))

    async def _hold(self, room: contextlib.AbstractAsyncContextManager[None]) -> None:
        async with room:
            self.has_it = True
            await self.go.wait()
        self.has_it = False

    async def ends(self) -> None:
        self.go.set()
        await self.task
        await settled()


async def settled() -> None:
    for _ in range(5):
        await clock.sleep(0)


async def asking(room: Room, *sizes: int) -> list[Holder]:
    holders = [Holder(room.taken(size)) for size in sizes]
    await settled()
    return holders


def having(holders: list[Holder]) -> list[int]:
    return [n for n, one in enumerate(holders) if one.has_it]


async def test_who_asks_first_is_first_though_a_later_one_would_fit() -> None:
    holders = await asking(Room(10), 6, 6, 4)
    first = having(holders)
    await holders[0].ends()

    assert (first, having(holders)) == ([0], [1, 2])


async def test_what_is_larger_than_all_there_is_goes_alone() -> None:
    holders = await asking(Room(10), 1, 99, 1)
    first = having(holders)
    await holders[0].ends()
    then = having(holders)
    await holders[1].ends()

    assert (first, then, having(holders)) == ([0], [1], [2])


async def test_who_gives_up_waiting_lets_the_next_one_in() -> None:
    holders = await asking(Room(10), 6, 9, 4)
    holders[1].task.cancel()
    await settled()

    assert having(holders) == [0, 2]


async def test_all_may_give_up_at_once() -> None:
    room = Room(10)
    holders = await asking(room, 10, 9, 8, 7)
    for one in holders:
        one.task.cancel()
    ended = await asyncio.gather(*(one.task for one in holders), return_exceptions=True)

    assert [type(one) for one in ended] == [asyncio.CancelledError] * 4
    assert having(await asking(room, 10)) == [0]


async def test_who_gives_up_as_it_is_granted_gives_it_back() -> None:
    room = Room(10)
    holders = await asking(room, 10, 10, 10)
    holders[0].go.set()
    await clock.sleep(0)  # the first one is gone, and the second does not know yet
    holders[1].task.cancel()
    await settled()

    assert having(holders) == [2]


async def test_who_fails_gives_it_back() -> None:
    room = Room(10)
    with pytest.raises(ValueError, match="made to fail"):
        async with room.taken(10):
            raise ValueError("made to fail")

    assert having(await asking(room, 10)) == [0]


async def test_slow_channels_hold_none_of_the_others_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "SLOW_ROOM_BYTES", 2)
    monkeypatch.setattr(rooms, "ROOM_BYTES", 3)
    made = Rooms()
    slow = [Holder(made.taken(f"slow-{n}", 1, works=False, is_slow=True)) for n in range(5)]
    well = [Holder(made.taken("well", 1, works=True, is_slow=False)) for n in range(5)]
    await settled()

    assert (having(slow), having(well)) == ([0, 1], [0, 1, 2])


async def test_who_has_not_been_seen_to_work_has_one_at_a_time() -> None:
    made = Rooms()
    holders = [Holder(made.taken("new", 1, works=False, is_slow=False)) for _ in range(3)]
    other = Holder(made.taken("other", 1, works=False, is_slow=False))
    await settled()
    first = having(holders)
    await holders[0].ends()

    assert (first, having(holders), other.has_it) == ([0], [1], True)
