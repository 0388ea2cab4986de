"""The other end of the wire: real servers on 127.0.0.1, at a port of their own.

`Receiver` is a well-behaved customer's endpoint that follows a script; `RawReceiver` is whatever a test makes
of a socket. Nothing here waits for time to pass: tests wait for requests.
"""

import asyncio
import contextlib
import inspect
import ssl
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from multidict import CIMultiDictProxy

from consumer import clock

ANY_PATH = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came: the body's raw bytes, and when by `clock.monotonic()`."""

    method: str
    path: str
    headers: CIMultiDictProxy[str]
    body: bytes
    at: float
    query: str = ""


Reply = int | web.StreamResponse
Answer = Reply | Callable[[Received], Reply | Awaitable[Reply]]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Receiver:
    """A customer's endpoint: a real aiohttp server that keeps every request and answers by a script.

        async with Receiver() as receiver:
            receiver.answer(503, 200)                        # whatever the path: first 503, then 200
            receiver.answer(web.Response(status=429, headers={"retry-after": "7"}), path="/slow")
            receiver.otherwise(500, path="/broken")          # once that path's script has run out
            release = receiver.hold()                        # the next request's 200 waits for release.set()
            ...                                              # deliver to receiver.url("/slow")
            first, second = await receiver.wait_for(2)

    An answer is a status, a `web.Response` (copied for each use), or a callable, plain or async, that gets
    the `Received` and returns one of the two. A path's own script goes before the one for every path; without
    any the answer is 200. A request is in `requests` as soon as its body is there, so before it is answered.

    Attributes:
        requests: all that came, in order of arrival.
        in_flight: how many are not answered yet.
        most_in_flight: the most there ever were at once.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._tls = tls
        self._port = 0
        self._scripts: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._defaults: dict[str, Answer] = {ANY_PATH: 200}
        self._changed = asyncio.Condition()
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        server = web.Server(self._serve, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def port(self) -> int:
        return self._port

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}{path}"

    def answer(self, *answers: Answer, path: str = ANY_PATH) -> None:
        """Add *answers* to the script of *path*: one for each request."""
        self._scripts[path].extend(answers)

    def otherwise(self, answer: Answer, *, path: str = ANY_PATH) -> None:
        """Give *answer* whenever the script of *path* has run out."""
        self._defaults[path] = answer

    def hold(self, *, path: str = ANY_PATH, reply: Reply = 200) -> asyncio.Event:
        """Script one request that is answered, with *reply*, once the returned event is set."""
        release = asyncio.Event()

        async def released(_: Received) -> Reply:
            await release.wait()
            return reply

        self.answer(released, path=path)
        return release

    def at(self, path: str) -> list[Received]:
        """Return what came to *path* until now."""
        return [request for request in self.requests if request.path == path]

    async def wait_for(self, count: int, timeout: float = 30, *, path: str = ANY_PATH) -> list[Received]:  # noqa: ASYNC109 - a test's own
        """Return the requests (of *path*) as soon as there are *count*; fail after *timeout* seconds."""

        def come(requests: Sequence[Received]) -> list[Received]:
            return [request for request in requests if path in {ANY_PATH, request.path}]

        await self.wait_until(lambda requests: len(come(requests)) >= count, timeout)
        return come(self.requests)

    async def wait_until(self, predicate: Callable[[Sequence[Received]], bool], timeout: float = 30) -> None:  # noqa: ASYNC109 - likewise
        """Wait until *predicate*, asked again after each request and each answer, holds of the requests."""
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: predicate(self.requests))
        except TimeoutError:
            came = [f"{request.method} {request.path}" for request in self.requests]
            raise AssertionError(f"not within {timeout} s; {len(came)} requests came: {came[:20]}") from None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        received = Received(
            method=request.method,
            path=request.path,
            headers=request.headers,
            body=await request.content.read(),  # `request.read()` has a limit of its own
            at=clock.monotonic(),
            query=request.query_string,
        )
        self.requests.append(received)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await self._notify()
        try:
            return await _reply(self._next(request.path), received)
        finally:
            self.in_flight -= 1
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _next(self, path: str) -> Answer:
        for script in (self._scripts[path], self._scripts[ANY_PATH]):
            if script:
                return script.popleft()
        return self._defaults.get(path, self._defaults[ANY_PATH])


async def _reply(answer: Answer, received: Received) -> web.StreamResponse:
    if callable(answer):
        made = answer(received)
        return await _reply(await made if inspect.isawaitable(made) else made, received)
    if isinstance(answer, int):
        return web.Response(status=answer)
    if isinstance(answer, web.Response) and isinstance(answer.body, bytes | None):
        # A response can be sent once; a script may name it for many.
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
    return answer


class RawReceiver:
    """A socket that does what *handler* does: for receivers that break HTTP, or TLS, or never answer.

        async def nonsense(reader, writer):
            writer.write(b"I am not HTTP\\r\\n\\r\\n")

        async with RawReceiver(nonsense) as receiver: ...    # deliver to receiver.url()

    The connection is closed when *handler* returns. What still runs at the end is cancelled.

    Attributes:
        connections: how many were accepted.
    """

    def __init__(self, handler: Handler, *, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self._handler = handler
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self._server.wait_closed()

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("not started: use `async with`")
        return int(self._server.sockets[0].getsockname()[1])

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._handle(reader, writer), name="raw-receiver")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, EOFError):  # the other side may hang up whenever it likes
                await self._handler(reader, writer)
                await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return one request's head and body, as they came over the wire."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0]) if lengths else 0)


async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept, and do nothing for ever."""
    await asyncio.Event().wait()
