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
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.helpers import create_ssl_context

from consumer.consume import aiokafka_patch, connections, rights
from consumer.consume.rights import KafkaOperation
from consumer.errors import ConfigInvalid, Refused, SourceUnavailable
from schemas.secret import Secret

FETCH_BYTES: Final = 16 * 1024 * 1024  # of one fetch, as Kafka has it: `aiokafka_patch` bounds what that unpacks to
PARTITION_BYTES: Final = 1024 * 1024
COMMIT_TIMEOUT: Final = 10.0  # seconds; aiokafka retries retriable errors for ever
COMMITTED_TIMEOUT: Final = 20.0  # seconds: a new cluster makes the topic of the offsets first
CLOSE_TIMEOUT: Final = 5.0  # seconds: a broker that is gone must not hold up the end
ClientT = TypeVar("ClientT", AIOKafkaConsumer, AIOKafkaProducer)
_NO_RIGHT: Final = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
GRANT: Final = "grant it by an ACL (docs/operating.md has all that are needed)"


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
        connections.install()
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
        aiokafka_patch.install()
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

    def producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        """Return the dead letters' producer, not started: every replica's acknowledgement.

        It is not idempotent: aiokafka numbers a batch before it is sent, and leaves a gap where one is refused as too
        large, or expires while its partition has no leader: all that is sent there later is out of order, for ever. A
        dead letter that is there twice harms nothing.
        """
        return AIOKafkaProducer(
            **self._common(),
            transactional_id=transactional_id,
            acks="all",
            enable_idempotence=transactional_id is not None,
            request_timeout_ms=10_000,
            max_request_size=FETCH_BYTES,
            metadata_max_age_ms=10_000,  # of one topic: that it is gone shows before a dead letter needs it
        )

    def admin(self) -> AIOKafkaAdminClient:
        """Return an admin client, not started."""
        return AIOKafkaAdminClient(**self._common(), request_timeout_ms=10_000)


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn aiokafka's exceptions into ours, with the reason that it keeps to itself.

    Raises:
        Refused: a missing right, or a broker that was reached and refuses us, or that we refuse, for good.
        SourceUnavailable: anything else: what Kafka cannot do now it may do later.
    """
    connections.watch()
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as exc:
        if lacking := _lacking(exc):
            raise Refused(f"Kafka: {doing}: this user lacks {lacking}: {GRANT}") from exc
        is_connecting = isinstance(exc, KafkaConnectionError | OSError | TimeoutError) or getattr(
            exc, "retriable", False
        )
        if is_connecting and (why := connections.reasons()):
            raise (Refused if why.is_refusal else SourceUnavailable)(f"Kafka: {doing}: {why.text}") from exc
        if isinstance(exc, TimeoutError):  # mostly without a text
            raise SourceUnavailable(f"Kafka: {doing}: no answer in time") from exc
        text = str(exc).partition("\n")[0]
        if "Unable to bootstrap" in text:  # connected, and hung up on at the first question
            raise SourceUnavailable(f"Kafka: {doing}: {connections.SILENT}") from exc
        raise SourceUnavailable(f"Kafka: {doing}: {type(exc).__name__}{': ' if text else ''}{text}") from exc


def _lacking(exc: BaseException | None) -> str | None:
    """Return the right whose lack *exc*, or what caused it, says; None: it is about something else."""
    while exc is not None and not isinstance(exc, _NO_RIGHT):
        exc = exc.__cause__
    named = exc.args[0] if exc is not None and exc.args else ""
    names = ", ".join(sorted(map(str, named))) if isinstance(named, set | frozenset | list | tuple) else str(named)
    match exc:
        case None:
            return None
        case GroupAuthorizationFailedError():
            return f"Read on group {names}"
        case TopicAuthorizationFailedError():
            return f"the right to topic {names}"
        case TransactionalIdAuthorizationFailed():
            return f"Write on transactional id {names}"
        case _:
            return "a right to the cluster"


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


async def partitions(
    kafka: Kafka, *, reads: Sequence[str], writes: Sequence[str] = (), group_id: str | None = None
) -> dict[str, list[int]]:
    """Return the partitions of each topic; creates none, whatever the broker's settings.

    Args:
        kafka: where to ask.
        reads: topics that are to be read.
        writes: topics that are to be written to.
        group_id: the group to read as, if any.

    Raises:
        Refused: a topic does not exist, or a right is missing: all of them, in one line.
        SourceUnavailable: Kafka cannot be reached.
    """
    needed = dict.fromkeys(reads, KafkaOperation.READ) | {
        one: KafkaOperation.WRITE for one in writes if one not in reads
    }
    admin = kafka.admin()
    with translated("asking for topics"):
        try:
            await admin.start()
            if lacking := await rights.missing(admin, topics=needed, group_id=group_id):
                raise Refused(f"Kafka: this user lacks {', '.join(lacking)}: {GRANT}")
            existing = set(await admin.list_topics())
            if missing := sorted(needed.keys() - existing):
                raise Refused(
                    f"Kafka: not there, or not to be described: topic {', '.join(missing)}:"
                    " create it, or name another in TOLLBELL_TOPICS_* and TOLLBELL_TOPIC_DEAD_LETTERS"
                )
            described = await admin.describe_topics(list(needed))
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
