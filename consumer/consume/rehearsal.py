"""What `tollbell check` tries of Kafka: reading, writing, and what the topics' settings mean for an outage."""

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import TransactionalIdAuthorizationFailed

from consumer import ids
from consumer.consume import topics as topics_of
from consumer.consume.kafka import Kafka, close, started, translated
from consumer.errors import Refused

READ_MS: Final = 2_000
WRITE_TIMEOUT: Final = 30.0  # seconds: a new cluster makes the topic of transactions first
OUTAGE: Final = dt.timedelta(hours=72)  # a weekend, and the Monday on which it is noticed
SAID_OUTAGE: Final = "72h"


async def read(kafka: Kafka, found: Mapping[str, Sequence[int]]) -> None:
    """Fetch from every partition of *found*, by topic, as a consumer of no group: nothing is committed.

    Raises:
        Refused: one may not be read.
        SourceUnavailable: Kafka cannot be reached.
    """
    consumer = await started(lambda: kafka.consumer(None))
    tps = [TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers]
    try:
        with translated("reading"):
            consumer.assign(tps)
            begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
            for tp in tps:
                consumer.seek(tp, max(begins[tp], ends[tp] - 1))
            await consumer.getmany(timeout_ms=READ_MS, max_records=1)
    finally:
        await close(consumer)


async def write(kafka: Kafka, topic: str) -> str | None:
    """Write a record to *topic* in a transaction that is aborted: consumers that read what is committed skip it.

    Returns:
        Why it was not tried; None where it was.

    Raises:
        Refused: it may not be written to.
        SourceUnavailable: Kafka cannot be reached, or does not take it now.
    """
    name = f"tollbell-check-{ids.new()}"
    try:
        with translated(f"writing to topic {topic}"):
            async with asyncio.timeout(WRITE_TIMEOUT):
                await _write(kafka, topic, name)
    except Refused as exc:
        if not isinstance(exc.__cause__, TransactionalIdAuthorizationFailed):
            raise
        return "the write was not tried: that takes Write on transactional ids that begin with tollbell-check"
    return None


async def _write(kafka: Kafka, topic: str, transactional_id: str) -> None:
    producer: AIOKafkaProducer = kafka.producer(transactional_id)
    try:
        await producer.start()
        await producer.begin_transaction()
        try:
            await producer.send_and_wait(topic, key=b"tollbell-check", value=b"")
        finally:
            await producer.abort_transaction()
    finally:
        await close(producer)


async def findings(kafka: Kafka, found: Mapping[str, Sequence[int]], dead_letters: str) -> list[str]:
    """Return what is risky about topics: *found* are those that are read, with their partitions.

    Raises:
        Refused: the dead letters' topic takes no record without a key.
        SourceUnavailable: Kafka cannot be reached.
    """
    said: list[str] = []
    if len({len(numbers) for numbers in found.values()}) > 1:
        counts = ", ".join(f"{topic} has {len(numbers)}" for topic, numbers in found.items())
        said.append(
            f"{counts} partitions: records of one entitlement or invoice that share a key are then in different"
            " partitions, and judged in any order: give all topics the same number"
        )
    try:
        configs = await topics_of.configs(kafka, [*found, dead_letters])
    except Refused:
        return [*said, "this user lacks DescribeConfigs on the topics: identities of events are then never removed"]
    if "compact" in (configs[dead_letters].get("cleanup.policy") or ""):
        raise Refused(
            f"Kafka: topic {dead_letters}: is compacted, which refuses records without a key, and drops others:"
            " set cleanup.policy=delete"
        )
    for topic in found:
        said += _risks(topic, configs[topic])
    return said


def _risks(topic: str, config: Mapping[str, str | None]) -> list[str]:
    said = []
    if "compact" in (config.get("cleanup.policy") or ""):
        said.append(
            f"topic {topic} is compacted: of records that share a key only the newest is sure to be read:"
            " set cleanup.policy=delete"
        )
    kept = int(config.get("retention.ms") or -1)
    if 0 <= kept < OUTAGE / dt.timedelta(milliseconds=1):
        said.append(
            f"topic {topic} keeps its records for {dt.timedelta(milliseconds=kept)}: an outage of Tollbell that lasts"
            f" longer loses some: set retention.ms to {SAID_OUTAGE} or more"
        )
    return said
