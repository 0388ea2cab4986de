"""What is sent. The part that all requests of a channel share is made, and every value in it checked, once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Final, NamedTuple

from consumer.deliver import signing
from schemas import headers, urls
from schemas.secret import Secret

USER_AGENT: Final = f"Tollbell/{metadata.version('tollbell')}"
MOST_KEPT: Final = 4096  # channels; some 500 bytes each
_OURS: Final = (
    "accept: */*",
    "accept-encoding: identity",  # 100 kB of gzip may be 100 MB
    f"user-agent: {USER_AGENT}",
)
_VISIBLE: Final = re.compile(r"[!-~]+")
_ID: Final = re.compile(r"[!-~]{1,256}")  # it would otherwise end its header


class Unsendable(ValueError):
    """The row itself can't be sent; the text says why without its secrets."""


class Origin(NamedTuple):
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
    keys: Sequence[bytes] = field(repr=False)  # to sign with, the current one first
    has_trace: bool = False  # the channel has a header `traceparent` of its own


_Made = tuple[str, Mapping[str, Secret], str, Sequence[Secret]]


class Targets:
    """Keeps each channel's target until what it is made of changes; of the last `MOST_KEPT` channels that changed."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[_Made, Target]] = {}

    def of(
        self, channel_id: str, url: str, custom: Mapping[str, Secret], content_type: str, secrets: Sequence[Secret]
    ) -> Target:
        """Return the target of a channel, for bodies of *content_type* that *secrets* sign.

        Raises:
            Unsendable: no request can be made of *url* and *custom*.
            Unsignable: one of *secrets* can't be used, or there is none.
        """
        made = (url, custom, content_type, secrets)
        if (kept := self._kept.get(channel_id)) is not None and kept[0] == made:  # most are the very same objects
            return kept[1]
        target = _target(*made)
        self._kept.pop(channel_id, None)
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[channel_id] = (made, target)
        return target


def head(
    target: Target,
    *,
    webhook_id: str,
    timestamp: int,
    signature: str,
    length: int,
    traceparent: str | None = None,
    more: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return the head of one request to *target*, with a body of *length* bytes; as part of a trace, where it is one's.

    *more* are headers of this request alone.

    A channel's own header `traceparent` goes before the record's.

    Raises:
        Unsendable: *webhook_id*, or a value of *more*, can't be a header's value.
    """
    if not _ID.fullmatch(webhook_id):
        raise Unsendable("the webhook-id has a character that no header may have")
    own = (
        f"webhook-id: {webhook_id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n"
        f"content-length: {length}\r\n"
    )
    if traceparent is not None and not target.has_trace:
        own += f"traceparent: {traceparent}\r\n"
    return target.head + (own + _lines(more)).encode("ascii") + b"\r\n"


@dataclass(frozen=True, slots=True)
class OptionsRequest:
    """A request without a body."""

    origin: Origin
    head: bytes = field(repr=False)


def options(url: str, custom: Mapping[str, Secret], more: Sequence[tuple[str, str]]) -> OptionsRequest:
    """Return the request that asks *url* what it allows, with *more* headers beside the channel's own.

    Raises:
        Unsendable: no request can be made of these.
    """
    origin, begin = _begin("OPTIONS", url, custom, [])
    return OptionsRequest(origin, begin + _lines(more).encode("ascii") + b"content-length: 0\r\n\r\n")


def _lines(more: Sequence[tuple[str, str]]) -> str:
    for name, value in more:
        if not _VISIBLE.fullmatch(value):
            raise Unsendable(f"the header {name} has a character that no header may have")
    return "".join(f"{name}: {value}\r\n" for name, value in more)


def _target(url: str, custom: Mapping[str, Secret], content_type: str, secrets: Sequence[Secret]) -> Target:
    has_trace = any(name.lower() == "traceparent" for name in custom)
    origin, begin = _begin("POST", url, custom, [f"content-type: {content_type}"])
    return Target(origin, begin, signing.keys(secrets), has_trace)


def _begin(method: str, url: str, custom: Mapping[str, Secret], more: Sequence[str]) -> tuple[Origin, bytes]:
    """Return where a request to *url* goes, and the bytes that it begins with: *more* lines before the custom ones.

    Raises:
        Unsendable: no request can be made of *url* and *custom*.
    """
    if problem := urls.problem(url):
        raise Unsendable(f"the URL {problem}")
    if problems := headers.problems(custom):
        raise Unsendable(problems[0])
    parts = urls.split(url)
    lines = [f"{method} {parts.target} HTTP/1.1", f"host: {parts.authority}", *_OURS, *more]
    lines += [f"{name}: {value.reveal()}" for name, value in custom.items()]
    return Origin(parts.host, parts.port, parts.is_tls), "\r\n".join([*lines, ""]).encode("ascii")
