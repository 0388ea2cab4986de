"""Connections to the HTTP server: half a head is ended, too many make room, and requests get through."""

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from consumer import clock
from consumer.serve import bodies, problems
from consumer.serve.connections import Connections
from consumer.serve.problems import ApiProblem

HALF = b"GET /quick HTTP/1.1\r\nHost: x\r\nX: "
WHOLE = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /read HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    release: asyncio.Event
    begun: asyncio.Event  # a request of /slow has come; a POST's body perhaps not
    whole: asyncio.Event  # its body has come

    async def connect(self, said: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(said)
        await writer.drain()
        return reader, writer

    async def get(self, path: str = "/quick") -> int:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.status


@asynccontextmanager
async def serving(*, most: int = 100, head_seconds: float = 0.3) -> AsyncIterator[Server]:
    release, begun, whole = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def quick(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def slow(_: web.Request) -> web.Response:
        begun.set()
        await release.wait()
        return web.Response(text="ok")

    async def read(request: web.Request) -> web.Response:
        try:
            return web.Response(body=await bodies.received(request))
        except ApiProblem as problem:
            return problems.response(problem, "1")

    async def read_and_wait(request: web.Request) -> web.Response:
        begun.set()
        body = await bodies.received(request)
        whole.set()
        await release.wait()
        return web.Response(body=body)

    app = web.Application()
    app.add_routes([web.get("/quick", quick), web.get("/slow", slow)])
    app.add_routes([web.post("/read", read), web.post("/slow", read_and_wait)])
    async with Connections(most, head_seconds=head_seconds).listening(app, "127.0.0.1", 0) as port:
        yield Server(port, release, begun, whole)


async def ended(reader: asyncio.StreamReader, *, seconds: float = 5) -> bool:
    """Whether the other side ends the connection."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read() == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


async def has_ended_after(reader: asyncio.StreamReader, begin: bytes) -> bool:
    """Whether the other side says something that begins so, and ends the connection."""
    said = b""
    with contextlib.suppress(ConnectionResetError, TimeoutError):
        async with asyncio.timeout(5):
            while part := await reader.read(65_536):
                said += part
            return said.startswith(begin)
    return said.startswith(begin) and reader.exception() is not None


async def test_half_a_head_is_ended() -> None:
    async with serving() as server:
        begun = clock.monotonic()
        reader, writer = await server.connect(HALF)
        silent, other = await server.connect()

        assert await ended(reader)
        assert await ended(silent)
        assert clock.monotonic() - begun >= 0.3
        writer.close()
        other.close()


async def test_half_a_head_after_a_request_is_ended() -> None:
    async with serving() as server:
        reader, writer = await server.connect(WHOLE)
        await reader.readuntil(b"ok")

        writer.write(HALF)

        assert await ended(reader)
        writer.close()


@pytest.mark.parametrize("begin", [WHOLE, POST + b"123456789", WHOLE * 3], ids=["get", "post", "three"])
async def test_half_a_head_that_came_with_a_request_is_ended(begin: bytes) -> None:
    async with serving() as server:
        reader, writer = await server.connect(begin + HALF)

        assert await has_ended_after(reader, b"HTTP/1.1 200")
        writer.close()


async def test_half_a_head_is_not_timed_during_an_earlier_answer() -> None:
    async with serving(head_seconds=0.3) as server:
        reader, writer = await server.connect(WHOLE.replace(b"quick", b"slow") + HALF)
        await server.begun.wait()
        await clock.sleep(0.6)  # twice what a head may take
        server.release.set()
        answer = await reader.readuntil(b"ok")
        writer.write(b"x\r\n\r\n")

        assert answer.startswith(b"HTTP/1.1 200")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_what_is_no_http_behind_a_request_is_ended() -> None:
    async with serving() as server:
        upgrade = WHOLE.replace(b"Host: x\r\n", b"Host: x\r\nConnection: Upgrade\r\nUpgrade: other\r\n")
        reader, writer = await server.connect(upgrade + HALF)

        assert await has_ended_after(reader, b"HTTP/1.1 200")
        writer.close()


async def test_a_withheld_body_gets_408_and_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    async with serving() as server:
        reader, writer = await server.connect(POST + b"1234")

        async with asyncio.timeout(5):
            said = await reader.read()

        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b"application/problem+json" in head
        assert b"connection: close" in head.lower()
        assert json.loads(body)["detail"] == "the body did not come within 0.2 s"
        writer.close()


async def test_who_withholds_a_body_makes_room() -> None:
    async with serving(most=10, head_seconds=30) as server:
        others = [await server.connect(POST) for _ in range(10)]
        for _ in range(3):
            await server.get()  # each of them has begun to be answered

        for _ in range(5):
            assert await server.get() == 200

        for _, writer in others:
            writer.close()


async def test_connections_between_requests_make_room() -> None:
    async with serving(most=10, head_seconds=30) as server:
        others = [await server.connect(WHOLE) for _ in range(10)]
        for reader, _ in others:
            await reader.readuntil(b"ok")

        assert await server.get() == 200

        for _, writer in others:
            writer.close()


async def test_a_body_that_has_come_late_makes_no_room() -> None:
    async with serving(most=1, head_seconds=30) as server:
        slow = POST.replace(b"/read", b"/slow")
        reader, writer = await server.connect(slow + b"1234")
        await server.begun.wait()
        writer.write(b"56789")
        await server.whole.wait()

        refused, other = await server.connect(WHOLE)
        assert await ended(refused)
        server.release.set()

        assert (await reader.readuntil(b"123456789")).startswith(b"HTTP/1.1 200")
        for one in (writer, other):
            one.close()


async def test_a_head_that_drips_is_ended() -> None:
    async with serving() as server:
        reader, writer = await server.connect(HALF)
        ending = asyncio.create_task(ended(reader))
        while not ending.done():
            writer.write(b"x")
            await clock.sleep(0.02)

        assert await ending
        writer.close()


async def test_a_request_that_takes_long_is_answered() -> None:
    async with serving(head_seconds=0.1) as server:
        asking = asyncio.create_task(server.get("/slow"))
        await server.begun.wait()
        await clock.sleep(0.3)  # three times what a head may take
        server.release.set()

        assert await asking == 200


async def test_a_connection_between_requests_is_kept() -> None:
    async with serving(head_seconds=0.1) as server:
        reader, writer = await server.connect(WHOLE)
        await reader.readuntil(b"ok")
        await clock.sleep(0.3)  # likewise

        writer.write(WHOLE)

        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_requests_get_through_among_thousands_of_half_heads() -> None:
    async with serving(most=50, head_seconds=30) as server:
        others = [await server.connect(HALF) for _ in range(500)]

        assert await server.get() == 200

        open_ones = [reader for reader, _ in others if not reader.at_eof()]
        assert len(open_ones) <= 50
        for _, writer in others:
            writer.close()


async def test_where_every_connection_is_busy_a_new_one_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(most=3) as server:
        busy = [asyncio.create_task(server.get("/slow")) for _ in range(3)]
        while not any(task.done() for task in busy):
            reader, writer = await server.connect()
            if await ended(reader, seconds=0.1):
                break
            writer.close()
        server.release.set()

        assert await asyncio.gather(*busy) == [200, 200, 200]
        writer.close()
    gc.collect()  # a task that is never awaited logs its exception as it is collected
    assert [record.getMessage() for record in caplog.records] == []
