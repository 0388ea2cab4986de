"""Answers of receivers, odd and plain, each with what a sender must make of it however its bytes are cut."""

from dataclasses import dataclass
from typing import Final

STATUSES: Final = (200, 204, 304, 410, 429, 503)
BODYLESS: Final = (204, 304)
WISH: Final = b"Retry-After: 7\r\n"
HELLO: Final = b"hello"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"


@dataclass(frozen=True, slots=True)
class Framed:
    """What follows a status line and `Retry-After`.

    Attributes:
        headers: the others.
        after: what comes after the head.
        body: what is to be kept of it, where the status may have a body.
        is_reusable: a connection may carry another request after it, where the status may have a body.
        is_whole: the answer ends by itself: else the end is the connection's, or a second's wait.
    """

    headers: bytes
    after: bytes
    body: str
    is_reusable: bool
    is_whole: bool = True


FRAMINGS: Final = {
    "no length": Framed(b"", HELLO, "hello", is_reusable=False, is_whole=False),
    "no length, nothing more": Framed(b"", b"", "", is_reusable=False, is_whole=False),
    "to be closed": Framed(b"Connection: close\r\n", HELLO, "hello", is_reusable=False, is_whole=False),
    "length 0": Framed(b"Content-Length: 0\r\n", b"", "", is_reusable=True),
    "length": Framed(b"Content-Length: 5\r\n", HELLO, "hello", is_reusable=True),
    "length and an empty line": Framed(b"Content-Length: 5\r\n", HELLO + b"\r\n", "hello", is_reusable=True),
    "too short a length": Framed(b"Content-Length: 2\r\n", HELLO, "he", is_reusable=False),
    "too long a length": Framed(b"Content-Length: 9\r\n", HELLO, "hello", is_reusable=False, is_whole=False),
    "length 0 and a body": Framed(b"Content-Length: 0\r\n", HELLO, "", is_reusable=False),
    "length and another answer": Framed(
        b"Content-Length: 5\r\n", HELLO + b"HTTP/1.1 500 X\r\nRetry-After: 9\r\n\r\n", "hello", is_reusable=False
    ),
    "chunks": Framed(CHUNKED, b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", "hello", is_reusable=True),
    "chunks and a trailer": Framed(CHUNKED, b"5\r\nhello\r\n0\r\nRetry-After: 9\r\n\r\n", "hello", is_reusable=True),
    "no chunks": Framed(CHUNKED, b"0\r\n\r\n", "", is_reusable=True),
    "chunks and more": Framed(CHUNKED, b"5\r\nhello\r\n0\r\n\r\nhello", "hello", is_reusable=False),
    "chunks without an end": Framed(CHUNKED, b"5\r\nhello\r\n", "hello", is_reusable=False, is_whole=False),
    "a bad chunk": Framed(CHUNKED, b"5\r\nhello\r\nnonsense\r\n", "hello", is_reusable=False),
    "no chunk at all": Framed(CHUNKED, b"zz\r\nhello", "", is_reusable=False),
    "chunks without line ends": Framed(CHUNKED, b"5\r\nhelloXX", "hello", is_reusable=False),
    "a minus for a size": Framed(CHUNKED, b"-5\r\nhello\r\n", "", is_reusable=False),
}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer.

    Attributes:
        said: every byte of it.
        status: that it is; None: it is not HTTP.
        why: it is not, or a part of that.
        body: that is kept.
        retry_after: that is asked for.
        is_reusable: whether the connection may carry another request.
        is_whole: see `Framed`.
    """

    said: bytes
    status: int | None = None
    why: str = ""
    body: str = ""
    retry_after: bytes | None = None
    is_reusable: bool = False
    is_whole: bool = True


def framed(status: int, framing: Framed, *, before: bytes = b"") -> Said:
    head = before + b"HTTP/1.1 %d X\r\n" % status + WISH + framing.headers + b"\r\n"
    if status in BODYLESS:  # the head is the end, whatever it announces: then more may come, and not be an answer
        is_reusable = not framing.after and framing.headers in {b"", b"Content-Length: 0\r\n"}
        return Said(head + framing.after, status, body="", retry_after=b"7", is_reusable=is_reusable)
    return Said(head + framing.after, status, "", framing.body, b"7", framing.is_reusable, framing.is_whole)


def ok(head: bytes, *, body: str = "", **more: bool) -> Said:
    return Said(head, 200, body=body, **more)


CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
EARLY: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nRetry-After: 9\r\n\r\n"
PLAIN: Final = FRAMINGS["length"]
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"

ODD: Final = {
    "a 204 that announces chunks": Said(b"HTTP/1.1 204 X\r\n" + CHUNKED + b"\r\n", 204),
    "a 304 that announces a length": Said(b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n", 304),
    "after 100": framed(200, PLAIN, before=CONTINUE),
    "after 103 with headers of its own": framed(200, PLAIN, before=EARLY),
    "after sixteen informational ones": framed(200, PLAIN, before=CONTINUE * 16),
    "after an unknown informational one": framed(503, PLAIN, before=b"HTTP/1.1 199 Nearly\r\n\r\n"),
    "after empty lines": framed(429, PLAIN, before=b"\r\n\r\n\n"),
    "without a reason": ok(b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", body="hello", is_reusable=True),
    "bare line feeds": ok(b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", body="hello", is_reusable=True),
    "HTTP/1.0": ok(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", body="hello"),
    "HTTP/1.0 without an end": ok(b"HTTP/1.0 200 OK\r\n\r\nhello", body="hello", is_whole=False),
    "HTTP/1.0 that is kept": ok(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", body="hello", is_reusable=True
    ),
    "an upgrade that is not asked for": ok(
        OK + b"Connection: Upgrade\r\nUpgrade: h2,h2c\r\n\r\nhello", body="hello", is_reusable=True
    ),
    "switching protocols": Said(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nmore", 101),
    "bytes in a value": ok(OK + b"X: \xff\xfe\x01\r\n\r\nhello", body="hello", is_reusable=True),
    "an empty value": ok(OK + b"X:\r\n\r\nhello", body="hello", is_reusable=True),
    "a header of 9 kB": ok(
        OK + b"Content-Security-Policy: " + b"x" * 9000 + b"\r\n\r\nhello", body="hello", is_reusable=True
    ),
    "a head of 60 kB": ok(OK + b"X: %s\r\n" % (b"x" * 990) * 60 + b"\r\nhello", body="hello", is_reusable=True),
    "latin-1": Said(
        b"HTTP/1.1 500 X\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Length: 2\r\n\r\n\xe9\xe8",
        500,
        body="éè",
        is_reusable=True,
    ),
    "length 0 twice": Said(b"HTTP/1.1 410 X\r\nContent-Length: 0\r\ncontent-length:0\r\n\r\n", 410, is_reusable=True),
    "length 0 twice in one line": Said(b"HTTP/1.1 410 X\r\nContent-Length: 0, 0\r\n\r\n", 410, is_reusable=True),
    "a length three times": Said(
        b"HTTP/1.1 429 X\r\nContent-Length: 5\r\n" + WISH + b"Content-Length: 5,5\n\r\nhello",
        429,
        body="hello",
        retry_after=b"7",
        is_reusable=True,
    ),
    "an unknown charset": Said(
        b"HTTP/1.1 500 X\r\nContent-Type: text/plain; charset=nonsense\r\nContent-Length: 2\r\n\r\n\xc3\xa9",
        500,
        body="é",
        is_reusable=True,
    ),
    "a charset that is none": Said(
        b"HTTP/1.1 500 X\r\nContent-Type: text/plain; charset=unicode_escape\r\nContent-Length: 4\r\n\r\n\\x41",
        500,
        body="\\x41",
        is_reusable=True,
    ),
    "a NUL": Said(b"HTTP/1.1 500 X\r\nContent-Length: 1\r\n\r\n\0", 500, body="\ufffd", is_reusable=True),
    "long": ok(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000, body="x" * 4096, is_reusable=True),
    "endless": ok(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 40_000, body="x" * 4096),
    "endless in tiny chunks": ok(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n" + b"1\r\nx\r\n" * 7000, body="x" * 4096),
    # What is not HTTP.
    "another protocol": Said(b"I am not HTTP\r\n\r\n", why="bad status line"),
    "HTTP/0.9": Said(b"<html>This is HTTP/0.9</html>", why="bad status line"),
    "RTSP": Said(b"RTSP/1.0 200 OK\r\n\r\n", why="bad status line"),
    "ICE": Said(b"ICE/1.0 200 OK\r\n\r\n", why="bad status line"),
    "RTSP after 100": Said(CONTINUE + b"RTSP/1.0 200 OK\r\n\r\n", why="bad status line"),
    "a TLS alert": Said(b"\x15\x03\x01\x00\x02\x02\x46", why="speaks TLS on this port"),
    "HTTP/2": Said(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04", why="bad status line"),
    "two lengths in one line": Said(b"HTTP/1.1 200 OK\r\nContent-Length: 0, 5\r\n\r\n", why="content-length"),
    "a length twice and another": Said(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", why="content-length"
    ),
    "a folded length twice": Said(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n 5\r\n\r\n", why="content-length"
    ),
    "a length twice and chunks": Said(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n", why="content-length"
    ),
    "status 999": Said(b"HTTP/1.1 999 X\r\n\r\n", why="answered with the status 999"),
    "status 600": Said(b"HTTP/1.1 600 X\r\n\r\n", why="answered with the status 600"),
    "status 099": Said(b"HTTP/1.1 099 X\r\n\r\n", why="answered with the status 99"),
    "status of four digits": Said(b"HTTP/1.1 2000 OK\r\n\r\n", why="not HTTP"),
    "status of two digits": Said(b"HTTP/1.1 20 OK\r\n\r\n", why="not HTTP"),
    "no status": Said(b"HTTP/1.1 OK\r\n\r\n", why="not HTTP"),
    "a negative length": Said(b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", why="content-length"),
    "two lengths": Said(OK + b"Content-Length: 6\r\n\r\nhello", why="content-length"),
    "length and chunks": Said(OK + CHUNKED + b"\r\n0\r\n\r\n", why="not HTTP"),
    "a header without a colon": Said(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", why="not HTTP"),
    "seventeen informational ones": Said(CONTINUE * 17 + OK + b"\r\nhello", why="too much came before an answer"),
    "a head of 66 kB": Said(OK + b"X: %s\r\n" % (b"x" * 990) * 67 + b"\r\nhello", why="more than 65536 bytes"),
    "a head without end": Said(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, why="more than 65536 bytes"),
    "empty lines without end": Said(b"\r\n" * 40_000, why="empty lines"),
}

ANSWERS: Final = {
    f"{status}, {name}": framed(status, framing) for status in STATUSES for name, framing in FRAMINGS.items()
} | ODD
