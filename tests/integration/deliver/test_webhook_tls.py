"""Trust: only a certificate of a known authority, in its time, for this very host, over TLS 1.2 or newer."""

import asyncio
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from consumer.decide.outcome import OutcomeClass
from consumer.deliver.webhook import Webhook
from consumer.errors import ConfigInvalid
from tests.support.fakes import RawReceiver, Receiver, never
from tests.support.webhooks import Authority, send


@contextmanager
def strict_server(context: ssl.SSLContext) -> Iterator[str]:
    """Run a blocking TLS server for one connection; give its URL. asyncio's own ends without saying why."""

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=[listening])
        thread.start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/hook"
        thread.join(5)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_receiver_of_the_given_authority_is_trusted(authority: Authority) -> None:
    async with Receiver(tls=authority.server()) as receiver:
        outcome = await send(receiver.url(), ca_file=authority.file)

    assert outcome.is_success
    assert len(receiver.requests) == 1


async def test_an_unknown_authority_is_not_trusted(authority: Authority) -> None:
    async with Receiver(tls=authority.server()) as receiver:
        outcome = await send(receiver.url())

    assert outcome.kind is OutcomeClass.TLS
    assert "unable to get local issuer certificate" in outcome.detail
    assert receiver.requests == []


async def test_an_expired_certificate_is_not_trusted(authority: Authority) -> None:
    async with Receiver(tls=authority.server(days=-1)) as receiver:
        outcome = await send(receiver.url(), ca_file=authority.file)

    assert (outcome.kind, outcome.detail) == (OutcomeClass.TLS, "no trust: certificate has expired")


async def test_a_certificate_of_another_host_is_not_trusted(authority: Authority) -> None:
    async with Receiver(tls=authority.server(address="192.0.2.1")) as receiver:
        outcome = await send(receiver.url(), ca_file=authority.file)

    assert outcome.kind is OutcomeClass.TLS
    assert "mismatch" in outcome.detail


async def test_tls_older_than_1_2_is_not_spoken(authority: Authority) -> None:
    context = authority.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with strict_server(context) as url:
        outcome = await send(url, ca_file=authority.file)

    assert (outcome.kind, outcome.detail) == (OutcomeClass.TLS, "no trust: tlsv1 alert protocol version")


async def test_a_receiver_that_wants_our_certificate_gets_no_webhook(authority: Authority) -> None:
    context = authority.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    with strict_server(context) as url:
        outcome = await send(url, ca_file=authority.file)

    # In TLS 1.3 the alert comes after our handshake is done; a reset on its heels may discard it unread.
    assert outcome.status is None
    assert (outcome.kind, outcome.detail) in {
        (OutcomeClass.TLS, "no trust: tlsv13 alert certificate required"),
        (OutcomeClass.RESET, "the connection ended before an answer"),
    }


async def test_plain_http_on_an_https_url_is_no_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with RawReceiver(plain) as receiver:
        outcome = await send(receiver.url(scheme="https"))

    assert (outcome.kind, outcome.detail) == (OutcomeClass.TLS, "no trust: wrong version number")


async def test_a_receiver_that_hangs_in_the_handshake_is_a_timeout() -> None:
    async with RawReceiver(never) as receiver:
        outcome = await send(receiver.url(scheme="https"), seconds=0.3)

    assert outcome.kind is OutcomeClass.TIMEOUT


async def test_a_receiver_that_hangs_up_in_the_handshake_is_a_reset() -> None:
    async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with RawReceiver(hang_up) as receiver:
        outcome = await send(receiver.url(scheme="https"))

    assert outcome.kind is OutcomeClass.RESET


def test_a_missing_or_empty_ca_file_stops_the_start(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()

    with pytest.raises(ConfigInvalid, match=r"missing\.pem: no such file"):
        Webhook(dt.timedelta(seconds=1), ca_file=tmp_path / "missing.pem")
    with pytest.raises(ConfigInvalid, match=r"empty\.pem: holds no certificate"):
        Webhook(dt.timedelta(seconds=1), ca_file=empty)
