"""Connections to the HTTP server: half a head is ended, too many make room, and requests get through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from consumer import clock
from consumer.serve.connections import Connections

HALF = b"GET /quick HTTP/1.1\r\nHost: x\r\nX: "
WHOLE = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    release: asyncio.Event

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
    release = asyncio.Event()

    async def quick(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response(text="ok")

    app = web.Application()
    app.add_routes([web.get("/quick", quick), web.get("/slow", slow)])
    async with Connections(most, head_seconds=head_seconds).listening(app, "127.0.0.1", 0) as port:
        yield Server(port, release)


async def ended(reader: asyncio.StreamReader, *, seconds: float = 5) -> bool:
    """Whether the other side ends the connection."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read() == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


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
        await clock.sleep(0.3)
        server.release.set()

        assert await asking == 200


async def test_a_connection_between_requests_is_kept() -> None:
    async with serving(head_seconds=0.1) as server:
        reader, writer = await server.connect(WHOLE)
        await reader.readuntil(b"ok")
        await clock.sleep(0.3)

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


async def test_where_every_connection_is_busy_a_new_one_is_refused() -> None:
    async with serving(most=3) as server:
        busy = [asyncio.create_task(server.get("/slow")) for _ in range(3)]
        while server.port and len([task for task in busy if not task.done()]) == 3:
            reader, writer = await server.connect()
            if await ended(reader, seconds=0.1):
                break
            writer.close()
        server.release.set()

        assert await asyncio.gather(*busy) == [200, 200, 200]
        writer.close()
