"""A deployment with the rules of some workloads, a receiver, and where the records go."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer import clock
from consumer.demo.servers.contracts import Broker
from tests.conftest import Produce
from tests.property.words import Billed, Shown
from tests.support.fakes import Receiver
from tests.support.ledger import Ledger, balance
from tests.support.progress import read_to_the_end
from tests.support.service import Deployment, Replica
from tests.support.verification import SECRET
from tests.support.workload import Workload, encoded, rules_file

PARTITIONS = 3
SETTINGS = {
    "TOLLBELL_CONSUME_PERIOD_END_DELAY": "24h",  # the oracle cannot know when the clock looks: in the end, `Stage.ends`
    "TOLLBELL_RETENTION": "730d",  # the periods are long over: nothing of them may go while they are judged
    "TOLLBELL_DELIVERY_TIMEOUT": "2s",
    "TOLLBELL_LOG_LEVEL": "info",
}
# What the clock has to end, by its own predicate.
DUE = """SELECT count(*) FROM entitlement WHERE NOT ended AND deleted_at IS NULL AND period_to <= now()
    AND (shown_at < period_to OR fired_at IS NOT NULL) AND (active_to IS NULL OR active_to > period_to)"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A deployment with the rules of some workloads, and where their records go: usage, resets, invoices."""

    deployment: Deployment
    kafka: Broker
    receiver: Receiver
    produce: Produce
    workloads: Sequence[Workload]
    topics: tuple[str, ...]

    @property
    def group(self) -> str:
        return self.deployment.environment["TOLLBELL_KAFKA_GROUP_ID"]

    def place(self, record: Shown | Billed) -> TopicPartition:
        """The type decides, never the topic: an entitlement's resets and snapshots are in one, whichever."""
        usage, resets, invoices = self.topics
        number = sum(map(ord, "".join(record.about)))
        among = (usage, invoices) if isinstance(record, Billed) else (usage, resets)
        return TopicPartition(among[number % 2], number // 2 % PARTITIONS)

    async def send(self, part: int, parts: int) -> None:
        """Produce the *part*th of *parts* of every workload, in order within each partition."""
        placed: dict[TopicPartition, list[bytes]] = {}
        for one in self.workloads:
            start, end = (len(one.records) * n // parts for n in (part, part + 1))
            for record in one.records[start:end]:
                placed.setdefault(self.place(record), []).append(encoded(record))
        await asyncio.gather(
            *(self.produce(tp.topic, *values, partition=tp.partition) for tp, values in placed.items())
        )

    async def settled(self, seconds: float = 90) -> list[asyncpg.Record]:
        """Return the events, each with its delivery's state, once everything is read and every delivery has ended.

        Raises:
            TimeoutError: that takes more than *seconds*.
        """
        async with asyncio.timeout(seconds):
            for topic in self.topics:
                await read_to_the_end(self.kafka, self.group, topic, seconds=seconds)
            while True:
                rows = await self.rows()
                if all(row["state"] in {"SUCCESS", "FAILED"} for row in rows):
                    return rows
                await clock.wait(asyncio.Event(), 0.1)

    async def ends(self) -> None:
        """Let the clock end every period that it has to, by a replica for that alone; call it when all is read."""
        connection = await asyncpg.connect(self.deployment.environment["TOLLBELL_DATABASE_URL"])
        settings = {"TOLLBELL_CONSUME_PERIOD_END_DELAY": "0s"}
        try:
            async with await self.deployment.replica("--only", "consume", **settings), asyncio.timeout(60):
                while await connection.fetchval(DUE):
                    await clock.wait(asyncio.Event(), 0.1)
        finally:
            await connection.close()

    async def rows(self) -> list[asyncpg.Record]:
        """Return the workloads' events, each with its delivery's state."""
        connection = await asyncpg.connect(self.deployment.environment["TOLLBELL_DATABASE_URL"])
        try:
            return await connection.fetch(
                "SELECT e.id, r.namespace, r.key, e.payload, e.recorded_at, d.state, n.ended,"
                " ARRAY(SELECT a.number FROM attempt a WHERE a.event_id = e.id AND a.delivery_id = d.id ORDER BY 1)"
                " AS attempts,"
                " coalesce(n.begins_at, n.period_from) AS current_from FROM event e"
                " JOIN rule r ON r.id = e.rule_id LEFT JOIN delivery d ON d.event_id = e.id"
                " LEFT JOIN entitlement n ON n.namespace = e.namespace AND n.id = e.entitlement_id"
                " WHERE r.namespace = ANY($1) ORDER BY e.id",
                [one.namespace for one in self.workloads],
            )
        finally:
            await connection.close()

    async def leased(self) -> set[str]:
        """Return the events with a leased delivery, also where the process that leased it has died."""
        connection = await asyncpg.connect(self.deployment.environment["TOLLBELL_DATABASE_URL"])
        try:
            found = await connection.fetch("SELECT event_id FROM delivery WHERE token IS NOT NULL")
        finally:
            await connection.close()
        return {row["event_id"] for row in found}

    def ledger(self, rows: Sequence[asyncpg.Record]) -> Ledger:
        """Compare *rows* and what the receiver got with what the oracle expects."""
        return balance(self.workloads, rows, self.receiver.requests)

    async def read_again_from(self, dice: random.Random) -> None:
        """Set the group's offsets back: what was written there counts as not committed."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap, group_id=self.group, enable_auto_commit=False
        )
        async with consumer:
            partitions = [TopicPartition(topic, n) for topic in self.topics for n in range(PARTITIONS)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await consumer.commit({tp: dice.randint(0, end) for tp, end in ends.items()})


async def staged(
    deployment: Deployment, kafka: Broker, receiver: Receiver, produce: Produce, made: Sequence[Workload]
) -> Stage:
    """Apply the rules of the workloads *made*, each a namespace with a channel to *receiver*."""
    for one in made:
        file = deployment.directory / f"{one.namespace}.yaml"
        file.write_text(rules_file(one, receiver.url(f"/{one.namespace}")))
    files = [str(deployment.directory / f"{one.namespace}.yaml") for one in made]
    applied = await asyncio.gather(*(deployment.tollbell("apply", file, HOOK_SECRET=SECRET) for file in files))
    assert [one.err for one in applied if one.status] == []
    usage, resets, invoices = (
        deployment.environment[f"TOLLBELL_TOPICS_{of}"] for of in ("USAGE", "RESETS", "INVOICES")
    )
    return Stage(deployment, kafka, receiver, produce, made, (usage, resets, invoices))


@asynccontextmanager
async def replicas(deployment: Deployment, *environments: Mapping[str, str]) -> AsyncIterator[list[Replica]]:
    """Give a replica for each of *environments* (what differs of the deployment's), each with its partitions."""
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(await deployment.replica(**one)) for one in environments]
        for one in started:
            await one.ready()
        yield started
