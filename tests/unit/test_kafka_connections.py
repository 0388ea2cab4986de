"""Why a broker gives no connection: aiokafka keeps the reason to itself, our line has it, and whether waiting helps."""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import errors
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from consumer.consume import connections
from consumer.consume.kafka import Kafka, partitions, translated
from consumer.errors import Refused, SourceUnavailable, TollbellError
from tests.support.fakes import RawReceiver, never
from tests.support.webhooks import Authority


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4)
    writer.close()


async def met(kafka: Kafka) -> TollbellError:
    with pytest.raises(TollbellError) as caught:
        await partitions(kafka, reads=["usage"])
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port: int = closed.getsockname()[1]
        return port


# How the server's certificate is made, and what is said of it.
CERTIFICATES: list[tuple[str, Callable[[Authority], ssl.SSLContext], bool, str]] = [
    ("another authority", lambda authority: authority.server(), False, r"unable to get local issuer certificate"),
    ("expired", lambda authority: authority.server(days=-1), True, r"certificate has expired: the broker needs a new"),
    (
        "another host",
        lambda authority: authority.server(address="127.0.0.9"),
        True,
        r"IP address mismatch.*: name the broker in TOLLBELL_KAFKA_BOOTSTRAP_SERVERS as its certificate does",
    ),
]


@pytest.mark.parametrize(
    ("make", "is_trusted", "says"), [one[1:] for one in CERTIFICATES], ids=[c[0] for c in CERTIFICATES]
)
async def test_a_certificate_that_is_refused_says_why(
    make: Callable[[Authority], ssl.SSLContext], is_trusted: bool, says: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    async with RawReceiver(never, tls=make(authority)) as server:
        trusted = authority if is_trusted else other
        at = f"127.0.0.1:{server.port}"
        refused = await met(Kafka(bootstrap=at, security_protocol="SSL", ssl_ca_file=trusted.file))

    assert isinstance(refused, Refused)
    assert re.match(f"Kafka: asking for topics: {at}: its certificate is refused: .*{says}", str(refused))


async def test_a_listener_without_tls_is_refused_at_once(tmp_path: Path) -> None:
    """One that hangs up is waited for."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    ca_file = Authority(tmp_path).file
    async with RawReceiver(plain) as server:
        no_tls = await met(Kafka(bootstrap=f"127.0.0.1:{server.port}", security_protocol="SSL", ssl_ca_file=ca_file))
    async with RawReceiver(hang_up) as server:
        hung_up = await met(Kafka(bootstrap=f"127.0.0.1:{server.port}"))

    assert isinstance(no_tls, Refused)
    assert "it does not answer in TLS: check TOLLBELL_KAFKA_SECURITY_PROTOCOL" in str(no_tls)
    assert isinstance(hung_up, SourceUnavailable)
    assert "it closed the connection before it answered: check TOLLBELL_KAFKA_SECURITY_PROTOCOL" in str(hung_up)


async def test_each_broker_is_named_with_its_own_reason(closed_port: int) -> None:
    at = f"127.0.0.1:{closed_port}"

    away = await met(Kafka(bootstrap=f"{at},no-such-host.invalid:9092"))

    assert isinstance(away, SourceUnavailable)
    closed, nowhere = str(away).removeprefix("Kafka: asking for topics: ").split("; ")
    assert closed == f"{at}: connection refused: nothing listens there"
    assert nowhere.startswith("no-such-host.invalid:9092: the name cannot be resolved (")


async def test_an_unknown_address_is_reported_as_the_brokers(closed_port: int) -> None:
    def closed(*_: object) -> None:
        pass

    with pytest.raises(SourceUnavailable) as caught, translated("reading"):
        await connections.create_conn("127.0.0.1", closed_port, on_close=closed)  # as aiokafka does after bootstrapping

    assert str(caught.value) == (
        f"Kafka: reading: 127.0.0.1:{closed_port} (which the brokers name: see their advertised.listeners):"
        " connection refused: nothing listens there"
    )


async def test_one_broker_that_is_only_away_is_waited_for(closed_port: int, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with RawReceiver(never, tls=authority.server(days=-1)) as server:
        both = f"127.0.0.1:{server.port},127.0.0.1:{closed_port}"

        away = await met(Kafka(bootstrap=both, security_protocol="SSL", ssl_ca_file=authority.file))

    assert isinstance(away, SourceUnavailable)
    assert "certificate has expired" in str(away)
    assert "nothing listens there" in str(away)


@pytest.mark.parametrize(
    ("exc", "is_refusal", "says"),
    [
        (
            SaslAuthenticationFailed("Invalid username"),
            True,
            "the login is refused (Invalid username): check TOLLBELL_",
        ),
        (SaslAuthenticationFailed(None), True, "the login is refused: check TOLLBELL_KAFKA_SASL_USERNAME, _SASL_PASSW"),
        (UnsupportedSaslMechanismError(), True, "it does not take this SASL mechanism: check TOLLBELL_KAFKA_SASL_MECH"),
        (IllegalSaslStateError(), True, "it takes no login by SASL: check TOLLBELL_KAFKA_SECURITY_PROTOCOL"),
        (TimeoutError(), False, "no answer in time: a firewall, or check TOLLBELL_KAFKA_SECURITY_PROTOCOL"),
        (OSError(101, "Network is unreachable"), False, "OSError: [Errno 101] Network is unreachable"),
        (KafkaError(), False, "KafkaError"),
    ],
)
def test_what_a_connection_fails_with_has_a_reason(exc: BaseException, is_refusal: bool, says: str) -> None:
    direct, wrapped = connections.reason(exc), KafkaConnectionError("closed")
    wrapped.__cause__ = exc

    assert direct.is_refusal is is_refusal
    assert direct.text.startswith(says)
    assert connections.reason(wrapped) == direct


@pytest.mark.parametrize(
    ("exc", "says"),
    [
        (errors.TopicAuthorizationFailedError({"b", "a"}), "lacks the right to topic a, b: grant it by an ACL"),
        (errors.GroupAuthorizationFailedError("mine"), "lacks Read on group mine: grant it by an ACL"),
        (errors.TransactionalIdAuthorizationFailed("t"), "lacks Write on transactional id t: grant it by an ACL"),
        (errors.ClusterAuthorizationFailedError(), "lacks a right to the cluster"),
    ],
)
def test_a_missing_right_is_named_however_deep_it_lies(exc: KafkaError, says: str) -> None:
    outer = KafkaError("Unexpected error during batch delivery")
    outer.__cause__ = exc

    for raised in (exc, outer):
        with pytest.raises(Refused) as caught, translated("writing"):
            raise raised

        assert str(caught.value).startswith(f"Kafka: writing: this user {says}")
