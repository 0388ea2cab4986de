"""Addresses of one host, connected to beside each other (RFC 8305): the first that answers wins.

A name may have hundreds of them, all silent. So few are tried at once; and where those are slow, the next one takes the
place of the one that has been tried the longest, so that a good one at the end is reached all the same.
"""

import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import AddrInfoType

from consumer.deliver.http import failed
from consumer.deliver.http.wire import Wire

NEXT_ADDRESS: Final = 0.25  # seconds until the next address is tried beside the one before (RFC 8305 section 5)
MOST_AT_ONCE: Final = 4
LEAST_SECONDS: Final = 1.5  # that an address has before it makes way: a first packet that was lost is sent again at 1 s
Make = Callable[[AddrInfoType], socket.socket]


class Spare:
    """Sockets that races may have over all, beside one each."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self) -> bool:
        """Take one, if there is one."""
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def give_back(self, count: int) -> None:
        """Let others have *count* of them."""
        self._left += count


async def reached(infos: Sequence[AddrInfoType], make: Make, spare: Spare) -> Wire:
    """Return a socket connected to the first of *infos* that answers; each is begun when the one before fails or lags.

    Raises:
        Failed: none does.
    """
    race = _Race(make, spare)
    left, problems = deque(infos), list[OSError]()
    try:
        while left or race.is_on:
            if left and race.has_room():
                race.begin(left.popleft())
            elif left:
                race.make_room()
            for task in await race.some_ended(NEXT_ADDRESS if left else None):
                try:
                    return task.result()
                except OSError as problem:
                    problems.append(problem)
                except asyncio.CancelledError:  # it has made way
                    problems.append(TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))
        raise failed.of_connecting(problems)
    finally:
        race.end()


class _Race:
    """Addresses that are being connected to, and how many of the spare sockets they have: all of them but one."""

    def __init__(self, make: Make, spare: Spare) -> None:
        self._make = make
        self._spare = spare
        self._running: dict[asyncio.Task[Wire], float] = {}  # and when it began; the first one first

    @property
    def is_on(self) -> bool:
        return bool(self._running)

    def has_room(self) -> bool:
        """Whether one more may begin; then it has its spare socket."""
        return not self._running or (len(self._running) < MOST_AT_ONCE and self._spare.take())

    def begin(self, info: AddrInfoType) -> None:
        task = asyncio.create_task(_connected(info, self._make), name="connect")
        self._running[task] = asyncio.get_running_loop().time()

    def make_room(self) -> None:
        """End the one that has been tried the longest, if that is long enough."""
        oldest, since = next(iter(self._running.items()))
        if asyncio.get_running_loop().time() - since >= LEAST_SECONDS:
            oldest.cancel()

    async def some_ended(self, seconds: float | None) -> Sequence[asyncio.Task[Wire]]:
        """Return those that end first, the one that is connected first of all; none where *seconds* pass."""
        done, _ = await asyncio.wait(self._running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        ended = sorted(done, key=lambda task: task.cancelled() or task.exception() is not None)
        for task in ended[1:]:
            task.add_done_callback(_close)
        self._forget(ended)
        return ended

    def end(self) -> None:
        """End those that are too late, or not wanted any more."""
        for task in self._running:
            task.add_done_callback(_close)
            task.cancel()
        self._forget(list(self._running))

    def _forget(self, ended: Sequence[asyncio.Task[Wire]]) -> None:
        had = max(len(self._running) - 1, 0)
        for task in ended:
            del self._running[task]
        self._spare.give_back(had - max(len(self._running) - 1, 0))


async def _connected(info: AddrInfoType, make: Make) -> Wire:
    family, _, _, _, where = info
    connecting = Wire.of(make(info))
    try:
        connecting.settimeout(0)
        await asyncio.get_running_loop().sock_connect(connecting, where)
    except BaseException as problem:
        connecting.close()
        if family == socket.AF_INET6 and isinstance(problem, OSError) and problem.errno == errno.EADDRNOTAVAIL:
            # This machine has no IPv6 address. Of IPv4 it means that no local port is left.
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH)) from problem
        raise
    return connecting


def _close(task: asyncio.Task[Wire]) -> None:
    """Close what was connected too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
