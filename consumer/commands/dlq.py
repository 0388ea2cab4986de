"""`tollbell dlq list|replay`: look at dead letters, and judge them again once their cause is mended."""

import asyncio
import dataclasses
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

import click
from aiokafka import TopicPartition

from consumer.app import kafka
from consumer.commands.common import open_database, settings
from consumer.config import Settings
from consumer.consume.aiokafka_patch.records import UnreadableBatch
from consumer.consume.batch import KafkaRecord
from consumer.consume.dead_letters import OWN_PREFIX, DeadLetter
from consumer.consume.ingest import Ingest
from consumer.consume.kafka import partitions, translated
from consumer.consume.levels import Levels
from consumer.consume.memory import Memory
from consumer.consume.rulebook import Rulebook
from consumer.errors import Refused
from consumer.metrics import Metrics
from consumer.store import migrate, outbox

SHOWN_BYTES: Final = 200  # of a value: enough to recognise it
POLL_MS: Final = 1000
BATCH_RECORDS: Final = 500
_NUMBER: Final = re.compile("-?[0-9]{1,18}")  # Kafka's have 64 bits


@click.group()
def dlq() -> None:
    """Look at dead letters, or judge them again."""


@dlq.command("list")
@click.option("--limit", default=100, show_default=True, help="Of the newest dead letters.")
def list_letters(limit: int) -> None:
    """Print dead letters, a JSON line each, oldest first: where from, why, and the start of the value."""
    asyncio.run(_list(settings("kafka_bootstrap_servers"), limit))


@dlq.command()
def replay() -> None:
    """Judge all dead letters again, here, by the rules of now. Nothing is produced to any topic.

    What can be understood now makes its events, each once, however often this is run. What still can't be stays.
    """
    asyncio.run(_replay(settings("kafka_bootstrap_servers")))


async def _list(read: Settings, limit: int) -> None:
    newest: deque[str] = deque(maxlen=max(limit, 0))
    async for records in _dead_letters(read):
        newest.extend(_line(record) for record in records)
    for line in newest:
        click.echo(line)


def _line(record: KafkaRecord) -> str:
    own = _own_headers(record)
    return json.dumps(
        {
            **{name: own.get(name, "") for name in ("reason", "error", "topic", "partition", "offset", "time")},
            "cut": own.get("cut", ""),
            "key": (record.key or b"")[:SHOWN_BYTES].decode(errors="replace"),
            "value": (record.value or b"")[:SHOWN_BYTES].decode(errors="replace"),
        },
        ensure_ascii=False,
    )


class _StillRejected:
    """Takes the place of the dead-letter topic: what still can't be understood stays where it is."""

    def __init__(self) -> None:
        self.count = 0

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        self.count += len(letters)


async def _replay(read: Settings) -> None:
    rejected = _StillRejected()
    records = events = 0
    async with open_database() as (database, _):
        await migrate.check(database)
        metrics = Metrics()
        rulebook = Rulebook(database, metrics)
        await rulebook.refresh()
        ingest = Ingest(
            database=database,
            memory=Memory(database, limit=read.consume_memory_entitlements),
            rulebook=rulebook,
            dead_letters=rejected,
            metrics=metrics,
            announce=lambda: None,
            future_tolerance=read.consume_future_tolerance,
        )
        levels = Levels(database, ingest.memory)
        async for letters in _dead_letters(read):
            tally = await ingest.batch([_original(letter) for letter in letters])
            await levels.write()
            records += tally.records
            events += tally.events
        await outbox.notify(database, sender="")
    click.echo(f"{records} dead letters judged, {events} events made, {rejected.count} still cannot be understood")


async def _dead_letters(read: Settings) -> AsyncIterator[Sequence[KafkaRecord]]:
    """Give all dead letters that are there now, in batches, oldest first within a partition.

    Raises:
        SourceUnavailable: Kafka cannot be reached.
        Refused: the topic does not exist.
    """
    client = kafka(read)
    topic = read.topic_dead_letters
    tps = [TopicPartition(topic, n) for n in (await partitions(client, reads=[topic]))[topic]]
    consumer = client.consumer(None)
    try:
        with translated("reading dead letters"):
            await consumer.start()
            consumer.assign(tps)
            begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
            left = {tp for tp in tps if ends[tp] > begins[tp]}
            for tp in tps:
                consumer.seek(tp, begins[tp])
            while left:
                for tp, records in (await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)).items():
                    if any(isinstance(record.value, UnreadableBatch) for record in records):
                        raise Refused(f"Kafka: {tp.topic}/{tp.partition} has records that cannot be read")
                    yield [record for record in records if record.offset < ends[tp]]
                left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
    finally:
        await consumer.stop()


def _own_headers(record: KafkaRecord) -> dict[str, str]:
    return {
        name.removeprefix(OWN_PREFIX): (text or b"").decode(errors="replace")
        for name, text in record.headers
        if name.startswith(OWN_PREFIX)
    }


def _original(record: KafkaRecord) -> KafkaRecord:
    """Return the record as it was on its own topic."""
    own = _own_headers(record)
    return dataclasses.replace(
        record,
        topic=own.get("topic", record.topic),
        partition=_number(own, "partition", record.partition),
        offset=_number(own, "offset", record.offset),
        timestamp=_number(own, "time", record.timestamp),
        headers=tuple((name, text) for name, text in record.headers if not name.startswith(OWN_PREFIX)),
    )


def _number(own: Mapping[str, str], name: str, otherwise: int) -> int:
    """Return a header's number; *otherwise* where it is none: anybody may write to a topic."""
    return int(own[name]) if _NUMBER.fullmatch(own.get(name, "")) else otherwise
