"""An answer given before the request was read: it is the answer, whatever becomes of what is still on its way."""

import contextlib
import datetime as dt
import os
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consumer.decide.outcome import OutcomeClass
from consumer.deliver.webhook import Webhook
from tests.support.webhooks import LOOPBACK, Authority, make_request

TEN_SECONDS = dt.timedelta(seconds=10)
ATTEMPTS = 40  # in few of them the reset comes just before a write: each is a throw of the dice before the mend
TOO_LARGE = b"HTTP/1.1 413 X\r\nretry-after: 7\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
GONE = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
FEW = (
    4096  # bytes that a receiver's machine takes before the receiver reads them, so that a small body is not all taken
)
Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def served(serve: Serve, tls: ssl.SSLContext | None) -> Iterator[str]:
    """Run a receiver in a thread, so that it speaks and ends amid a write of ours; give its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FEW)

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                # Else an answer may wait for the receipt of what TLS said before it, and die with the connection.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with contextlib.suppress(OSError), connection:
                    if tls is None:
                        serve(connection)
                    else:
                        with tls.wrap_socket(connection, server_side=True) as secured:
                            serve(secured)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{listening.getsockname()[1]}/hook"
    finally:
        listening.shutdown(socket.SHUT_RDWR)  # a close alone does not wake who accepts
        listening.close()
        thread.join(5)


def ending(answer: bytes) -> Serve:
    """Return a receiver that reads the begin of a request, answers and closes: the rest unread, that is a reset."""

    def serve(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(answer)

    return serve


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("size", [60_000, 400_000, 4_000_000])
@pytest.mark.parametrize(("answer", "status"), [(TOO_LARGE, 413), (GONE, 410)], ids=["413", "410"])
async def test_an_early_answer_wins_over_the_reset_on_its_heels(
    tmp_path: Path, answer: bytes, status: int, size: int, *, is_tls: bool
) -> None:
    authority = Authority(tmp_path)
    async with Webhook(TEN_SECONDS, allowed=LOOPBACK, ca_file=authority.file) as webhook:
        with served(ending(answer), authority.server() if is_tls else None) as url:
            request = make_request(url, body=b" " * size)
            outcomes = [await webhook.send(request) for _ in range(ATTEMPTS)]

    assert Counter((one.status, one.detail) for one in outcomes) == {(status, ""): ATTEMPTS}


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("size", [30_000, 60_000, 400_000], ids=["kernel", "asyncio", "ours"])
async def test_no_request_is_put_behind_one_that_was_answered_unread(
    tmp_path: Path, size: int, *, is_tls: bool
) -> None:
    """Bytes that are not read lie in the kernel, then in asyncio's buffer, then in ours: where the last of them are."""
    authority = Authority(tmp_path)
    kept: list[int] = []

    def answer_unread(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(OK)
        kept.append(os.dup(connection.fileno()))  # open, and never read from again

    try:
        async with Webhook(dt.timedelta(seconds=3), allowed=LOOPBACK, ca_file=authority.file) as webhook:
            with served(answer_unread, authority.server() if is_tls else None) as url:
                outcomes = [await webhook.send(make_request(url, body=b" " * size)) for _ in range(3)]
    finally:
        for one in kept:
            os.close(one)

    assert [(one.status, one.detail) for one in outcomes] == [(200, "")] * 3
    assert len(kept) == 3


def at_once(said: bytes, context: ssl.SSLContext) -> Serve:
    """Return a receiver that says something with its last word of the handshake: before any request can be written."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 the last word is the client's

    def serve(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65_536))
            else:
                break
        tls.write(said)
        connection.sendall(outgoing.read())
        while connection.recv(65_536):
            pass

    return serve


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (TOO_LARGE, (OutcomeClass.STATUS, 413, "")),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 10\r\n\r\nbusy", (OutcomeClass.STATUS, 503, "")),  # and no more
        (b"SSH-2.0-OpenSSH_9.2\r\n", (OutcomeClass.PROTOCOL, None, "not HTTP: bad status line")),
        (OK, (OutcomeClass.PROTOCOL, None, "answered before it was asked")),  # it cannot have what was not sent
    ],
    ids=["413", "cut", "ssh", "200"],
)
async def test_what_a_receiver_sends_at_connect_is_its_answer(
    tmp_path: Path, said: bytes, found: tuple[OutcomeClass, int | None, str]
) -> None:
    authority = Authority(tmp_path)
    async with Webhook(TEN_SECONDS, allowed=LOOPBACK, ca_file=authority.file) as webhook:
        with served(at_once(said, authority.server()), None) as url:
            outcomes = [await webhook.send(make_request(url.replace("http", "https"))) for _ in range(2)]

    assert [(one.kind, one.status, one.detail) for one in outcomes] == [found] * 2
