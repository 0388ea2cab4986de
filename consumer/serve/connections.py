"""Connections to the HTTP server, bounded: in number, and in the time that the head of a request may take.

aiohttp bounds neither: three thousand connections that each send half a head stay open for an hour, and then the
process has no descriptor for Postgres, Kafka or a receiver. The time for a body is with who reads it (`bodies`).
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, cast

import httptools
from aiohttp import web

HEAD_SECONDS: Final = 10.0
KEEPALIVE_SECONDS: Final = 75.0  # of a connection between two requests; aiohttp's own is an hour
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Connections:
    """Bounds the connections of a server.

    Where there are too many, the one that has waited the longest for a request, or the rest of one, is ended for a new
    one: so a health check gets through, whatever holds the others.
    """

    def __init__(self, most: int, *, head_seconds: float = HEAD_SECONDS) -> None:
        self.head_seconds = head_seconds
        self._most = most
        self._open: dict[asyncio.BaseTransport | None, IncomingConnection] = {}
        self._waiting: dict[IncomingConnection, None] = {}  # for a request, or the rest of it; the longest first

    @contextlib.asynccontextmanager
    async def listening(self, app: web.Application, host: str, port: int) -> AsyncIterator[int]:
        """Serve *app* there; give the port.

        Raises:
            OSError: it can't listen there.
        """
        app.middlewares.append(self.working)
        # Who is answered before its body has come (413, 408) has as long to take the answer as a head may take.
        runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, lingering_time=self.head_seconds
        )
        await runner.setup()
        make = cast("Callable[[], asyncio.Protocol]", runner.server)
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: IncomingConnection(self, make()), host, port
            )
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                server.close()
        finally:
            await runner.cleanup()

    @web.middleware
    async def working(self, request: web.Request, handler: Handle) -> web.StreamResponse:
        """Answer *request*: once it is whole, its connection is not one that waits, meanwhile. A middleware."""
        connection = self._open.get(request.transport)
        if connection is None:
            return await handler(request)
        connection.begin()
        self._wait(connection)
        request.content.on_eof(functools.partial(self._is_whole, connection))
        try:
            return await handler(request)
        finally:
            if request.transport in self._open:
                self._wait(connection)
                connection.finish()

    def _wait(self, connection: "IncomingConnection") -> None:
        """Have *connection* wait from now on."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def _is_whole(self, connection: "IncomingConnection") -> None:
        """Take note that nothing more of its request is to come; perhaps only after that was answered."""
        if connection.is_busy:
            self._waiting.pop(connection, None)

    def admits(self, connection: "IncomingConnection", transport: asyncio.BaseTransport) -> bool:
        """Return whether there is room for *connection*: made by ending another one, if need be."""
        if len(self._open) >= self._most:
            if not self._waiting:
                return False
            next(iter(self._waiting)).end()
        self._open[transport] = connection
        self._waiting[connection] = None
        return True

    def forget(self, connection: "IncomingConnection", transport: asyncio.BaseTransport) -> None:
        """Take note that *connection* has ended."""
        self._open.pop(transport, None)
        self._waiting.pop(connection, None)


class IncomingConnection(asyncio.Protocol):
    """One connection: what comes is handed on to aiohttp's own protocol, while heads come in time.

    Attributes:
        is_busy: a request of it is being answered.
    """

    def __init__(self, connections: Connections, serving: asyncio.Protocol) -> None:
        self.is_busy = False
        self._connections = connections
        self._serving = serving
        self._heads = _Heads()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Take note that a request is being answered: no head is timed meanwhile, for it may wait for us."""
        self.is_busy = True
        self._time_head()

    def finish(self) -> None:
        """Take note that it has been: half a head may have come behind it."""
        self.is_busy = False
        self._time_head()

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
            self._serving = asyncio.Protocol()  # aiohttp's fails where a connection ends in the turn in which it begins
            self._transport.abort()
            return
        self._time_head()
        self._serving.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand on a part of a head, whose time runs, or of a body."""
        self._heads.feed(data)
        self._time_head()
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

    def _time_head(self) -> None:
        """Have the time of a head run, from its first byte on, while one is on its way and nothing is answered."""
        if self.is_busy or not self._heads.is_one_coming:
            self._stop_timer()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._connections.head_seconds, self.end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Heads:
    """Follows a connection's requests as aiohttp does, with the same llhttp, which does not say how far it is.

    Attributes:
        is_one_coming: the first head is not whole yet, or a byte of a later one has come, and not the last.
    """

    def __init__(self) -> None:
        self.is_one_coming = True
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """Read on."""
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # No HTTP, or no HTTP from here on: whatever comes behind the answer, it has no longer than a head.
            self._parser = None
            self.is_one_coming = True

    def on_message_begin(self) -> None:
        """Note the first byte of a head."""
        self.is_one_coming = True

    def on_headers_complete(self) -> None:
        """Note its last one."""
        self.is_one_coming = False
