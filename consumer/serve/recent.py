"""What is costly to read and asked for every few seconds, by many: read once for all of them, and kept for a moment."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Generic, TypeVar

from consumer import clock
from consumer.serve.problems import ApiProblem

AGE: Final = 1.0  # seconds that an answer may be old
SHARE: Final = 10  # of the time that reading takes it is kept: so at most a tenth of one connection reads
MOST: Final = 50  # that are kept
PATIENCE: Final = 10.0  # seconds that a call waits, for its own reading or for others'
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    until: float


class Recent(Generic[T]):
    """What was read lately, by key. One reads at a time, and who comes meanwhile gets what it has read."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept[T]] = {}
        self._lock = asyncio.Lock()

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Return what *read* returns, or has returned for *key* a moment ago. What it raises is not kept.

        Raises:
            Problem: 503: it took too long.
        """
        try:
            async with asyncio.timeout(PATIENCE), self._lock:
                kept, begun_at = self._kept.pop(key, None), clock.monotonic()
                if kept is None or kept.until < begun_at:
                    value = await read()
                    now = clock.monotonic()
                    kept = _Kept(value, now + max(AGE, SHARE * (now - begun_at)))
                self._kept[key] = kept
                if len(self._kept) > MOST:
                    del self._kept[next(iter(self._kept))]
        except TimeoutError:
            raise ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, "reading this takes too long now: try again") from None
        return kept.value
