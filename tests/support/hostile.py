"""Receivers that break HTTP, or drip, or never end, as handlers of a `RawReceiver`."""

import asyncio
import gzip
from typing import Final

from consumer import clock
from tests.support.fakes import Handler, never, read_request

MEBIBYTE: Final = 2**20


def saying(answer: bytes, then: Handler | None = None) -> Handler:
    """Return a receiver that answers so whatever it is sent."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()
        if then is not None:
            await then(reader, writer)

    return handle


def repeating(part: bytes, *, every: float = 0) -> Handler:
    """Return a receiver that writes *part* for ever, with a pause of *every* seconds between."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pause = asyncio.Event()
        while True:
            writer.write(part)
            await writer.drain()
            # A flood is not to wait for its turn: on a busy machine it would be a drip, and met by a timeout.
            if every:
                await clock.wait(pause, every)

    return handle


def head(status: int, *headers: bytes) -> bytes:
    """Return the head of a last answer on a connection."""
    return b"\r\n".join([b"HTTP/1.1 %d X" % status, b"connection: close", *headers, b"", b""])


def bomb(mebibytes: int) -> bytes:
    """Return a body of *mebibytes*, packed small: gzip of several parts is gzip."""
    return gzip.compress(b"\0" * MEBIBYTE, 1) * mebibytes


# Name, what is said, and what an attempt says of it.
NOT_HTTP: Final = {
    "is not HTTP": (b"I am not HTTP\r\n\r\n", "bad status line"),
    "is HTTP/0.9": (b"<html>HTTP/0.9 says this</html>", "bad status line"),
    "status 999": (b"HTTP/1.1 999 Nonsense\r\nconnection: close\r\n\r\n", "the status 999"),
    "status 600": (b"HTTP/1.1 600 Nonsense\r\nconnection: close\r\n\r\n", "the status 600"),
    "status 099": (b"HTTP/1.1 099 Nonsense\r\nconnection: close\r\n\r\n", "the status 99"),
    "status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", ""),
    "negative length": (b"HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\n", "content-length"),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        "duplicate content-length",
    ),
    "length and chunks": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding",
    ),
    "RTSP": (b"RTSP/1.0 200 OK\r\n\r\n", "bad status line"),
    "header of 70 kB": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "more than 65536 bytes"),
    "200,000 headers": (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200_000 + b"\r\n", "more than 65536 bytes"),
}
# Answers all the same: the head was read, what follows is wrong.
BROKEN_BODIES: Final = {
    "no size of a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
    "chunks of a 204": b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "more than its length": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokay",
    "header of 9 kB": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\ncontent-length: 0\r\n\r\n",
}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
ENDLESS_HEADERS: Final = {
    "headers that drip": saying(b"HTTP/1.1 200 OK\r\n", repeating(b"X: x\r\n", every=0.05)),
    "a header that drips": saying(b"HTTP/1.1 200 OK\r\nX: ", repeating(b"x", every=0.05)),
    "100-continue that drips": saying(b"", repeating(CONTINUE, every=0.3)),  # sixteen may come
}
NEVER_ANSWERING: Final = {
    "hangs before its answer": saying(b"", never),
    "hangs in its headers": saying(b"HTTP/1.1 200 OK\r\nX: ", never),
}
