"""The one loop: run a step again and again, wait between, and outlive what a step may meet.

And the one place where any exception is caught: `survived`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from typing import Final, TypeVar

from consumer import clock, log
from consumer.errors import DataRefused, Refused, StoreFailed, Unavailable
from consumer.patience import Check

CANCEL_AGAIN: Final = 1.0  # seconds: a cancellation may be lost on the way down
FIRST_PAUSE: Final = 0.2  # seconds after a failure; doubled with each further one
LONGEST_PAUSE: Final = 5.0
REPEATED: Final = 3  # failures in a row of the same duty: no passing trouble, so `/readyz` shows it
T = TypeVar("T")
logger = log.get("loop")


async def survived(
    work: Awaitable[T], event: str, /, *, foreseen: tuple[type[Exception], ...], **fields: object
) -> T | Exception:
    """Return what *work* returns, or what it raises that nobody has foreseen: a mistake of ours must not end others.

    That is logged as *event*, with *fields* and its traceback, and counted. What is *foreseen* is raised.
    """
    try:
        return await work
    except foreseen:
        raise
    except Exception as exc:  # noqa: BLE001 - what is foreseen is above; the rest is an open set
        logger.failure(event, exc, **fields)
        return exc


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
    traceback, and tried again, so that one broken duty never stops the others.

    Raises:
        Refused: a server answered, and it will not work like this.
    """
    failures = failed = 0
    while stop is None or not stop.is_set():
        pause = seconds * (1 + clock.jitter() / 10)
        try:
            met = await survived(once(), "loop.failed", foreseen=(Unavailable, DataRefused, Refused), name=name)
        except (Unavailable, DataRefused) as exc:
            _say(name, exc, is_first=not failures)
            failures += 1
            failed = failed + 1 if isinstance(exc, StoreFailed | DataRefused) else 0
            _show(checks, name, f"{failed} times in a row: {exc}" if failed >= REPEATED else None)
        else:
            failed = 0
            _show(checks, name, None)
            if failures and not isinstance(met, Exception):
                logger.info("loop.resumed", name=name, failures=failures)
            failures = failures + 1 if isinstance(met, Exception) else 0
        if failures:
            pause = max(pause, min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE))
        if wake is None or failures:
            await (clock.sleep(pause) if stop is None else clock.wait(stop, pause))
        else:
            await clock.wait(wake, pause)


def _show(checks: MutableMapping[str, Check] | None, name: str, why: str | None) -> None:
    if checks is None:
        return
    if why is None:
        checks.pop(name, None)
    else:
        checks[name] = lambda: why


def _say(name: str, exc: Unavailable | DataRefused, *, is_first: bool) -> None:
    if isinstance(exc, StoreFailed | DataRefused):
        logger.failed("loop.failed", exc, name=name)
    elif is_first:
        logger.warning("loop.waiting", name=name, error=str(exc))


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
