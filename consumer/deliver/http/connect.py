"""Connections made: a name to addresses, an address that is judged where its socket is made, then TLS."""

import asyncio
import itertools
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver

from consumer.deliver.http import failed, race
from consumer.deliver.http.connection import Connection
from consumer.deliver.http.race import Make, Spare
from consumer.deliver.http.request import Origin


@dataclass(frozen=True, slots=True)
class Connector:
    """Connects to origins.

    Attributes:
        resolver: names to addresses; it must not block the loop, or wait for others' names.
        make_socket: for an address, or raises `AddressRefused`: after it nothing resolves anything any more.
        tls: verifies who answers.
    """

    resolver: AbstractResolver
    make_socket: Make
    tls: ssl.SSLContext

    async def connect(self, origin: Origin, connection: Connection, spare: Spare) -> None:
        """Connect *connection* to *origin*, with sockets of *spare* beside its own.

        Raises:
            Failed: it can't be connected to.
        """
        reached = await race.reached(await self._addresses(origin), self.make_socket, spare)
        connection.is_over(reached)
        # An egress proxy would be reached above in the origin's place, and asked here to CONNECT.
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                sock=reached,
                ssl=self.tls if origin.is_tls else None,
                server_hostname=origin.host if origin.is_tls else None,
            )
        except BaseException as problem:
            # TLS may have been set up in the very turn in which time was up. Its transport goes first: a socket that is
            # closed before leaves its number in asyncio's hands, and the next connection that gets it is broken.
            connection.abort()
            asyncio.get_running_loop().call_soon(reached.close)
            if isinstance(problem, OSError):
                raise failed.of_securing(problem) from problem
            raise

    async def _addresses(self, origin: Origin) -> list[AddrInfoType]:
        try:
            version = ip_address(origin.host).version
        except ValueError:
            pass
        else:
            return [_info(socket.AF_INET if version == 4 else socket.AF_INET6, 0, origin.host, origin.port)]  # noqa: PLR2004
        try:
            found = await self.resolver.resolve(origin.host, origin.port, socket.AF_UNSPEC)
            if not found:
                raise OSError(None, "it has no address")
        except OSError as problem:
            raise failed.of_resolving(_own_lack() or problem) from problem
        infos = [_info(one["family"], one["proto"], one["host"], one["port"]) for one in found]
        return _alternating(infos)


def _info(family: int, protocol: int, host: str, port: int) -> AddrInfoType:
    where = (host, port, 0, 0) if family == socket.AF_INET6 else (host, port)
    return (family, socket.SOCK_STREAM, protocol, "", where)


def _own_lack() -> OSError | None:
    """Return what keeps us from making a socket: without one no name server is asked, and the resolver blames it."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError as problem:
        return problem
    return None


def _alternating(infos: Sequence[AddrInfoType]) -> list[AddrInfoType]:
    """Return *infos* with the families in turn, the first one's first (RFC 8305 section 4)."""
    first = [info for info in infos if info[0] == infos[0][0]]
    others = [info for info in infos if info[0] != infos[0][0]]
    return [info for pair in itertools.zip_longest(first, others) for info in pair if info is not None]
