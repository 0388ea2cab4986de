"""Room for large bodies: they are read when they are sent, and few are held at once.

A claim of hundreds of bodies of a megabyte would take as many megabytes, twice where their receivers do not read. Small
ones come with the claim and need no room: 1,000 of them take 32 MiB.

Slow channels have a room of their own, and a channel not yet seen to work has one body at a time in either: so
receivers that hang hold little of what others need. No clock: waits are the caller's to bound.
"""

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

ROOM_BYTES: Final = 64 * 1024 * 1024  # of bodies held at once; what a socket has not taken is held a second time
SLOW_ROOM_BYTES: Final = 16 * 1024 * 1024


class _Waiting(Struct):
    size: int
    granted: "asyncio.Future[None]"


class Room:
    """So many bytes; who asks first is first."""

    def __init__(self, total: int) -> None:
        self._total = self._left = total
        self._waiting: deque[_Waiting] = deque()

    @contextlib.asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Wait for *size* bytes, and have them while the body runs; more than there are means all of them."""
        size = min(size, self._total)
        await self._take(size)
        try:
            yield
        finally:
            self._give_back(size)

    async def _take(self, size: int) -> None:
        if not self._waiting and size <= self._left:
            self._left -= size
            return
        one = _Waiting(size, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        try:
            await one.granted
        except asyncio.CancelledError:
            # Granted a moment ago, or given up, and then others may fit that waited behind it.
            self._give_back(0 if one.granted.cancelled() else size)
            raise

    def _give_back(self, size: int) -> None:
        self._left += size
        while self._waiting and (self._waiting[0].granted.cancelled() or self._waiting[0].size <= self._left):
            one = self._waiting.popleft()
            if not one.granted.cancelled():
                self._left -= one.size
                one.granted.set_result(None)


class Rooms:
    """The room of channels that are not slow, and that of those that are."""

    def __init__(self) -> None:
        self._room, self._slow = Room(ROOM_BYTES), Room(SLOW_ROOM_BYTES)
        self._alone: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def taken(self, channel: str, size: int, *, works: bool, is_slow: bool) -> AsyncIterator[None]:
        """Wait for room for a body of *size* bytes to *channel*, and have it while the body runs.

        Args:
            channel: whose receiver it is for.
            size: of a large one.
            works: whether its last attempt succeeded, and quickly: else it has one at a time.
            is_slow: whether its last attempt took a good part of the timeout, or all of it.
        """
        async with contextlib.AsyncExitStack() as stack:
            if not works:
                await stack.enter_async_context(self._alone.setdefault(channel, asyncio.Lock()))
            await stack.enter_async_context((self._slow if is_slow else self._room).taken(size))
            yield
