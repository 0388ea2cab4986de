"""Waiting for servers that are away, until somebody stops us; what `/readyz` says meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from consumer import clock, log
from consumer.errors import Unavailable

RETRY_PAUSE: Final = 1.0  # seconds
Check = Callable[[], str | None]  # why it is not ready, or None
T = TypeVar("T")
logger = log.get("app")


class Stopped(Exception):
    """Somebody stopped us while we waited."""


def failing(checks: Mapping[str, Check]) -> dict[str, str]:
    """Return which of *checks* do not pass, and why not."""
    return {name: why for name, check in checks.items() if (why := check()) is not None}


class Patience:
    """Waits, and says so.

    Attributes:
        checks: what `/readyz` looks at, by name.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self.checks: dict[str, Check] = {}

    async def until(self, name: str, step: Callable[[], Awaitable[T]]) -> T:
        """Return what *step* returns, waiting as long as its server, *name*, is away.

        Raises:
            Stopped: somebody stopped us meanwhile.
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
                await clock.wait(self._stop, RETRY_PAUSE)
            else:
                self.checks.pop(name, None)
                return result
        raise Stopped
