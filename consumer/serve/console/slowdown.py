"""Wrong tokens are answered late, and few at a time of each address: guessing is slow, and no one else is blocked."""

from collections import Counter
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

from consumer import clock

DELAY: Final = 1.0  # seconds after a wrong token: nothing to a person, a lot to a machine
AT_ONCE: Final = 5  # wrong ones of an address that wait; with the delay, so many guesses a second and process
_PREFIX: Final = 64  # of an IPv6 address: a network has all that begin so


class Slowdown:
    """Keeps wrong tokens waiting.

    While as many of an address wait as may, no other of it is looked at, right or wrong: else a guess that is right
    would be answered at once, and guessing would be as fast as ever. A person who meets that tries again a second
    later. X-Forwarded-For, which any client can write, does not distinguish clients: behind a proxy all have its
    address.
    """

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    def is_full(self, address: str | None) -> bool:
        """Return whether no further token of *address* may be looked at now."""
        return self._waiting[_group(address)] >= AT_ONCE

    async def wrong(self, address: str | None) -> None:
        """Wait: a token of *address* was wrong."""
        group = _group(address)
        self._waiting[group] += 1
        try:
            await clock.sleep(DELAY)
        finally:
            self._waiting[group] -= 1
            if not self._waiting[group]:
                del self._waiting[group]


def _group(address: str | None) -> str:
    """Return what *address* counts as: itself, or its network with IPv6."""
    try:
        known = ip_address((address or "").partition("%")[0])
    except ValueError:  # a socket without a peer
        return ""
    if isinstance(known, IPv4Address):
        return str(known)
    # A socket of both protocols says those of IPv4 as mapped ones.
    return str(known.ipv4_mapped or ip_network((known, _PREFIX), strict=False))
