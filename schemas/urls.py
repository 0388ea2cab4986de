"""A channel's URL: read strictly, so that nothing after us (yarl, aiohttp, the resolver) reads it otherwise.

RFC 3986 and nothing looser: browsers' repairs (stripped tabs, full-width digits, `0x7f000001`) are how an
address that is refused comes in under another spelling.
"""

import functools
import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

MAX_LENGTH: Final = 2048  # characters; what proxies and servers commonly take
UNREADABLE: Final = "(unreadable URL)"

# For JSON Schema: the schemes, the spelling, no user, no fragment, a port. What a host may be is said in words.
PATTERN: Final = (
    r"^[hH][tT][tT][pP][sS]?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(:[0-9]{1,5})?"
    r"([/?]([A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)?$"
)
# RFC 3986 section 2: reserved, unreserved, and well-formed percent escapes. No whitespace, no backslash.
_SPELLING: Final = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?:(?P<userinfo>[^/?#]*)@)?"
    r"(?P<host>\[[^/?#\[\]@]*\]|[^/?#\[\]@:]*)(?::(?P<port>[0-9]*))?"
    r"(?P<target>[/?][^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?"  # with _: Compose names services so
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
NAME_PATTERN: Final = rf"^{_LABEL}(\.{_LABEL})*$"  # for JSON Schema
# The WHATWG URL standard, "ends in a number": what getaddrinfo or a browser would take for an address.
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?", re.DOTALL)


def problem(url: str) -> str | None:
    """Return why *url* can't be a channel's, as the end of a sentence with what to do, or None.

    The text holds nothing of the URL. An address given literally is not judged here, see `literal_address`.
    """
    if len(url) > MAX_LENGTH:
        return f"has {len(url)} characters: at most {MAX_LENGTH} are allowed"
    return _problem(url)


@functools.lru_cache(maxsize=1024)  # asked before each attempt: there are fewer channels than attempts
def _problem(url: str) -> str | None:
    if not _SPELLING.fullmatch(url):
        return (
            "has a character that URLs may not have: percent-encode it, "
            "and write an international host name in its xn-- form"
        )
    parts = _URL.fullmatch(url)
    if parts is None:
        return "is not an absolute URL: write https://host/path"
    return (
        _surplus_problem(parts)
        or _host_problem(parts["host"])
        or (None if is_port_allowed(_port(parts)) else "has a port that is not allowed: 80, 443 or 1024 to 65535")
    )


def is_name(text: str) -> bool:
    """Whether *text* is a host's name, and no address in any spelling."""
    return _NAME.fullmatch(text) is not None and _ENDS_IN_NUMBER.fullmatch(text) is None


def literal_address(url: str) -> IPv4Address | IPv6Address | None:
    """Return the address that *url* names instead of a host name; None for a name, or what can't be read."""
    parts = _URL.fullmatch(url)
    return None if parts is None else _address(parts["host"])


class Parts(NamedTuple):
    """A URL as a request needs it.

    Attributes:
        is_tls: whether the scheme is https.
        host: a name without a full stop at its end, or an address without brackets; in lower case.
        port: given, or the scheme's own.
        authority: what the header Host says: the port only where it is not the scheme's own.
        target: path and query to the letter, at least "/".
    """

    is_tls: bool
    host: str
    port: int
    authority: str
    target: str


def split(url: str) -> Parts:
    """Return the parts of *url*, for which `problem` found none.

    Raises:
        ValueError: `problem` would have found one.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError("not an absolute URL")
    name, port, is_tls = parts["host"].rstrip(".").lower(), _port(parts), parts["scheme"].lower() == "https"
    target = parts["target"] or "/"
    return Parts(
        is_tls,
        name.strip("[]"),
        port,
        name if port == (443 if is_tls else 80) else f"{name}:{port}",
        target if target.startswith("/") else f"/{target}",
    )


def host(url: str) -> str:
    """Return the host of *url*, for which `problem` found none."""
    parts = _URL.fullmatch(url)
    return parts["host"] if parts else ""


@functools.lru_cache(maxsize=1024)  # said of each attempt, likewise
def redacted(url: str) -> str:
    """Return scheme, host and port of *url* alone, for logs: paths and queries of webhooks are often secrets."""
    parts = _URL.fullmatch(url)
    if parts is None or not parts["host"].isprintable():
        return UNREADABLE
    port = f":{parts['port']}" if parts["port"] else ""
    return f"{parts['scheme']}://{parts['host']}{port}"


def is_port_allowed(port: int) -> bool:
    """Whether webhooks may go to *port*: the web's two and the unprivileged; never mail, SSH or DNS."""
    return port in {80, 443} or 1024 <= port <= 65535  # noqa: PLR2004 - registered and dynamic ports, RFC 6335


def _surplus_problem(parts: re.Match[str]) -> str | None:
    if parts["scheme"].lower() not in {"http", "https"}:
        return "has a scheme that is not http or https"
    if parts["userinfo"] is not None:
        return "has a user or password before the host: put it into customHeaders, as Authorization"
    if parts["fragment"] is not None:
        return "has a fragment (#…), which is never sent: leave it out"
    return None


def _host_problem(host: str) -> str | None:
    if not host:
        return "has no host: write https://host/path"
    if _address(host) is not None:
        return None
    if host.startswith("["):
        return "has brackets around what is not an IPv6 address without a zone"
    if _ENDS_IN_NUMBER.fullmatch(host):
        return "has an unusual spelling of an IP address: write four decimal numbers, like 192.0.2.1"
    if not _NAME.fullmatch(host):
        return "has a host that is not a name of letters, digits, hyphens and dots"
    return None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return IPv6Address(host[1:-1]) if host.startswith("[") and "%" not in host else IPv4Address(host)
    except ValueError:
        return None


def _port(parts: re.Match[str]) -> int:
    if parts["port"]:
        return int(parts["port"])
    return 443 if parts["scheme"].lower() == "https" else 80
