"""What meets in one turn of the loop, or lies in the kernel's buffer: nothing of it is another attempt's."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consumer.deliver.http.answer import Answer
from consumer.deliver.webhook import Webhook
from tests.support.fakes import RawReceiver, Receiver, read_request
from tests.support.webhooks import LOOPBACK, Authority, make_request

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
Make = Callable[[socket.socket], bytes]


class Held:
    """A receiver in a thread, so that it speaks while the loop is busy: `let_go` has what it holds back on its way."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.connection: socket.socket | None = None
        self._said = b""
        self.is_ready = threading.Event()

    def serve(self) -> None:
        self.connection, _ = self._listening.accept()
        self._said = self._make(self.connection)
        self.is_ready.set()

    def let_go(self) -> None:
        assert self.connection is not None
        self.connection.sendall(self._said)

    def close(self) -> None:
        self._listening.close()
        if self.connection is not None:
            self.connection.close()


@contextlib.contextmanager
def held(make: Make) -> Iterator[Held]:
    receiver = Held(make)
    thread = threading.Thread(target=receiver.serve, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.close()
        thread.join(5)


def answered(connection: socket.socket) -> bytes:
    connection.recv(65536)
    return OK


def handshaken(tls: ssl.SSLContext) -> Make:
    def make(connection: socket.socket) -> bytes:
        came, said = ssl.MemoryBIO(), ssl.MemoryBIO()
        securing = tls.wrap_bio(came, said, server_side=True)
        while not said.pending:
            came.write(connection.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                securing.do_handshake()
        return said.read()

    return make


async def cancel_as_it_comes(receiver: Held, webhook: Webhook, url: str) -> None:
    """Send, and cancel that in the turn in which what the receiver held back has come."""
    sending = asyncio.create_task(webhook.send(make_request(url)))
    assert await asyncio.to_thread(receiver.is_ready.wait, 5)
    receiver.let_go()
    asyncio.get_running_loop().call_later(0, sending.cancel)  # a timer's turn is after what has come
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_tls_set_up_as_time_is_up_breaks_no_other_connection(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with (
        Receiver() as healthy,
        Webhook(dt.timedelta(seconds=5), allowed=LOOPBACK, ca_file=authority.file) as webhook,
    ):
        with held(handshaken(authority.server())) as receiver:
            await cancel_as_it_comes(receiver, webhook, f"https://127.0.0.1:{receiver.port}/hook")

            outcomes = [await webhook.send(make_request(healthy.url())) for _ in range(3)]

    assert [(outcome.status, outcome.detail) for outcome in outcomes] == [(200, "")] * 3


async def test_a_cancelled_attempt_leaves_no_connection() -> None:
    async with Webhook(dt.timedelta(seconds=5), allowed=LOOPBACK) as webhook:
        with held(answered) as receiver:
            await cancel_as_it_comes(receiver, webhook, f"http://127.0.0.1:{receiver.port}/hook")
            assert receiver.connection is not None
            receiver.connection.settimeout(2)

            rest = await asyncio.to_thread(receiver.connection.recv, 1)

    assert rest == b""


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_an_unread_stray_answer_is_not_the_next_requests(tmp_path: Path, *, is_tls: bool) -> None:
    authority = Authority(tmp_path)
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writers.append(writer)
        writer.write(OK if len(writers) == 1 else OK.replace(b"200 OK", b"503 No"))
        await reader.read()

    tls = authority.server() if is_tls else None
    async with (
        RawReceiver(handle, tls=tls) as receiver,
        Webhook(dt.timedelta(seconds=5), allowed=LOOPBACK, ca_file=authority.file) as webhook,
    ):
        request = make_request(receiver.url(scheme="https" if is_tls else "http"))
        first = await webhook.send(request)
        writers[0].write(OK)

        second = await webhook.send(request)

    assert (first.status, second.status) == (200, 503)


async def test_a_long_tls_head_is_read_though_the_receiver_hangs_up(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    long = b"HTTP/1.1 204 No Content\r\n" + b"x-policy: %s\r\n" % (b"a" * 90) * 590 + b"\r\n"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(long)
        await writer.drain()
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)  # without a word of TLS, as many do
        await reader.read()

    async with (
        RawReceiver(handle, tls=authority.server()) as receiver,
        Webhook(dt.timedelta(seconds=5), allowed=LOOPBACK, ca_file=authority.file) as webhook,
    ):
        outcome = await webhook.send(make_request(receiver.url(scheme="https")))

    assert (outcome.status, outcome.detail) == (204, "")


def test_charsets_that_receivers_make_up_are_not_kept() -> None:
    def read(charset: str) -> None:
        Answer().feed(f"HTTP/1.1 200 OK\r\ncontent-type: a/b; charset={charset}\r\ncontent-length: 0\r\n\r\n".encode())

    read("made-up")
    tracemalloc.start()
    try:
        for number in range(1000):
            read(f"made-up-{number}")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 50_000


@pytest.mark.parametrize("charset", ["latin1", "ISO-8859-1", "l1", "windows-1252", "iso_8859-15", "cp1252"])
def test_a_charset_has_all_its_spellings(charset: str) -> None:
    answer = Answer()

    answer.feed(f"HTTP/1.1 200 OK\r\ncontent-type: a/b; charset={charset}\r\n\r\n".encode() + b"\xe9")

    assert answer.text(10) == "é"
