"""What was made a moment ago, for all that look at the same: twenty viewers cost what one does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from consumer import clock
from consumer.serve.api.call import FORESEEN

LASTS: Final = 1.0  # seconds: half of the time between two looks of one viewer
T = TypeVar("T")


@dataclass(slots=True)
class _Made(Generic[T]):
    """What was made, and until when it is good enough; the lock is held while it is made.

    Attributes:
        failures: how often it could not be made.
        failure: why not, the last time.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    value: T | None = None
    until: float = 0.0
    failures: int = 0
    failure: Exception | None = None


class SharedForASecond(Generic[T]):
    """Keeps what is asked for again and again for a second, and makes it once for all that ask at the same time."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], _Made[T]] = {}

    async def get(self, key: tuple[str, ...], make: Callable[[], Awaitable[T]]) -> T:
        """Return what *make* returned for *key* less than a second ago, or returns now.

        What it raises is raised to all that wait for it, and not kept: in turns, each would wait for its own time-out.
        """
        made = self._made.setdefault(key, _Made())
        failures = made.failures
        try:
            async with made.lock:
                if made.failure is not None and made.failures > failures:
                    raise made.failure
                if made.value is None or clock.monotonic() >= made.until:
                    made.value = await self._make(made, make)
                    made.until = clock.monotonic() + LASTS
                return made.value
        finally:
            self._forget()

    async def _make(self, made: _Made[T], make: Callable[[], Awaitable[T]]) -> T:
        try:
            return await make()
        except FORESEEN as exc:
            made.failures, made.failure = made.failures + 1, exc
            raise

    def _forget(self) -> None:
        now = clock.monotonic()
        for key in [key for key, made in self._made.items() if now >= made.until and not made.lock.locked()]:
            del self._made[key]
