"""A TCP proxy between a replica and a server: it sees every message, and can hold one, cut, freeze or delay."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, Self

from consumer import clock

CHUNK = 65_536
LOOPBACK = "127.0.0.1"


class Wire(Protocol):
    """Reads one connection's bytes, in both directions, as the messages of a protocol."""

    def sent(self, chunk: bytes) -> list[str]:
        """Take what the client sent; return the moments that this is, such as `write.before`."""
        ...

    def answered(self, chunk: bytes) -> list[str]:
        """Take what the server answered; return the moments that this is, such as `write.after`."""
        ...


@dataclass
class Trap:
    """Waits for a moment to come for the *nth* time, and holds it: it is passed on when it is released, or never."""

    moment: str
    nth: int = 1
    came: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def springs(self, moment: str) -> bool:
        """Count *moment*; return whether it is to be held."""
        if moment != self.moment or self.came.is_set():
            return False
        self.nth -= 1
        return self.nth <= 0


class Proxy:
    """Listens at a port of its own and passes on to the server at `port`.

    async with Proxy(5432, PostgresWire) as proxy:
        trap = proxy.set(Trap("write.before"))
        await trap.came.wait()          # held; the replica can be killed at this very moment
        proxy.cut()                     # its connections are gone, new ones are refused
        proxy.mend()
    """

    def __init__(self, to_port: int, wire: Callable[[], Wire], *, port: int = 0) -> None:
        self._to = to_port
        self._wire = wire
        self._wanted_port = port
        self._connections: set[asyncio.Task[None]] = set()
        self._traps: list[Trap] = []
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.delay = 0.0  # seconds, of every chunk in either direction
        self.seen: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self._wanted_port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def set(self, trap: Trap) -> Trap:
        self._traps.append(trap)
        return trap

    def cut(self) -> None:
        """End every connection; new ones are refused."""
        self._is_cut = True
        for task in list(self._connections):
            task.cancel()

    def freeze(self) -> None:
        """Pass nothing on, either way, and end nothing: connections look alive and are not (half-open)."""
        self._flows.clear()

    def mend(self) -> None:
        """Be a cable again. What was frozen flows on; traps are gone."""
        self._is_cut = False
        self.delay = 0.0
        self._traps.clear()
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if not self._is_cut:
                await self._carry(reader, writer)
        except asyncio.CancelledError:
            pass  # cut
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection(LOOPBACK, self._to)
        except OSError:
            return
        wire = self._wire()
        ways = [
            asyncio.ensure_future(self._pump(client, to_server, wire.sent)),
            asyncio.ensure_future(self._pump(server, to_client, wire.answered)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            with _aborted(to_server):
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, moments: Callable[[bytes], list[str]]
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(CHUNK):
                if self.delay:
                    await clock.wait(asyncio.Event(), self.delay)
                await self._flows.wait()
                for moment in moments(chunk):
                    self.seen[moment] = self.seen.get(moment, 0) + 1
                    for trap in [each for each in self._traps if each.springs(moment)]:
                        trap.came.set()
                        await trap.released.wait()  # or the connection is cut
                sink.write(chunk)
                await sink.drain()


@contextlib.contextmanager
def _aborted(writer: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.transport.abort()
