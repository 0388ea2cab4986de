"""The loop outlives what a step may meet, and ends when it should."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from consumer import clock, loop, pauses
from consumer.errors import DataRefused, Refused, SourceUnavailable, StoreFailed
from consumer.patience import Check


@pytest.fixture(autouse=True)
async def _in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(10):
        yield


class Step:
    """A duty that meets *ends* one after the other, then sets `stop`."""

    def __init__(self, *ends: Exception | None) -> None:
        self.ends: Sequence[Exception | None] = ends
        self.count = 0
        self.stop = asyncio.Event()

    async def once(self) -> None:
        end = self.ends[self.count]
        self.count += 1
        if self.count == len(self.ends):
            self.stop.set()
        if end is not None:
            raise end


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "DUTY", pauses.Pauses(0.001, 5.0))


async def test_a_step_is_run_again_and_again_until_it_is_to_stop() -> None:
    step = Step(None, None, None)

    await loop.every(step.once, 0, name="tests", stop=step.stop)

    assert step.count == 3


async def test_nothing_is_run_once_it_is_to_stop() -> None:
    step = Step(None)
    step.stop.set()

    await loop.every(step.once, 0, name="tests", stop=step.stop)

    assert step.count == 0


async def test_it_goes_on_after_failures(caplog: pytest.LogCaptureFixture) -> None:
    step = Step(ValueError("hush-hush"), KeyError("x"), None)

    await loop.every(step.once, 0, name="tests", stop=step.stop)

    assert step.count == 3
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["loop.failed"] * 2


async def test_a_server_that_is_away_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tollbell")
    step = Step(*[SourceUnavailable("no broker")] * 4, None)

    await loop.every(step.once, 0, name="tests", stop=step.stop)

    assert [record.message for record in caplog.records] == ["loop.waiting", "loop.resumed"]
    assert caplog.records[1].fields == {"name": "tests", "failures": 4}  # type: ignore[attr-defined]


async def test_a_duty_failing_by_postgres_shows_until_it_works() -> None:
    checks: dict[str, Check] = {}
    failed = StoreFailed("Postgres: XX001: damaged")
    step = Step(failed, failed, SourceUnavailable("no broker"), failed, failed, failed, None)
    shown = []

    async def once() -> None:
        shown.append([check() for check in checks.values()])
        await step.once()

    await loop.every(once, 0, name="sweep", stop=step.stop, checks=checks)

    assert shown == [[], [], [], [], [], [], ["3 times in a row: Postgres: XX001: damaged"]]
    assert checks == {}


async def test_a_duty_failing_by_our_mistake_shows_until_it_works() -> None:
    checks: dict[str, Check] = {}
    step = Step(StoreFailed("Postgres: XX001: damaged"), KeyError("x"), KeyError("hush-hush"), KeyError("x"), None)
    shown = []

    async def once() -> None:
        shown.append([check() for check in checks.values()])
        await step.once()

    await loop.every(once, 0, name="sweep", stop=step.stop, checks=checks)

    assert shown == [[], [], [], ["3 times in a row: KeyError"], ["4 times in a row: KeyError"]]
    assert checks == {}


async def test_a_server_that_goes_away_after_another_failure_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tollbell")
    away = SourceUnavailable("no broker")
    step = Step(KeyError("x"), away, away, StoreFailed("Postgres: XX001: damaged"), away, None)

    await loop.every(step.once, 0, name="tests", stop=step.stop)

    said = [record.message for record in caplog.records]
    assert said == ["loop.failed", "loop.waiting", "loop.failed", "loop.resumed"]


async def test_an_unhandled_failure_is_logged_if_it_is_our_mistake(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "asyncio")
    caplog.set_level("ERROR", "tollbell")
    running = asyncio.get_running_loop()

    def fail(exc: Exception) -> None:
        raise exc

    loop.say_unhandled(running)
    try:
        for exc in (LookupError("hush-hush"), ConnectionResetError(), asyncpg.InterfaceError("closed")):
            running.call_soon(fail, exc)
        for _ in range(3):
            await clock.sleep(0)
    finally:
        running.set_exception_handler(None)

    (line,) = caplog.records
    fields = vars(line)["fields"]
    assert (line.getMessage(), fields["error"]) == ("loop.unhandled", "LookupError")
    assert "fail" in fields["traceback"]
    assert "hush-hush" not in str(fields)


async def test_what_will_not_work_like_this_ends_it() -> None:
    step = Step(None, Refused("the topic is missing"), None)

    with pytest.raises(Refused, match="the topic is missing"):
        await loop.every(step.once, 0, name="tests", stop=step.stop)
    assert step.count == 2


async def test_being_cancelled_ends_it() -> None:
    begun = asyncio.Event()

    async def once() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(loop.every(once, 0, name="tests"))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_waking_it_ends_its_wait() -> None:
    step, wake = Step(None, None), asyncio.Event()
    wake.set()

    await loop.every(step.once, 3600, name="tests", wake=wake, stop=step.stop)

    assert step.count == 2


async def test_stopping_it_ends_its_wait() -> None:
    ran, stop = asyncio.Event(), asyncio.Event()

    async def once() -> None:
        ran.set()

    task = asyncio.create_task(loop.every(once, 3600, name="tests", stop=stop))
    await ran.wait()
    stop.set()

    done, _ = await asyncio.wait({task}, timeout=5)
    assert done == {task}


async def test_a_failing_step_is_not_hurried_by_being_woken() -> None:
    ran, wake, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    count = 0

    async def once() -> None:
        nonlocal count
        count += 1
        wake.set()
        ran.set()
        raise SourceUnavailable("no broker")

    task = asyncio.create_task(loop.every(once, 3600, name="tests", wake=wake, stop=stop))
    await ran.wait()
    stop.set()
    await task

    assert count == 1


async def test_a_duty_that_loses_a_cancellation_is_cancelled_again() -> None:
    begun, lost = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        while True:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:  # as `wait_for` of Python 3.11 may
                if lost.is_set():
                    raise
                lost.set()

    async with asyncio.timeout(10):
        async with loop.beside(stubborn()):
            await begun.wait()

    assert lost.is_set()


@pytest.mark.parametrize("failed", [StoreFailed("Postgres: XX001: damaged"), DataRefused("a row breaks a check")])
async def test_a_failing_statement_is_an_error_each_time_and_retried(
    failed: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    step = Step(failed, failed, None)

    await loop.every(step.once, 0, name="tests", stop=step.stop)

    said = [record for record in caplog.records if record.getMessage() == "loop.failed"]
    assert [record.levelname for record in said] == ["ERROR", "ERROR"]
    assert step.count == 3


async def test_within_says_whether_it_ended_in_time() -> None:
    forever = asyncio.Event()

    async def fails() -> None:
        raise SourceUnavailable("away")

    assert await loop.within(clock.sleep(0), 5)
    assert not await loop.within(_waits(forever), 0)
    with pytest.raises(SourceUnavailable):
        await loop.within(fails(), 5)


async def test_within_does_not_wait_for_what_it_cancels() -> None:
    forever, ended = asyncio.Event(), asyncio.Event()

    async def lingers() -> None:
        try:
            await forever.wait()
        except asyncio.CancelledError:
            await ended.wait()

    is_in_time = await loop.within(lingers(), 0.01)
    ended.set()

    assert not is_in_time


async def _waits(event: asyncio.Event) -> None:
    await event.wait()
