"""What many look at is made once; the test's clock decides for how long that is good enough."""

import asyncio

import pytest

from consumer import clock
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
