"""Receivers that break HTTP, or drip, or never end: one attempt, bounded in time and memory, and a clear name."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consumer import clock
from consumer.decide.outcome import OutcomeClass
from tests.support.fakes import Handler, RawReceiver, never
from tests.support.hostile import CONTINUE, ENDLESS_HEADERS, MEBIBYTE, NOT_HTTP, bomb, head, repeating, saying
from tests.support.webhooks import Authority, send


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


@pytest.mark.parametrize(("answer", "why"), NOT_HTTP.values(), ids=NOT_HTTP.keys())
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


@pytest.mark.parametrize("endless", ENDLESS_HEADERS.values(), ids=ENDLESS_HEADERS.keys())
async def test_headers_that_never_end_are_a_timeout(endless: Handler) -> None:
    async with RawReceiver(endless) as receiver:
        with at_most(8):
            outcome = await send(receiver.url(), seconds=0.5)

    assert (outcome.kind, outcome.status) == (OutcomeClass.TIMEOUT, None)


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_promises_of_an_answer_without_end_are_no_answer(tmp_path: Path, *, is_tls: bool) -> None:
    authority = Authority(tmp_path)
    promising = saying(b"", repeating(CONTINUE * 10_000))
    async with RawReceiver(promising, tls=authority.server() if is_tls else None) as receiver:
        with at_most(4):
            outcome = await send(receiver.url(scheme="https" if is_tls else "http"), ca_file=authority.file)

    assert (outcome.kind, outcome.detail) == (OutcomeClass.PROTOCOL, "not HTTP: too much came before an answer")
    assert outcome.duration_ms < 2500  # of 5000 that a timeout would take


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


async def test_an_endless_body_is_read_to_a_limit_and_cut_off() -> None:
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
    packed = bomb(100)
    answer = head(200, b"content-encoding: gzip", b"content-length: %d" % len(packed)) + packed

    async with RawReceiver(saying(answer)) as receiver:
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


async def test_a_control_character_of_a_receiver_reaches_no_column() -> None:
    answer = b"HTTP/1.1 503 \xff\xfe\r\nRetry-After: \xff\xed\xa0\x80\r\ncontent-length: 5\r\n\r\n\0\xed\xa0\x80\xff"
    async with RawReceiver(saying(answer)) as receiver:
        outcome = await send(receiver.url())

    assert outcome.status == 503
    for text in (outcome.body, outcome.retry_after or ""):
        assert "\0" not in text
        text.encode()  # no lone surrogates
