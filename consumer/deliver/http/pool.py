"""Connections that wait for their next request, bounded by origin and over all; a request takes one, or a new one.

As many are open as requests are in flight, and those that wait: before one is opened that would be one too many, the
one that has waited the longest is ended. Where none waits, we are short of connections, and no receiver is to blame.
"""

import asyncio
from typing import Final, NamedTuple

from consumer import clock
from consumer.decide.outcome import OutcomeClass
from consumer.deliver.http import failed
from consumer.deliver.http.answer import Answer
from consumer.deliver.http.connect import Connector
from consumer.deliver.http.connection import Connection
from consumer.deliver.http.failed import Failed
from consumer.deliver.http.race import Spare
from consumer.deliver.http.request import Origin

KEEPALIVE_SECONDS: Final = 75  # a little more than the 60 s after which common balancers close: they do it, not we
SHARE_OF_ORIGIN: Final = 4  # of all that are open, one in so many may wait for one origin
SHARE_OF_RACES: Final = 8  # of all sockets, one in so many may be tried beside another one of the same connection


class Pool:
    """Safe for many tasks at once. Close it when nothing is in flight."""

    def __init__(self, connector: Connector, most: int) -> None:
        """Make it empty.

        Args:
            connector: makes the connections.
            most: sockets at once, of which some are kept for several addresses of a host; more requests in flight than
                the others fail as our own shortage.
        """
        self._connector = connector
        self._spare = Spare(most // SHARE_OF_RACES)
        self._most = most - most // SHARE_OF_RACES
        self._most_of_origin = max(most // SHARE_OF_ORIGIN, 1)
        self._open: set[Connection] = set()  # and being opened
        self._idle: dict[Connection, _Waits] = {}  # the one that waits the longest first
        self._of: dict[Origin, list[Connection]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    async def exchange(self, origin: Origin, head: bytes, body: bytes, until: float) -> Answer:
        """Send a request to *origin* and return its answer.

        On a used connection that dies before any byte of an answer, the peer has most likely closed it before it saw
        the request: that goes out again at once on a new one, within the same time.

        Args:
            origin: where to.
            head: of the request, whole.
            body: of it.
            until: when to give up, by the loop's clock.

        Raises:
            Failed: there was none.
        """
        if (used := self._take(origin)) is not None:
            try:
                return await self._exchange(used, origin, head, body, until)
            except Failed as why:
                if not why.is_unanswered:
                    raise
        return await self._exchange(await self._new(origin, until), origin, head, body, until)

    async def close(self) -> None:
        """End all connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self._open):
            connection.abort()
        for _ in range(3):  # turns of the loop until their sockets are closed
            await clock.sleep(0)

    async def _exchange(self, connection: Connection, origin: Origin, head: bytes, body: bytes, until: float) -> Answer:
        try:
            answer = await connection.exchange(head, body, until)
        except BaseException:
            connection.abort()  # cancelled in the turn in which a whole answer came: it would be open for ever
            raise
        if connection.is_open:
            self._keep(connection, origin)
        return answer

    async def _new(self, origin: Origin, until: float) -> Connection:
        if len(self._open) >= self._most:
            self._make_room()
        connection = Connection(self._forget)
        self._open.add(connection)
        try:
            async with asyncio.timeout_at(until):
                await self._connector.connect(origin, connection, self._spare)
        except TimeoutError:
            self._forget(connection)
            raise failed.of_timeout() from None
        except BaseException:
            self._forget(connection)
            raise
        return connection

    def _make_room(self) -> None:
        if not self._idle:
            raise Failed(
                OutcomeClass.SHORTAGE, f"this replica is short of resources: {self._most} connections are open"
            )
        oldest = next(iter(self._idle))
        self._forget(oldest)
        oldest.abort()

    def _take(self, origin: Origin) -> Connection | None:
        """Return the connection to *origin* that was used last, the least likely to be closed by its peer; or None."""
        waiting = self._of.get(origin)
        while waiting:
            connection = waiting[-1]
            self._unlist(connection)
            if connection.is_quiet:
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection, origin: Origin) -> None:
        waiting = self._of.setdefault(origin, [])
        if len(waiting) >= self._most_of_origin:
            waiting[0].abort()
            self._unlist(waiting[0])
        waiting.append(connection)
        self._idle[connection] = _Waits(origin, asyncio.get_running_loop().time())
        if self._sweeping is None:
            self._sweep()

    def _forget(self, connection: Connection) -> None:
        """Take note that *connection* has ended, or never began."""
        self._open.discard(connection)
        self._unlist(connection)

    def _unlist(self, connection: Connection) -> None:
        if (waits := self._idle.pop(connection, None)) is not None:
            waiting = self._of[waits.origin]
            waiting.remove(connection)
            if not waiting:
                del self._of[waits.origin]

    def _sweep(self) -> None:
        """End what has waited too long; look again when the next one has."""
        loop = asyncio.get_running_loop()
        self._sweeping = None
        for connection, waits in list(self._idle.items()):
            if waits.since + KEEPALIVE_SECONDS > loop.time():
                self._sweeping = loop.call_at(waits.since + KEEPALIVE_SECONDS, self._sweep)
                return
            self._unlist(connection)
            connection.abort()


class _Waits(NamedTuple):
    origin: Origin
    since: float
