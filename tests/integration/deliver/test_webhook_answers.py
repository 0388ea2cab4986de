"""What the receiver said is the outcome: however TCP cuts it, and whatever becomes of the connection then."""

import asyncio
import datetime as dt
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from consumer import clock
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.deliver.http.connection import BODY_SECONDS
from consumer.deliver.webhook import Webhook
from tests.support.answers import ANSWERS, Said
from tests.support.fakes import Handler, RawReceiver, never, read_request
from tests.support.hostile import BROKEN_BODIES, saying
from tests.support.webhooks import LOOPBACK, Authority, make_request, send

End = Literal["kept open", "closed", "reset"]
Cut = Callable[[bytes], list[bytes]]
BATCH = 20  # answers at once
CUTS: dict[str, Cut] = {
    "one write": lambda said: [said],
    "two writes": lambda said: [said[: len(said) // 2], said[len(said) // 2 :]],
    "byte by byte": lambda said: [said[n : n + 1] for n in range(min(len(said), 300))] + [said[300:]],
}


def answering(said: Said, cut: Cut, end: End) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        parts = [part for part in cut(said.said) if part]
        for part in parts:
            writer.write(part)
            await writer.drain()
            await (clock.sleep(0.1) if len(parts) == 2 else clock.sleep(0))
        match end:
            case "kept open":
                await reader.read()
            case "reset":
                made: socket.socket = writer.get_extra_info("socket")
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case "closed":
                pass

    return handle


def is_as_said(outcome: Outcome, said: Said) -> bool:
    wish = said.retry_after.decode() if said.retry_after else None
    kind = OutcomeClass.PROTOCOL if said.status is None else OutcomeClass.STATUS
    # On a busy machine the receiver may take longer than a body is waited for.
    is_late = outcome.duration_ms >= BODY_SECONDS * 1000
    is_body = outcome.body == said.body or (is_late and said.body.startswith(outcome.body))
    return is_body and (outcome.kind, outcome.status, outcome.retry_after) == (kind, said.status, wish)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("end", ["kept open", "closed", "reset"])
async def test_an_answer_is_what_was_said(cut: str, end: End) -> None:
    async def of(said: Said) -> Outcome:
        async with RawReceiver(answering(said, CUTS[cut], end)) as receiver:
            return await webhook.send(make_request(receiver.url()))

    found: dict[str, Outcome] = {}
    names = list(ANSWERS)
    async with Webhook(dt.timedelta(seconds=20), allowed=LOOPBACK) as webhook:
        for begin in range(0, len(names), BATCH):
            batch = names[begin : begin + BATCH]
            found |= zip(batch, await asyncio.gather(*(of(ANSWERS[name]) for name in batch)), strict=True)

    wrong = {name: (one, ANSWERS[name]) for name, one in found.items() if not is_as_said(one, ANSWERS[name])}
    assert wrong == {}
    assert max(one.duration_ms for one in found.values()) < 20_000


@pytest.mark.parametrize("said", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_what_is_wrong_after_a_head_is_no_failure(tmp_path: Path, said: bytes, *, is_tls: bool) -> None:
    authority = Authority(tmp_path)
    async with RawReceiver(saying(said, never), tls=authority.server() if is_tls else None) as receiver:
        outcome = await send(receiver.url(scheme="https" if is_tls else "http"), ca_file=authority.file)

    assert outcome.is_success


async def test_a_tls_answer_cut_off_is_no_mistake_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is left to read when the end comes is read in asyncio's shutdown of TLS, which bears no abort."""

    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(ANSWERS["endless in tiny chunks"].said)  # three reads, and the third is one too many
        await writer.drain()
        writer.transport.abort()

    authority = Authority(tmp_path)
    async with RawReceiver(cut_off, tls=authority.server()) as receiver:
        outcomes = [await send(receiver.url(scheme="https"), ca_file=authority.file) for _ in range(20)]

    assert {outcome.status for outcome in outcomes} == {200}
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"])
async def test_a_final_head_is_waited_on_for_a_second_at_most(head: bytes) -> None:
    async with RawReceiver(saying(head + b"ok", never)) as receiver:
        outcome = await send(receiver.url(), seconds=10)

    assert (outcome.status, outcome.body) == (200, "ok")
    assert BODY_SECONDS * 1000 <= outcome.duration_ms < BODY_SECONDS * 1000 + 1500


async def test_a_plain_request_to_a_tls_port_is_named() -> None:
    async with RawReceiver(saying(b"\x15\x03\x01\x00\x02\x02\x46", never)) as receiver:
        outcome = await send(receiver.url())

    assert outcome.kind is OutcomeClass.PROTOCOL
    assert outcome.detail == "not HTTP: the receiver speaks TLS on this port, so its URL begins with https://"


async def test_each_reason_of_a_hosts_addresses_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))

        outcome = await send(f"http://localhost:{closed.getsockname()[1]}/")  # ::1 is not opened, 127.0.0.1 is

    assert (outcome.kind, outcome.detail) == (OutcomeClass.CONNECT, "no connection: connection refused")
