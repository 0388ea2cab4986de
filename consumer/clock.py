"""The one clock. Everything that asks for the time or waits asks here, so that tests can hold it.

Kinds of time, not to be mixed:

* `now()`: UTC by this machine, for what people read (log lines, attempts' start).
* `monotonic()`: seconds that only grow, for durations and for "is my lease still mine".
* `spent()`: seconds of CPU of this thread, for what a piece of work costs: others' work does not count.
* `DatabaseClock.now()`: UTC by Postgres, for what replicas must agree on (is a record in the future?).
"""

import asyncio
import datetime as dt
import random
import time


def now() -> dt.datetime:
    """Return the time of this machine, aware, in UTC."""
    return dt.datetime.now(dt.UTC)  # noqa: TID251 - the one place


def monotonic() -> float:
    """Return seconds since an arbitrary start; never goes back."""
    return time.monotonic()  # noqa: TID251 - the one place


def spent() -> float:
    """Return the seconds of CPU that this thread has used, since an arbitrary start."""
    return time.thread_time()


async def sleep(seconds: float) -> None:
    """Wait *seconds*."""
    await asyncio.sleep(seconds)  # noqa: TID251 - the one place


def jitter() -> float:
    """Return a number in [-1, 1): the pure judgement of delays takes it as an argument."""
    return random.random() * 2 - 1  # noqa: S311, TID251 - spreads load; guards nothing


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait until *event* is set, at most *seconds*; return whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class DatabaseClock:
    """Postgres' clock, carried forward by our monotonic one between two looks at it."""

    def __init__(self) -> None:
        self._seen = now()
        self._at = monotonic()

    def now(self) -> dt.datetime:
        """Return the database's time as last seen plus what has passed since; this machine's before the first look."""
        return self._seen + dt.timedelta(seconds=monotonic() - self._at)

    def synchronise(self, seen: dt.datetime) -> None:
        """Take *seen*, just read from Postgres, as the truth."""
        self._seen = seen
        self._at = monotonic()
