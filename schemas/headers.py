"""A channel's custom headers: what may be one, checked when it is written and again before it is sent.

aiohttp sends almost anything: a `Transfer-Encoding` beside our Content-Length (request smuggling), a name with a
space, a Content-Length that hangs the request.
"""

import re
from collections.abc import Mapping
from typing import Final

from schemas.secret import Secret

MAX_HEADERS: Final = 50  # servers commonly take 100 in all; ours and the proxies' come on top
MAX_NAME_LENGTH: Final = 256
MAX_VALUE_LENGTH: Final = 4096  # as in the reference product; servers commonly take 8 KiB a line

NAME_PATTERN: Final = r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$"  # the same two for JSON Schema
VALUE_PATTERN: Final = r"^([\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?)?$"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_VALUE: Final = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")  # RFC 9110 section 5.5, ASCII alone

_RESERVED: Final = frozenset(
    {
        # framing and connection: setting these smuggles a request
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # ours
        "accept-encoding",
        "user-agent",
        # what a proxy or a cloud's metadata service would believe
        "cookie",
        "forwarded",
        "metadata",
        "metadata-flavor",
    }
)
_RESERVED_PREFIXES: Final = ("proxy-", "svix-", "webhook-", "x-amz-", "x-forwarded-", "x-goog")


def problem(name: str, value: Secret) -> str | None:
    """Return why the header can't be sent, naming it and never its value, with what to do; or None."""
    if len(name) > MAX_NAME_LENGTH:
        return f"header {name[:40]!r}… has a name of {len(name)} characters: at most {MAX_NAME_LENGTH} are allowed"
    if not _TOKEN.fullmatch(name):
        return f"header {name!r} has a name that HTTP doesn't allow: use letters, digits and hyphens"
    if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_PREFIXES):
        return f"header {name!r} is reserved, Tollbell or the connection sets it: choose another name"
    text = value.reveal()
    if len(text) > MAX_VALUE_LENGTH:
        return f"header {name!r} has a value of {len(text)} characters: at most {MAX_VALUE_LENGTH} are allowed"
    if not _VALUE.fullmatch(text):
        return (
            f"header {name!r} has a value with a line break, a control or non-ASCII character, "
            "or a space at its start or end: take it out"
        )
    return None


def problems(headers: Mapping[str, Secret]) -> list[str]:
    """Return why *headers* can't be a channel's, one text for each problem: too many, the same twice, or a bad one."""
    found = [text for name, value in headers.items() if (text := problem(name, value))]
    if len(headers) > MAX_HEADERS:
        found.append(f"there are {len(headers)} headers: at most {MAX_HEADERS} are allowed")
    seen: set[str] = set()
    for name in headers:
        if name.lower() in seen:
            found.append(f"header {name[:40]!r} is there twice, upper and lower case are the same: remove one")
        seen.add(name.lower())
    return found
