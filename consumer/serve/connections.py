"""Connections to the HTTP server, bounded: in number, and in the time that the head of a request may take.

aiohttp bounds neither: three thousand connections that each send half a head stay open for an hour, and then the
process has no descriptor for Postgres, Kafka or a receiver.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, cast

from aiohttp import web

HEAD_SECONDS: Final = 10.0
KEEPALIVE_SECONDS: Final = 75.0  # of a connection between two requests; aiohttp's own is an hour
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Connections:
    """Bounds the connections of a server.

    Where there are too many, the one that has waited the longest for a request is ended for a new one: so a health
    check gets through, whatever holds the others.
    """

    def __init__(self, most: int, *, head_seconds: float = HEAD_SECONDS) -> None:
        self.head_seconds = head_seconds
        self._most = most
        self._open: dict[asyncio.BaseTransport | None, Connection] = {}
        self._waiting: dict[Connection, None] = {}  # for a request, or the rest of its head; the longest first

    @contextlib.asynccontextmanager
    async def listening(self, app: web.Application, host: str, port: int) -> AsyncIterator[int]:
        """Serve *app* there; give the port.

        Raises:
            OSError: it can't listen there.
        """
        app.middlewares.append(self.working)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS)
        await runner.setup()
        make = cast("Callable[[], asyncio.Protocol]", runner.server)
        try:
            server = await asyncio.get_running_loop().create_server(lambda: Connection(self, make()), host, port)
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                server.close()
        finally:
            await runner.cleanup()

    @web.middleware
    async def working(self, request: web.Request, handler: Handle) -> web.StreamResponse:
        """Answer *request*: its connection is not one that waits, meanwhile. A middleware."""
        connection = self._open.get(request.transport)
        if connection is None:
            return await handler(request)
        self._waiting.pop(connection, None)
        connection.has_head()
        try:
            return await handler(request)
        finally:
            if request.transport in self._open:
                self._waiting[connection] = None
                connection.is_busy = False

    def admits(self, connection: "Connection", transport: asyncio.BaseTransport) -> bool:
        """Return whether there is room for *connection*: made by ending another one, if need be."""
        if len(self._open) >= self._most:
            if not self._waiting:
                return False
            next(iter(self._waiting)).end()
        self._open[transport] = connection
        self._waiting[connection] = None
        return True

    def forget(self, connection: "Connection", transport: asyncio.BaseTransport) -> None:
        """Take note that *connection* has ended."""
        self._open.pop(transport, None)
        self._waiting.pop(connection, None)


class Connection(asyncio.Protocol):
    """One connection: what comes is handed on to aiohttp's own protocol, while heads come in time.

    Attributes:
        is_busy: a request of it is being answered.
    """

    def __init__(self, connections: Connections, serving: asyncio.Protocol) -> None:
        self.is_busy = False
        self._connections = connections
        self._serving = serving
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def has_head(self) -> None:
        """Take note that a request has come: its head was in time."""
        self.is_busy = True
        self._stop_timer()

    def end(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._connections.forget(self, self._transport)
            self._transport.abort()

    # --- what asyncio says -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._connections.admits(self, transport):
            self._transport.abort()
        self._start_timer()
        self._serving.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand on a part of a head, whose time runs, or of a body."""
        if not self.is_busy and self._timer is None:
            self._start_timer()
        self._serving.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on."""
        return self._serving.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        self._stop_timer()
        if self._transport is not None:
            self._connections.forget(self, self._transport)
        self._serving.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on."""
        self._serving.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self._serving.resume_writing()

    # -----------------------------------------------------------------------------------------------------------------

    def _start_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._connections.head_seconds, self.end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
