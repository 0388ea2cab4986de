"""What is sent. The part that all requests of a channel share is made, and every value in it checked, once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Final

from schemas import headers, urls
from schemas.secret import Secret

USER_AGENT: Final = f"Tollbell/{metadata.version('tollbell')}"
MOST_KEPT: Final = 4096  # channels; some 500 bytes each
_OURS: Final = (
    "accept: */*",
    "accept-encoding: identity",  # 100 kB of gzip may be 100 MB
    f"user-agent: {USER_AGENT}",
)
_ID: Final = re.compile(r"[!-~]{1,256}")  # it would otherwise end its header


class Unsendable(ValueError):
    """The row itself can't be sent; the text says why without its secrets."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection leads, and what is proved on it: requests of the same origin share connections.

    A client certificate, once channels have one, is a further field: its connections must be no other channel's.

    Attributes:
        host: a name, or an IP address without brackets.
        port: never one that webhooks may not go to.
        is_tls: whether the host must prove its name.
    """

    host: str
    port: int
    is_tls: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Where a channel's requests go, and the bytes that all of them begin with."""

    origin: Origin
    head: bytes = field(repr=False)  # has the custom headers' values
    has_trace: bool = False  # the channel has a header `traceparent` of its own


class Targets:
    """Keeps each channel's target until its URL or headers change; of the last `MOST_KEPT` channels that changed."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[_Made, Target]] = {}

    def of(self, channel_id: str, url: str, custom: Mapping[str, Secret], content_type: str) -> Target:
        """Return the target of a channel, for bodies of *content_type*.

        Raises:
            Unsendable: no request can be made of *url* and *custom*.
        """
        made = _Made(url, custom, content_type)
        if (kept := self._kept.get(channel_id)) is not None and kept[0] == made:
            return kept[1]
        target = _target(made)
        self._kept.pop(channel_id, None)
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[channel_id] = (made, target)
        return target


@dataclass(frozen=True, slots=True)
class _Made:
    """What a target was made of."""

    url: str
    custom: Mapping[str, Secret]
    content_type: str


def head(
    target: Target, *, webhook_id: str, timestamp: int, signature: str, length: int, traceparent: str | None = None
) -> bytes:
    """Return the head of one request to *target*, with a body of *length* bytes; as part of a trace, where it is one's.

    A channel's own header `traceparent` goes before the record's.

    Raises:
        Unsendable: *webhook_id* can't be a header's value.
    """
    if not _ID.fullmatch(webhook_id):
        raise Unsendable("the webhook-id has a character that no header may have")
    own = (
        f"webhook-id: {webhook_id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n"
        f"content-length: {length}\r\n"
    )
    if traceparent is not None and not target.has_trace:
        own += f"traceparent: {traceparent}\r\n"
    return target.head + own.encode("ascii") + b"\r\n"


def _target(made: _Made) -> Target:
    if problem := urls.problem(made.url):
        raise Unsendable(f"the URL {problem}")
    if problems := headers.problems(made.custom):
        raise Unsendable(problems[0])
    parts = urls.split(made.url)
    lines = [f"POST {parts.target} HTTP/1.1", f"host: {parts.authority}", *_OURS, f"content-type: {made.content_type}"]
    lines += [f"{name}: {value.reveal()}" for name, value in made.custom.items()]
    has_trace = any(name.lower() == "traceparent" for name in made.custom)
    origin = Origin(parts.host, parts.port, parts.is_tls)
    return Target(origin, "\r\n".join([*lines, ""]).encode("ascii"), has_trace)
