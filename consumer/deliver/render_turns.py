"""Bodies that take long to make, one after another, with pauses: a part of this process' time for all of them.

A body is made between two turns of the loop, in which nothing is sent. Of the costliest template there is that takes
40 ms, for each event: 200 of them, eight at a time, made another channel's webhooks wait 9.5 s instead of 1.4.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

from consumer import clock

COSTLY: Final = 0.005  # seconds of CPU; bodies of the recipes take 0.03 to 0.12 ms
IN_A_ROW: Final = 2  # bodies that were costly: one alone may have paid for a collection of garbage
SHARE: Final = 4  # bodies that are costly take one part in so many of the time
MOST_WAITING: Final = 32  # at once, shared by the costly formats: each holds a slot, which another channel may need
MOST_KNOWN: Final = 256  # costly formats
T = TypeVar("T")


class RenderTurns:
    """Whose turn it is. A format is costly while its last bodies were; the others wait for nothing."""

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}  # how many were costly, by format
        self._turn = asyncio.Lock()
        self._free_at = 0.0  # monotonic
        self._waiting: Counter[str] = Counter()

    async def made(self, fmt: str, make: Callable[[], T]) -> T | None:
        """Return what *make* makes, of the format *fmt*; None where too many wait already, and nothing was made."""
        if self._in_a_row.get(fmt, 0) < IN_A_ROW:
            return self._timed(fmt, make)
        share = max(MOST_WAITING // sum(count >= IN_A_ROW for count in self._in_a_row.values()), 1)
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
        before = clock.spent()
        made = make()
        spent = clock.spent() - before
        count = self._in_a_row.pop(fmt, 0)
        if spent >= COSTLY:
            self._free_at = max(self._free_at, clock.monotonic()) + spent * (SHARE - 1)
            if len(self._in_a_row) >= MOST_KNOWN:
                del self._in_a_row[next(iter(self._in_a_row))]
            self._in_a_row[fmt] = count + 1
        return made
