"""What many look at is made once; the test's clock decides for how long that is good enough."""

import asyncio

import pytest

from consumer import clock
from consumer.errors import StoreUnavailable
from consumer.serve.console.recent import LASTS, SharedForASecond


class Maker:
    def __init__(self) -> None:
        self.count = 0
        self.may_go_on = asyncio.Event()

    async def __call__(self) -> int:
        await self.may_go_on.wait()
        self.count += 1
        return self.count


async def test_all_that_ask_at_once_get_what_was_made_once() -> None:
    recent: SharedForASecond[int] = SharedForASecond()
    make = Maker()
    asking = [asyncio.create_task(recent.get(("ns", "/events"), make)) for _ in range(20)]
    make.may_go_on.set()

    assert await asyncio.gather(*asking) == [1] * 20


async def test_after_a_second_it_is_made_again_and_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    recent: SharedForASecond[int] = SharedForASecond()
    make = Maker()
    make.may_go_on.set()
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)

    first = [
        await recent.get(("one", "/"), make),
        await recent.get(("one", "/"), make),
        await recent.get(("two", "/"), make),
    ]
    now += LASTS
    second = await recent.get(("one", "/"), make)

    assert (first, second) == ([1, 1, 2], 3)
    assert list(recent._made) == [("one", "/")]  # noqa: SLF001 - what is old takes no memory


async def test_after_a_failure_the_next_request_makes_it_again() -> None:
    recent: SharedForASecond[int] = SharedForASecond()

    async def fail() -> int:
        raise ConnectionError

    async def make() -> int:
        return 7

    with pytest.raises(ConnectionError):
        await recent.get(("ns", "/"), fail)

    assert await recent.get(("ns", "/"), make) == 7


async def test_all_that_wait_for_what_fails_are_answered_together() -> None:
    recent: SharedForASecond[int] = SharedForASecond()
    made, may_fail = 0, asyncio.Event()

    async def time_out() -> int:
        nonlocal made
        made += 1
        await may_fail.wait()
        raise StoreUnavailable("no answer in time")

    asking = [asyncio.create_task(recent.get(("ns", "/events"), time_out)) for _ in range(20)]
    await asyncio.wait(asking, timeout=0)
    may_fail.set()
    answered = await asyncio.gather(*asking, return_exceptions=True)

    assert [type(one) for one in answered] == [StoreUnavailable] * 20
    assert made == 1
    assert not recent._made  # noqa: SLF001 - a failure takes no memory


async def test_who_waits_for_one_that_goes_away_makes_it_itself() -> None:
    recent: SharedForASecond[int] = SharedForASecond()
    make = Maker()
    first = asyncio.create_task(recent.get(("ns", "/"), make))
    second = asyncio.create_task(recent.get(("ns", "/"), make))
    await asyncio.wait([first, second], timeout=0)
    first.cancel()
    make.may_go_on.set()

    assert await second == 1
