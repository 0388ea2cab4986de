"""Connections that are used again: what a peer closes in between is not its failure, and all of them are bounded."""

import asyncio
import datetime as dt
import random
import socket
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from consumer import clock
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.deliver.webhook import Webhook
from tests.support.fakes import Handler, RawReceiver, Receiver, never, read_request
from tests.support.files import no_more_files, sockets
from tests.support.hostile import saying
from tests.support.webhooks import LOOPBACK, Authority, make_request

TEN_SECONDS = dt.timedelta(seconds=10)
EVENTS, WORKERS = 1000, 8
LONGEST_PAUSE = 0.03  # seconds, of the receiver before it closes, and of the sender before it sends again
PAUSES = random.Random(7)


def closing_soon(arrived: Counter[bytes]) -> Handler:
    """Return a receiver that answers, and closes 0 to 30 ms later."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        arrived[request.lower().partition(b"webhook-id: ")[2].partition(b"\r\n")[0]] += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await clock.sleep(PAUSES.random() * LONGEST_PAUSE)

    return handle


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_a_receiver_that_closes_after_its_answer_fails_nothing(tmp_path: Path, *, is_tls: bool) -> None:
    authority = Authority(tmp_path)
    arrived: Counter[bytes] = Counter()
    outcomes: list[Outcome] = []
    tls = authority.server() if is_tls else None
    async with (
        RawReceiver(closing_soon(arrived), tls=tls) as receiver,
        Webhook(TEN_SECONDS, allowed=LOOPBACK, ca_file=authority.file) as webhook,
    ):
        request = make_request(receiver.url(scheme="https" if is_tls else "http"))
        numbers = iter(range(EVENTS))

        async def worker() -> None:
            for n in numbers:
                outcomes.append(await webhook.send(replace(request, webhook_id=f"e{n}")))
                await clock.sleep(PAUSES.random() * LONGEST_PAUSE)

        await asyncio.gather(*(worker() for _ in range(WORKERS)))

    assert Counter((one.kind, one.status) for one in outcomes) == {(OutcomeClass.STATUS, 200): EVENTS}
    assert arrived.keys() == {b"e%d" % n for n in range(EVENTS)}


async def test_what_goes_out_again_does_so_within_the_attempt() -> None:
    """A receiver that answers once, and then lets every connection hang or die."""
    met: list[int] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        met.append(1)
        if len(met) > 1:
            await never(reader, writer)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await read_request(reader)

    async with RawReceiver(once) as receiver, Webhook(dt.timedelta(seconds=0.5), allowed=LOOPBACK) as webhook:
        await webhook.send(make_request(receiver.url()))
        outcome = await webhook.send(make_request(receiver.url()))

    assert outcome.kind is OutcomeClass.TIMEOUT
    assert outcome.duration_ms < 1000
    assert len(met) == 2


async def test_a_tls_receiver_that_never_reads_keeps_no_descriptor(tmp_path: Path) -> None:
    """It answers, and reads nothing after the request."""
    authority = Authority(tmp_path)
    deaf = socket.create_server(("127.0.0.1", 0))
    context = authority.server()

    def answer() -> None:
        connection, _ = deaf.accept()
        kept.append(context.wrap_socket(connection, server_side=True))
        kept[-1].recv(65_536)
        kept[-1].sendall(b"HTTP/1.1 200 OK\r\n\r\nmore to come")

    kept: list[socket.socket] = []
    url = f"https://127.0.0.1:{deaf.getsockname()[1]}/"
    with deaf:
        async with Webhook(TEN_SECONDS, allowed=LOOPBACK, ca_file=authority.file) as webhook:
            answering = asyncio.create_task(asyncio.to_thread(answer))
            outcome = await webhook.send(make_request(url))
            await answering
            await clock.sleep(0)
            left = sockets()
            for one in kept:
                one.close()
            assert outcome.status == 200
            assert left - sockets() == 1  # the receiver's own


async def test_connections_that_wait_are_bounded_over_all() -> None:
    async with Webhook(TEN_SECONDS, allowed=LOOPBACK, connections=20) as webhook, Receiver() as receiver:
        before = sockets()
        for n in range(60):  # each a host of its own
            outcome = await webhook.send(make_request(receiver.url(host=f"127.0.0.{n + 1}")))
            assert outcome.kind in {OutcomeClass.STATUS, OutcomeClass.CONNECT}  # it listens on 127.0.0.1 alone
        assert sockets() - before <= 2 * 20


async def test_more_requests_than_connections_are_our_own_shortage() -> None:
    async with RawReceiver(never) as receiver, Webhook(TEN_SECONDS, allowed=LOOPBACK, connections=4) as webhook:
        stuck = [asyncio.create_task(webhook.send(make_request(receiver.url()))) for _ in range(4)]
        while receiver.connections < 4:
            await clock.sleep(0)

        outcome = await webhook.send(make_request(receiver.url()))

        assert outcome.kind is OutcomeClass.SHORTAGE
        assert "short of resources: 4 connections are open" in outcome.detail
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_a_connection_in_use_needs_no_descriptor() -> None:
    async with Receiver() as receiver, Webhook(TEN_SECONDS, allowed=LOOPBACK) as webhook:
        await webhook.send(make_request(receiver.url()))
        with no_more_files():
            outcome = await webhook.send(make_request(receiver.url()))

    assert outcome.is_success


async def test_an_answer_to_nothing_ends_a_connection_that_waits() -> None:
    gone = asyncio.Event()

    async def talking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")(reader, writer)
        writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")
        await reader.read()
        gone.set()

    async with RawReceiver(talking) as receiver, Webhook(TEN_SECONDS, allowed=LOOPBACK) as webhook:
        outcome = await webhook.send(make_request(receiver.url()))

        assert await clock.wait(gone, 5)
    assert outcome.status == 200
