"""Where a webhook may go, judged at the socket: the address that is judged is the one that is connected to.

A look at the name beforehand can be outwitted by a resolver that answers otherwise the second time (DNS
rebinding), and none is asked for literal addresses at all. So the look that is taken when a channel
is made (`url_refusal`) is a courtesy to its maker; what protects is the socket.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from aiohttp import AddrInfoType, AsyncResolver
from aiohttp.abc import AbstractResolver

from schemas import urls

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's special-purpose registry, deprecated ranges, and Azure's platform address. Not `is_global`: Python
# 3.11.7 calls 224.0.0.1, 192.88.99.1, ::7f00:1 and 64:ff9b::a9fe:a9fe global, and its patch releases differ.
_DENIED_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")  # all that IANA has given out
_DENIED_V6: Final = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48")
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
# They hand a machine's credentials to any process on it that asks: AWS (also ECS, EKS), GCP, Azure, Alibaba.
_METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "fd00:ec2::23",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)

REFUSED: Final = "webhooks may not go to this address"
RESOLVE_SECONDS: Final = 2.0  # a person waits for the answer


class AddressRefused(OSError):
    """The address, or the port, is not one that webhooks may go to.

    The text is always the same: more would show the channel's owner how our network looks.
    """

    def __init__(self) -> None:
        super().__init__(REFUSED)


def refusal(address: str, allowed: Sequence[Network]) -> str | None:
    """Return why no webhook may go to *address* (an IP address; a zone is ignored), or None.

    Whatever can't be read is refused. A range in *allowed* opens what is special; a metadata service opens only
    to a range of that one address, since allowing 169.254.0.0/16 is not meant to expose credentials.
    """
    read = _read(address)
    if read is None:
        return "is not an IP address"
    containing = [network for network in allowed if read.version == network.version and read in network]
    if _real(read) in _METADATA:
        is_named = any(network.prefixlen == network.max_prefixlen for network in containing)
        return None if is_named else "is a cloud's metadata service"
    if containing or _is_public(read):
        return None
    return "is private, or reserved for a special purpose"


async def url_refusal(
    url: str,
    allowed: Sequence[Network],
    *,
    resolver: Callable[[], AbstractResolver] = AsyncResolver,
    seconds: float = RESOLVE_SECONDS,
) -> str | None:
    """Return why the deliverer would not go to *url* as things are now, or None.

    A name is refused where every address of it is: any other could be connected to. One that has no address now, or
    whose resolver does not answer within *seconds*, may have one later.
    """
    if literal := urls.literal_address(url):
        reasons = [refusal(str(literal), allowed)]
    else:
        reasons = [refusal(address, allowed) for address in await _resolved(urls.host(url), resolver, seconds)]
    if not reasons or None in reasons:
        return None
    whose = "its host" if literal else "every address of its host"
    return f"{whose} {reasons[0]}: the operator may open its range with TOLLBELL_DELIVERY_ALLOW_CIDRS"


async def is_found(
    url: str, *, resolver: Callable[[], AbstractResolver] = AsyncResolver, seconds: float = RESOLVE_SECONDS
) -> bool:
    """Return whether the host of *url* has an address now, or is one."""
    return bool(urls.literal_address(url) or await _resolved(urls.host(url), resolver, seconds))


async def _resolved(host: str, make: Callable[[], AbstractResolver], seconds: float) -> list[str]:
    resolver = make()
    try:
        async with asyncio.timeout(seconds):
            return [found["host"] for found in await resolver.resolve(host, 0, socket.AF_UNSPEC)]
    except OSError:  # TimeoutError too
        return []
    finally:
        await resolver.close()


def guarded_socket_factory(allowed: Sequence[Network]) -> Callable[[AddrInfoType], socket.socket]:
    """Return what makes a socket for an address, but none for a refused one, or a refused port: `AddressRefused`."""
    ranges = tuple(allowed)

    def make(info: AddrInfoType) -> socket.socket:
        family, stream, protocol, _, where = info
        if refusal(str(where[0]), ranges) or not urls.is_port_allowed(int(where[1])):
            raise AddressRefused
        return socket.socket(family=family, type=stream, proto=protocol)

    return make


def _read(address: str) -> Address | None:
    try:
        read = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = read.ipv4_mapped if isinstance(read, IPv6Address) else None  # ::ffff:0:0/96 is IPv4 on the wire
    return mapped or read


def _real(address: Address) -> Address:
    """Return the IPv4 address that a NAT64 gateway would go to, else *address* itself."""
    if isinstance(address, IPv6Address) and address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _DENIED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _DENIED_V6)
