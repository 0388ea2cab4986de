"""Kafka's side of the settings: clients made of them, and its errors in our words."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    AuthenticationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.helpers import create_ssl_context

from consumer.consume import polls, records
from consumer.errors import ConfigInvalid, Refused, SourceUnavailable
from schemas.secret import Secret

FETCH_BYTES: Final = 16 * 1024 * 1024  # of one fetch, as Kafka has it: `polls` bounds what that unpacks to
PARTITION_BYTES: Final = 1024 * 1024
COMMIT_TIMEOUT: Final = 10.0  # seconds; aiokafka retries retriable errors for ever
COMMITTED_TIMEOUT: Final = 20.0  # seconds: a new cluster makes the topic of the offsets first
CLOSE_TIMEOUT: Final = 5.0  # seconds: a broker that is gone must not hold up the end
ClientT = TypeVar("ClientT", AIOKafkaConsumer, AIOKafkaProducer)
_REFUSED: Final = (
    AuthenticationFailedError,
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """How to reach the brokers."""

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: Secret | None = None
    ssl_ca_file: Path | None = None
    ssl_cert_file: Path | None = None
    ssl_key_file: Path | None = None

    def _common(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": "tollbell",
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password.reveal() if self.sasl_password else None,
            "ssl_context": self._ssl_context(),
        }

    def _ssl_context(self) -> ssl.SSLContext | None:
        if not self.security_protocol.endswith("SSL"):
            return None
        try:
            context: ssl.SSLContext = create_ssl_context(
                cafile=self.ssl_ca_file, certfile=self.ssl_cert_file, keyfile=self.ssl_key_file
            )
        except (OSError, ssl.SSLError) as exc:
            raise ConfigInvalid(f"TOLLBELL_KAFKA_SSL_*_FILE: cannot be used: {exc.strerror or exc}") from exc
        return context

    def consumer(self, group_id: str | None) -> AIOKafkaConsumer:
        """Return a consumer of *group_id*, or of no group; not started, subscribed to nothing."""
        records.install()
        polls.install()
        return AIOKafkaConsumer(
            **self._common(),
            group_id=group_id,
            enable_auto_commit=False,
            # `none`: a missing or lost offset is an error that `starts` resolves, never a silent jump.
            auto_offset_reset="none",
            isolation_level="read_committed",
            # Exactly one assignor: several make a JoinGroup each (aiokafka#1168). Range, not Sticky (aiokafka#1175).
            partition_assignment_strategy=(RangePartitionAssignor,),
            fetch_max_wait_ms=100,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_BYTES,
            session_timeout_ms=15_000,
            heartbeat_interval_ms=1_000,  # a rebalance is noticed within a second
            rebalance_timeout_ms=30_000,
            request_timeout_ms=20_000,
            metadata_max_age_ms=30_000,
        )

    def producer(self) -> AIOKafkaProducer:
        """Return the dead letters' producer, not started: idempotent, every replica's acknowledgement."""
        return AIOKafkaProducer(
            **self._common(),
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=10_000,
            max_request_size=FETCH_BYTES,
        )

    def admin(self) -> AIOKafkaAdminClient:
        """Return an admin client, not started."""
        return AIOKafkaAdminClient(**self._common(), request_timeout_ms=10_000)


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn aiokafka's exceptions into ours.

    Raises:
        Refused: no right to it.
        SourceUnavailable: anything else: what Kafka cannot do now it may do later.
    """
    try:
        yield
    except _REFUSED as exc:
        raise Refused(
            f"Kafka: {doing}: {type(exc).__name__}: check the TOLLBELL_KAFKA_* settings and the ACLs"
        ) from exc
    except (KafkaError, OSError, TimeoutError) as exc:
        text = str(exc).partition("\n")[0]
        raise SourceUnavailable(f"Kafka: {doing}: {type(exc).__name__}{': ' if text else ''}{text}") from exc


def positions(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    """Return the offset that each assigned partition is read from next; without those that are not resolved yet.

    aiokafka's own `position` waits until one is.
    """
    subscription = consumer._subscription.subscription  # noqa: SLF001 - pinned by tests, and to aiokafka 0.14
    assignment = subscription.assignment if subscription is not None else None
    if assignment is None or not assignment.active:
        return {}
    states = [(tp, assignment.state_value(tp)) for tp in assignment.tps]
    return {tp: state.position for tp, state in states if state.has_valid_position}


async def partitions(kafka: Kafka, topics: Sequence[str]) -> dict[str, list[int]]:
    """Return the partitions of each of *topics*; creates none, whatever the broker's settings.

    Raises:
        Refused: a topic does not exist, or may not be seen.
        SourceUnavailable: Kafka cannot be reached.
    """
    admin = kafka.admin()
    with translated("asking for topics"):
        try:
            await admin.start()
            existing = set(await admin.list_topics())
            if missing := sorted(set(topics) - existing):
                raise Refused(
                    f"Kafka: not there, or not to be described: topic {', '.join(missing)}:"
                    " create it, or name another in TOLLBELL_TOPICS_* and TOLLBELL_TOPIC_DEAD_LETTERS"
                )
            described = await admin.describe_topics(list(topics))
        finally:
            await admin.close()
    return {topic["topic"]: sorted(p["partition"] for p in topic["partitions"]) for topic in described}


async def started(make: Callable[[], ClientT]) -> ClientT:
    """Return the client that *make* makes, connected.

    Raises:
        SourceUnavailable: no broker answers; nothing is left open.
        Refused: one answers, and it will not work like this; likewise.
    """
    client = make()
    async with contextlib.AsyncExitStack() as unless_started:
        unless_started.push_async_callback(close, client)
        with translated("connecting"):
            await client.start()
        unless_started.pop_all()
    return client


async def close(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Close *client*, in bounded time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await client.stop()


async def committed(kafka: Kafka, group_id: str, tps: Sequence[TopicPartition]) -> list[TopicPartition]:
    """Return those of *tps* of which *group_id* has committed an offset; it joins nothing.

    Raises:
        Refused: its offsets may not be read.
        SourceUnavailable: Kafka cannot be reached.
    """
    consumer = await started(lambda: kafka.consumer(group_id))
    try:
        with translated(f"asking for the offsets of group {group_id}"):
            async with asyncio.timeout(COMMITTED_TIMEOUT):
                return [tp for tp in tps if await consumer.committed(tp) is not None]
    finally:
        await close(consumer)
