"""What many ask for at once is read once, and kept for a moment."""

import asyncio

import pytest

from consumer import clock
from consumer.errors import StoreUnavailable
from consumer.serve import recent
from consumer.serve.problems import ApiProblem
from consumer.serve.recent import Recent


class Read:
    """Something costly: takes *seconds* of a clock that the test holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 0) -> None:
        self.count, self.now, self._seconds = 0, 1000.0, seconds
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)

    async def __call__(self) -> int:
        self.count += 1
        await clock.sleep(0)
        self.now += self._seconds
        return self.count


async def test_those_who_ask_at_once_are_answered_by_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    read, kept = Read(monkeypatch), Recent[int]()

    assert await asyncio.gather(*(kept.get("rule", read) for _ in range(20))) == [1] * 20
    assert await kept.get("another", read) == 2


@pytest.mark.parametrize(("seconds", "age"), [(0.01, 1), (3, 30)])
async def test_it_is_kept_for_a_second_or_ten_times_as_long_as_it_took(
    monkeypatch: pytest.MonkeyPatch, seconds: float, age: float
) -> None:
    read, kept = Read(monkeypatch, seconds), Recent[int]()
    await kept.get("rule", read)

    read.now += age - 0.01
    assert await kept.get("rule", read) == 1
    read.now += 0.02
    assert await kept.get("rule", read) == 2


async def test_a_reading_that_failed_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    read, kept = Read(monkeypatch), Recent[int]()

    async def fails() -> int:
        raise StoreUnavailable("it is away")

    with pytest.raises(StoreUnavailable):
        await kept.get("rule", fails)
    assert await kept.get("rule", read) == 1


async def test_what_was_asked_for_longest_ago_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    read, kept = Read(monkeypatch), Recent[int]()
    for n in range(recent.MOST):
        await kept.get(n, read)
    await kept.get(0, read)
    await kept.get("new", read)

    assert await kept.get(0, read) == 1
    assert await kept.get(1, read) == recent.MOST + 2


async def test_what_takes_too_long_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "PATIENCE", 0.01)

    async def hangs() -> int:
        await asyncio.Event().wait()
        return 0

    with pytest.raises(ApiProblem, match="takes too long") as caught:
        await Recent[int]().get("rule", hangs)

    assert caught.value.status == 503
