"""The one loop: run a step again and again, wait between, and outlive what a step may meet.

And the one place where any exception is caught: `survived`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Final, TypeVar

from consumer import clock, log, pauses
from consumer.errors import DataRefused, Refused, StoreFailed, Unavailable
from consumer.patience import Check

CANCEL_AGAIN: Final = 1.0  # seconds: a cancellation may be lost on the way down
REPEATED: Final = 3  # failures in a row of the same duty: no passing trouble, so `/readyz` shows it
# Whose exceptions are about servers: those that matter are met where they are awaited.
THEIRS: Final = frozenset({"aiodns", "aiohttp", "aiokafka", "asyncpg", "pycares"})
T = TypeVar("T")
logger = log.get("loop")


async def survived(
    work: Awaitable[T], event: str, /, *, foreseen: tuple[type[Exception], ...], **fields: object
) -> T | Exception:
    """Return what *work* returns, or what it raises that is not foreseen: a mistake of ours must not end others.

    That is logged as *event*, with *fields* and its traceback, and counted. What is *foreseen* is raised.
    """
    try:
        return await work
    except foreseen:
        raise
    except Exception as exc:  # noqa: BLE001 - what is foreseen is above; the rest is an open set
        logger.failure(event, exc, **fields)
        return exc


def say_unhandled(running: asyncio.AbstractEventLoop) -> None:
    """Have *running* say what a callback, a protocol or a task that is not awaited raises, if it is our mistake.

    asyncio's own log is off (`log.LIBRARIES`): it has a line for each connection that breaks.
    """

    def handle(running: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        exc: BaseException | None = context.get("exception")
        if exc is None or isinstance(exc, OSError) or type(exc).__module__.partition(".")[0] in THEIRS:
            running.default_exception_handler(context)
        else:
            what = context["message"].partition("(")[0]  # what follows are arguments, perhaps secret ones
            logger.failure("loop.unhandled", exc, what=what)

    running.set_exception_handler(handle)


async def every(
    once: Callable[[], Awaitable[object]],
    seconds: float,
    *,
    name: str,
    wake: asyncio.Event | None = None,
    stop: asyncio.Event | None = None,
    checks: MutableMapping[str, Check] | None = None,
) -> None:
    """Run *once*, then wait *seconds* (±10 %, or until *wake* is set), until *stop* is set.

    A step that meets an unavailable server is logged once until it works again, and tried again with growing pauses.
    One whose statement Postgres fails is an error each time, tried again likewise, and after some times in a row one of
    *checks*, which `/readyz` shows, until it works. A step that fails otherwise is our mistake: logged with its
    traceback, tried again, so that one broken duty never stops the others, and shown likewise.

    Raises:
        Refused: a server answered, and it will not work like this.
    """
    failures = failed = away = 0  # in a row: of any kind, those that are shown, and those that are said once
    while stop is None or not stop.is_set():
        pause = seconds * (1 + clock.jitter() / 10)
        try:
            met = await survived(once(), "loop.failed", foreseen=(Unavailable, DataRefused, Refused), name=name)
        except (Unavailable, DataRefused) as exc:
            _say(name, exc, is_first=not away)
            failures += 1
            is_failed = isinstance(exc, StoreFailed | DataRefused)
            failed, away = (failed + 1, away) if is_failed else (0, away + 1)
            _show(checks, name, failed, str(exc))
        else:
            away = 0
            failures, failed = (failures + 1, failed + 1) if isinstance(met, Exception) else _resumed(name, failures)
            _show(checks, name, failed, type(met).__name__)
        if failures:
            pause = max(pause, pauses.DUTY.after(failures))
        if wake is None or failures:
            await (clock.sleep(pause) if stop is None else clock.wait(stop, pause))
        else:
            await clock.wait(wake, pause)


def _resumed(name: str, failures: int) -> tuple[int, int]:
    """Say that it works again after *failures*, if there were any; return the counts of a step that works."""
    if failures:
        logger.info("loop.resumed", name=name, failures=failures)
    return 0, 0


def _show(checks: MutableMapping[str, Check] | None, name: str, failed: int, why: str) -> None:
    if checks is None:
        return
    if failed < REPEATED:
        checks.pop(name, None)
    else:
        checks[name] = lambda: f"{failed} times in a row: {why}"


def _say(name: str, exc: Unavailable | DataRefused, *, is_first: bool) -> None:
    if isinstance(exc, StoreFailed | DataRefused):
        logger.failed("loop.failed", exc, name=name)
    elif is_first:
        logger.warning("loop.waiting", name=name, error=str(exc))


async def within(work: Coroutine[None, None, None], seconds: float) -> bool:
    """Return whether *work* ends within *seconds*; else it is cancelled, and not waited for.

    `asyncio.timeout` waits for its end: 5.5 s where a connection to Postgres hangs, of which the driver wants to know
    that its statement is cancelled. What *work* raises after that is lost.
    """
    task = asyncio.create_task(work, name="within")
    try:
        await asyncio.wait({task}, timeout=max(seconds, 0))
        if task.done():
            task.result()
        return task.done()
    finally:
        task.cancel()


@contextlib.asynccontextmanager
async def beside(*duties: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run *duties* beside the body, and end them with it; one that fails ends the body.

    A duty is cancelled until it ends: `asyncio.wait_for` of Python 3.11 (in aiokafka, asyncpg) loses a cancellation
    that comes together with the result (python/cpython#86296), and a duty that is for ever would go on for ever.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(duty) for duty in duties]
        try:
            yield
        finally:
            running = set(tasks)
            while running:
                for task in running:
                    task.cancel()
                _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN)
