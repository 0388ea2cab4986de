"""Waits for a dependency or for shutdown; what `/readyz` says meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from consumer import clock, log, pauses
from consumer.errors import Unavailable

Check = Callable[[], str | None]  # why it is not ready, or None
T = TypeVar("T")
logger = log.get("app")


class Stopped(Exception):
    """The shutdown began while we waited."""


def failing(checks: Mapping[str, Check]) -> dict[str, str]:
    """Return which of *checks* do not pass, and why not."""
    return {name: why for name, check in checks.items() if (why := check()) is not None}


class Outage:
    """Says in the log that something waits: when that begins, again after 1, 3, 7 minutes and so on, and at its end."""

    def __init__(self, say: log.Log, what: str) -> None:
        """Make one whose lines are called *what*`.waiting` and *what*`.resumed`."""
        self._say = say
        self._what = what
        self._began: float | None = None
        self._times = 0
        self._say_at = 0.0

    def met(self, error: str, **fields: object) -> None:
        """Say that it waits, if it was not said just now; however often it is tried meanwhile."""
        now = clock.monotonic()
        if self._began is None:
            self._began, self._times, self._say_at = now, 0, now
        if now < self._say_at:
            return
        since = {"waited_s": round(now - self._began, 1)} if self._times else {}
        self._say.warning(f"{self._what}.waiting", error=error, **fields, **since)
        self._times += 1
        self._say_at = now + pauses.SAY_AGAIN.after(self._times)

    def over(self) -> None:
        """Say that it goes on, and how long it took; nothing where it has not waited."""
        if self._began is not None:
            self._say.info(f"{self._what}.resumed", waited_s=round(clock.monotonic() - self._began, 1))
            self._began = None


class Patience:
    """Waits, and says so.

    Attributes:
        checks: what `/readyz` looks at, by name.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self.checks: dict[str, Check] = {}

    async def until(self, name: str, step: Callable[[], Awaitable[T]]) -> T:
        """Return what *step* returns, waiting as long as its server, *name*, is unavailable.

        Raises:
            Stopped: the shutdown began meanwhile.
            Refused: it answered, and it will not work like this.
        """
        waiting = False
        while not self._stop.is_set():
            try:
                result = await step()
            except Unavailable as exc:
                line = str(exc)
                self.checks[name] = lambda line=line: line  # type: ignore[misc]  # binds this line
                if not waiting:
                    logger.warning("app.waiting", name=name, error=line)
                waiting = True
                await clock.wait(self._stop, pauses.SERVER)
            else:
                self.checks.pop(name, None)
                return result
        raise Stopped
