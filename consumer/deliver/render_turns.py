"""Bodies that take long to make, one after another, with pauses: a part of this process' time for all of them.

A body is made between two turns of the loop, in which nothing is sent. Of the costliest template there is that takes
40 ms, for each event: 200 of them, eight at a time, made another channel's webhooks wait 9.5 s instead of 1.4.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

from consumer import clock

COSTLY: Final = 0.005  # seconds; bodies of the recipes take 0.03 to 0.12 ms
SHARE: Final = 4  # bodies that are costly take one part in so many of the time
MOST_WAITING: Final = 32  # at once, shared by the costly formats: each holds a slot, which another channel may need
MOST_KNOWN: Final = 256  # costly formats
T = TypeVar("T")


class RenderTurns:
    """Whose turn it is. A format is costly while its last body was; the others wait for nothing."""

    def __init__(self) -> None:
        self._costly: dict[str, None] = {}
        self._turn = asyncio.Lock()
        self._free_at = 0.0  # monotonic
        self._waiting: Counter[str] = Counter()

    async def made(self, fmt: str, make: Callable[[], T]) -> T | None:
        """Return what *make* makes, of the format *fmt*; None where too many wait already, and nothing was made."""
        if fmt not in self._costly:
            return self._timed(fmt, make)
        share = max(MOST_WAITING // len(self._costly), 1)
        if self._waiting[fmt] >= share or self._waiting.total() >= MOST_WAITING:
            return None
        self._waiting[fmt] += 1
        try:
            async with self._turn:
                await clock.sleep(max(self._free_at - clock.monotonic(), 0))
                return self._timed(fmt, make)
        finally:
            self._waiting -= Counter([fmt])  # and keeps none of 0

    def _timed(self, fmt: str, make: Callable[[], T]) -> T:
        began = clock.monotonic()
        made = make()
        ended = clock.monotonic()
        self._costly.pop(fmt, None)
        if ended - began >= COSTLY:
            self._free_at = max(self._free_at, ended) + (ended - began) * (SHARE - 1)
            if len(self._costly) >= MOST_KNOWN:
                del self._costly[next(iter(self._costly))]
            self._costly[fmt] = None
        return made
