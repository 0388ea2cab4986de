"""Each way in which a receiver is hostile, and what attempts must be called that meet it.

Two ways are not here, for a replica asks the system's own name servers and has no setting for others, nor needs one: a
name that is public first and private then, and a name server that is silent. Both are in
`integration/deliver/test_webhook_addresses.py`, with a name server of the test's own.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tests.support.fakes import Handler, never, read_request
from tests.support.hostile import (
    BROKEN_BODIES,
    CONTINUE,
    ENDLESS_HEADERS,
    NEVER_ANSWERING,
    NOT_HTTP,
    bomb,
    head,
    repeating,
    saying,
)

Place = Literal["port", "full", "closed", "inside"]
Trust = Literal["", "none", "expired", "of another name", "of another authority"]
STATUSES: Final = tuple(status for status in range(200, 600) if status != 410)  # 410 has a channel of its own
BOMB: Final = bomb(100)
EXPIRING: Final = {"expireAfter": "4s"}  # for who asks for an hour's pause: the delivery ends before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way to be hostile.

    Attributes:
        outcome: the class of every attempt.
        status: what the attempts of class `status` show; None: one of `STATUSES` for each event.
        state: what every delivery comes to.
        place: a port with `handler` behind it; one that accepts no connection; a closed one; an address inside.
        trust: what is wrong with its TLS; "": it has none; "none": the URL says it has, and it has none.
        channel: settings of its channel.
    """

    outcome: str
    status: int | None = None
    state: str = "FAILED"
    handler: Handler = never
    place: Place = "port"
    trust: Trust = ""
    channel: Mapping[str, object] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        return "https" if self.trust else "http"


async def each_status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each event with a status of its own, on every attempt; the connection lives on."""
    while True:
        event = json.loads((await read_request(reader)).partition(b"\r\n\r\n")[2])["data"]
        number = int(event["entitlement"]["id"]) * 100 + int(event["threshold"]["value"]) - 1
        status = STATUSES[number % len(STATUSES)]
        length = b"" if status in {204, 304} else b"content-length: 0\r\n"
        writer.write(b"HTTP/1.1 %d X\r\n" % status + length + b"\r\n")


def closing() -> Handler:
    """Return a receiver that closes a used connection under a request: once for each event, which is taken then."""
    met: set[bytes] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_used = False
        while True:
            request = await read_request(reader)
            event = request.lower().partition(b"webhook-id: ")[2].partition(b"\r\n")[0]
            if is_used and event not in met:
                met.add(event)
                return
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            is_used = True

    return handle


async def hanging_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def resetting(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def elsewhere_by_get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """See other: a client that follows, with a GET, gets a 200."""
    request = await reader.readuntil(b"\r\n\r\n")
    writer.write(head(200) if request.startswith(b"GET") else head(303, b"content-length: 0", b"location: /taken"))


async def no_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(head(400))


def redirecting(status: int, to: bytes) -> Kind:
    return Kind(outcome="status", status=status, handler=saying(head(status, b"content-length: 0", b"location: " + to)))


def asking(wish: bytes, **channel: object) -> Kind:
    """Return a receiver that is unavailable and has a *wish* about the next attempt."""
    answer = head(503, b"content-length: 0", b"retry-after: " + wish)
    return Kind(outcome="status", status=503, handler=saying(answer), channel=channel)


HANGING: Final = {
    "accepts no connection": Kind(outcome="timeout", place="full"),
    "hangs in the handshake": Kind(outcome="timeout", trust="none"),
    **{name: Kind(outcome="timeout", handler=handler) for name, handler in NEVER_ANSWERING.items()},
    "hangs in a 503's body": Kind(
        outcome="status", status=503, handler=saying(head(503, b"content-length: 9") + b"no", never)
    ),
    "hangs in a 200's body": Kind(
        outcome="status", status=200, state="SUCCESS", handler=saying(head(200, b"content-length: 9") + b"ok", never)
    ),
}
ENDLESS: Final = {
    **{name: Kind(outcome="timeout", handler=handler) for name, handler in ENDLESS_HEADERS.items()},
    "headers without end": Kind(
        outcome="protocol", handler=saying(b"HTTP/1.1 200 OK\r\n", repeating(b"X: x\r\n" * 10_000))
    ),
    "a header without end": Kind(outcome="protocol", handler=saying(b"HTTP/1.1 200 OK\r\nX: ", repeating(b"x" * 1000))),
    "100-continue without end": Kind(outcome="protocol", handler=saying(b"", repeating(CONTINUE * 10_000))),
    "a body that drips": Kind(
        outcome="status",
        status=503,
        handler=saying(head(503, b"transfer-encoding: chunked"), repeating(b"1\r\nx\r\n", every=0.05)),
    ),
    "a body without end": Kind(outcome="status", status=503, handler=saying(head(503), repeating(b"x" * 2**18))),
    "a body of tiny chunks without end": Kind(
        outcome="status",
        status=503,
        handler=saying(head(503, b"transfer-encoding: chunked"), repeating(b"1\r\nx\r\n" * 40_000)),
    ),
    "a gzip bomb": Kind(
        outcome="status",
        status=503,
        handler=saying(head(503, b"content-encoding: gzip", b"content-length: %d" % len(BOMB)) + BOMB),
    ),
}
BROKEN: Final = {
    **{name: Kind(outcome="protocol", handler=saying(answer)) for name, (answer, _) in NOT_HTTP.items()},
    **{
        name: Kind(outcome="status", status=int(answer[9:12]), state="SUCCESS", handler=saying(answer))
        for name, answer in BROKEN_BODIES.items()
    },
    "headers break off": Kind(outcome="reset", handler=saying(b"HTTP/1.1 200 OK\r\nX: ")),
    "hangs up": Kind(outcome="reset", handler=hanging_up),
    "resets": Kind(outcome="reset", handler=resetting),
    "refuses connections": Kind(outcome="connect", place="closed"),
    "closes under a request": Kind(
        outcome="status", status=200, state="SUCCESS", handler=closing(), channel={"concurrency": 1}
    ),
}
ANSWERING: Final = {
    "410 Gone": Kind(outcome="status", status=410, handler=saying(head(410, b"content-length: 0"))),
    "switches protocols": Kind(
        outcome="status",
        status=101,
        handler=saying(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nmore", never),
    ),
    "redirects to itself": redirecting(307, b"/hook"),
    "redirects inside": redirecting(308, b"http://169.254.169.254/latest"),
    "redirects to a GET": Kind(outcome="status", status=303, handler=elsewhere_by_get),
    "asks for years": asking(b"999999999", **EXPIRING),
    "asks for a far date": asking(b"Fri, 31 Dec 9999 23:59:59 GMT", **EXPIRING),
    "asks for a date of 20 digits": asking(b"Sun, 22 Nov 99999999999999999999 10:05:00 GMT"),
    "asks for the past": asking(b"-86400"),
    "asks in 200 digits": asking(b"9" * 200, **EXPIRING),
    "asks in nonsense": asking(b"\xff\xfe soon"),
}
UNTRUSTED: Final = {
    "expired certificate": Kind(outcome="tls", trust="expired"),
    "certificate of another name": Kind(outcome="tls", trust="of another name"),
    "certificate of another authority": Kind(outcome="tls", trust="of another authority"),
    "plain HTTP on https": Kind(outcome="tls", trust="none", handler=no_handshake),
    "an address inside": Kind(outcome="address", place="inside"),
}
KINDS: Final[Mapping[str, Kind]] = HANGING | ENDLESS | BROKEN | ANSWERING | UNTRUSTED
EVERY_STATUS: Final = Kind(outcome="status", state="", handler=each_status)
