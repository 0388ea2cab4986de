"""What was made a moment ago, for all that look at the same: twenty viewers cost what one does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from consumer import clock

LASTS: Final = 1.0  # seconds: half of the time between two looks of one viewer
T = TypeVar("T")


@dataclass(slots=True)
class _Made(Generic[T]):
    """What was made, and until when it is good enough; the lock is held while it is made."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    value: T | None = None
    until: float = 0.0


class SharedForASecond(Generic[T]):
    """Keeps what is asked for again and again for a second, and makes it once for all that ask at the same time."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], _Made[T]] = {}

    async def get(self, key: tuple[str, ...], make: Callable[[], Awaitable[T]]) -> T:
        """Return what *make* returned for *key* less than a second ago, or returns now; what it raises is not kept."""
        made = self._made.setdefault(key, _Made())
        async with made.lock:
            if made.value is None or clock.monotonic() >= made.until:
                made.value = await make()
                made.until = clock.monotonic() + LASTS
            value = made.value
        self._forget()
        return value

    def _forget(self) -> None:
        now = clock.monotonic()
        for key in [key for key, made in self._made.items() if now >= made.until and not made.lock.locked()]:
            del self._made[key]
