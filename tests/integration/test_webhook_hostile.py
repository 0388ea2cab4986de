"""Receivers that break HTTP, or drip, or never end: one attempt, bounded in time and memory, and a clear name."""

import asyncio
import gzip
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consumer import clock
from consumer.decide.outcome import OutcomeClass
from tests.fakes import Handler, RawReceiver, never, read_request
from tests.webhooks import send

MEBIBYTE = 2**20


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
            await clock.wait(pause, every)

    return handle


@contextmanager
def at_most(mebibytes: float) -> Iterator[None]:
    """Fail where Python's memory grew, even for a moment, by more than *mebibytes*."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] / MEBIBYTE
    finally:
        tracemalloc.stop()
    assert peak < mebibytes


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"I am not HTTP\r\n\r\n", "bad status line"),
        (b"<html>HTTP/0.9 says this</html>", "bad status line"),
        (b"HTTP/1.1 999 Nonsense\r\ncontent-length: 0\r\n\r\n", "the status 999"),
        (b"HTTP/1.1 600 Nonsense\r\ncontent-length: 0\r\n\r\n", "the status 600"),
        (b"HTTP/1.1 099 Nonsense\r\ncontent-length: 0\r\n\r\n", "the status 99"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\n", "content-length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx", "duplicate content-length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "transfer-encoding"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n", "chunk size"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n", "got more than 8190 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200_000 + b"\r\n", "too many headers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_not_http_is_no_status(answer: bytes, why: str) -> None:
    async with RawReceiver(saying(answer)) as receiver:
        with at_most(16):
            outcome = await send(receiver.url())

    assert (outcome.kind, outcome.status) == (OutcomeClass.PROTOCOL, None)
    assert why in outcome.detail


async def test_headers_that_break_off_are_a_reset() -> None:
    async with RawReceiver(saying(b"HTTP/1.1 200 OK\r\nX: ")) as receiver:
        outcome = await send(receiver.url())

    assert outcome.kind is OutcomeClass.RESET


@pytest.mark.parametrize(
    "endless",
    [
        saying(b"HTTP/1.1 200 OK\r\n", repeating(b"X: x\r\n", every=0.05)),
        saying(b"HTTP/1.1 200 OK\r\nX: ", repeating(b"x", every=0.05)),
        saying(b"", repeating(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    ],
    ids=["headers", "header", "100-continue"],
)
async def test_headers_that_never_end_are_a_timeout(endless: Handler) -> None:
    async with RawReceiver(endless) as receiver:
        with at_most(8):
            outcome = await send(receiver.url(), seconds=0.5)

    assert (outcome.kind, outcome.status) == (OutcomeClass.TIMEOUT, None)


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("then", [never, repeating(b"1\r\nx\r\n", every=0.05)], ids=["stalls", "drips"])
async def test_a_body_that_never_ends_leaves_the_status_as_the_answer(status: int, then: Handler) -> None:
    head = f"HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n".encode()
    async with RawReceiver(saying(head, then)) as receiver:
        outcome = await send(receiver.url(), seconds=0.4)

    assert (outcome.kind, outcome.status) == (OutcomeClass.STATUS, status)
    assert outcome.body.startswith("ok")
    assert outcome.duration_ms >= 400


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_a_body_that_breaks_off_leaves_the_status_as_the_answer(answer: bytes) -> None:
    async with RawReceiver(saying(answer)) as receiver:
        outcome = await send(receiver.url())

    assert (outcome.kind, outcome.status, outcome.body) == (OutcomeClass.STATUS, 200, "ok")


async def test_an_endless_body_is_read_to_a_limit_and_the_connection_ended() -> None:
    gone = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await repeating(b"x" * 65_536)(reader, writer)
        finally:
            gone.set()

    async with RawReceiver(saying(b"HTTP/1.1 200 OK\r\n\r\n", flood)) as receiver:
        with at_most(4):
            outcome = await send(receiver.url())

        assert await clock.wait(gone, 5)
    assert (outcome.status, outcome.body) == (200, "x" * 4096)
    assert outcome.duration_ms < 2000


async def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 100 * MEBIBYTE, 1)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)

    async with RawReceiver(saying(head + bomb)) as receiver:
        with at_most(4):
            outcome = await send(receiver.url())

    assert outcome.status == 200
    assert len(outcome.body) <= 4096
    assert "\0" not in outcome.body


async def test_an_answer_before_the_body_was_taken_counts() -> None:
    async def too_large(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
        await writer.drain()
        await never(_, writer)

    async with RawReceiver(too_large) as receiver:
        outcome = await send(receiver.url(), body=b" " * 20 * MEBIBYTE)

    assert (outcome.status, outcome.body) == (413, "no")


async def test_a_receiver_that_switches_protocols_gets_no_further() -> None:
    answer = b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nmore"
    async with RawReceiver(saying(answer, never)) as receiver:
        outcome = await send(receiver.url())

    assert (outcome.status, outcome.is_success) == (101, False)


async def test_what_a_receiver_says_reaches_no_column_as_a_control_character() -> None:
    answer = b"HTTP/1.1 503 \xff\xfe\r\nRetry-After: \xff\xed\xa0\x80\r\ncontent-length: 5\r\n\r\n\0\xed\xa0\x80\xff"
    async with RawReceiver(saying(answer)) as receiver:
        outcome = await send(receiver.url())

    assert outcome.status == 503
    for text in (outcome.body, outcome.retry_after or ""):
        assert "\0" not in text
        text.encode()  # no lone surrogates
