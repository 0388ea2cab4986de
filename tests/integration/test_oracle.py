"""The running service tells what the oracle tells, whatever happens to its replicas: nothing lost, nothing twice.

All four rule types, several namespaces, records spread over three topics, one in five of them twice, late ones among
them. Every record of an entitlement or invoice is in one partition, so the order in which it arrives is known.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer import clock
from consumer.servers.contracts import Broker
from tests.conftest import MakeDeployment, MakeTopic, Produce
from tests.fakes import Receiver
from tests.progress import read_to_the_end
from tests.property.words import Billed, Event, Rule, Shown
from tests.service import Deployment, Replica
from tests.verification import SECRET, verify
from tests.workload import Workload, encoded, rules_file, seen, told, workloads

PARTITIONS = 3
EXAMPLES = 5  # for each of the two tests
pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(300)]


@pytest.fixture
def seed() -> int:
    """The run's own; `TOLLBELL_TEST_SEED=…` repeats one."""
    chosen = int(os.environ.get("TOLLBELL_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"TOLLBELL_TEST_SEED={chosen}")  # noqa: T201 - shown where the test fails
    return chosen


@dataclass(frozen=True, slots=True)
class Stage:
    """A deployment with the rules of some workloads, and where their records go."""

    deployment: Deployment
    kafka: Broker
    receiver: Receiver
    produce: Produce
    workloads: Sequence[Workload]
    topics: tuple[str, str, str]

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

    async def settled(self) -> list[asyncpg.Record]:
        """Return the events once everything is read and every delivery has ended."""
        for topic in self.topics:
            await read_to_the_end(self.kafka, self.group, topic, seconds=90)
        connection = await asyncpg.connect(self.deployment.environment["TOLLBELL_DATABASE_URL"])
        try:
            async with asyncio.timeout(60):
                while await connection.fetchval("SELECT count(*) FROM delivery WHERE ended_at IS NULL"):
                    await clock.wait(asyncio.Event(), 0.1)
            return await connection.fetch(
                "SELECT e.id, r.namespace, r.key, e.payload, d.state FROM event e"
                " JOIN rule r ON r.id = e.rule_id JOIN delivery d ON d.event_id = e.id ORDER BY e.id"
            )
        finally:
            await connection.close()

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


@pytest.fixture
async def stage(
    seed: int, kafka: Broker, deploy: MakeDeployment, make_topic: MakeTopic, produce: Produce, receiver: Receiver
) -> Stage:
    resets, invoices = await make_topic(PARTITIONS), await make_topic(PARTITIONS)
    deployment = await deploy(
        PARTITIONS,
        TOLLBELL_RETENTION="730d",  # the periods are long over: nothing of them may go while they are judged
        TOLLBELL_TOPICS_RESETS=resets,
        TOLLBELL_TOPICS_INVOICES=invoices,
        TOLLBELL_DELIVERY_TIMEOUT="2s",
        TOLLBELL_LOG_LEVEL="info",
    )
    made = workloads(EXAMPLES, seed)
    for one in made:
        file = deployment.directory / f"{one.namespace}.yaml"
        file.write_text(rules_file(one, receiver.url(f"/{one.namespace}")))
    files = [str(deployment.directory / f"{one.namespace}.yaml") for one in made]
    applied = await asyncio.gather(*(deployment.tollbell("apply", file, HOOK_SECRET=SECRET) for file in files))
    assert [one.err for one in applied if one.status] == []
    usage = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    return Stage(deployment, kafka, receiver, produce, made, (usage, resets, invoices))


@asynccontextmanager
async def replicas(deployment: Deployment, number: int) -> AsyncIterator[list[Replica]]:
    """Give *number* replicas that have their partitions, started together."""
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(await deployment.replica()) for _ in range(number)]
        for one in started:
            await one.ready()
        yield started


def check(stage: Stage, rows: Sequence[asyncpg.Record]) -> None:
    """Compare what is in the database, and what the receiver got, with what the oracle tells."""
    for one in stage.workloads:
        story = one.story()
        found = [
            told(row["namespace"], row["key"], row["payload"]) for row in rows if row["namespace"] == one.namespace
        ]
        following = {name for name, rule in one.rules.items() if rule.looks_back}
        assert Counter(e for e in found if e.rule not in following) == Counter(
            e for e in seen(story.events) if e.rule not in following
        )
        for name in following:
            check_following(
                one.rules[name], [e for e in found if e.rule == name], [e for e in story.events if e.rule == name]
            )
    assert len(rows) > 10 * len(stage.workloads)  # enough of them to mean something
    bodies: dict[str, set[bytes]] = {}
    for request in stage.receiver.requests:
        bodies.setdefault(verify(request)["id"], set()).add(request.body)
    assert bodies == {row["id"]: {row["payload"]} for row in rows}
    assert {row["state"] for row in rows} <= {"SUCCESS"}


def check_following(rule: Rule, found: Sequence[Event], expected: Sequence[Event]) -> None:
    """Of rules that look back the contract promises, when records are read again: none twice, none without its first.

    Which episodes there are is a matter of the order in which records come, again ones too. That a threshold was
    reached in a period is not.
    """
    identities = {(one.about, one.identity) for one in found}
    assert len(identities) == len(found)
    for about, (period, line, action, episode) in identities:
        assert action == "triggered" or (about, (period, line, "triggered", episode)) in identities
    if rule.on_create == "evaluate":
        assert first(found) == first(expected)


def first(events: Sequence[Event]) -> set[Event]:
    return {one for one in events if one.identity[2:] == ("triggered", 1)}


async def first_to_write(one: Replica, other: Replica) -> tuple[Replica, Replica]:
    """Return the two, the one first that has just written a batch."""
    waiting = {asyncio.create_task(each.logged("batch.ingested")): each for each in (one, other)}
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return (one, other) if waiting[next(iter(done))] is one else (other, one)


async def after(seconds: float, act: Callable[[], Awaitable[object]]) -> None:
    """Do it at whatever moment that is for a replica."""
    await clock.wait(asyncio.Event(), seconds)
    await act()


async def test_kills_and_swapped_partitions_lose_nothing_and_make_nothing_twice(stage: Stage, seed: int) -> None:
    dice = random.Random(seed)
    async with replicas(stage.deployment, 2) as two:
        sending = asyncio.create_task(stage.send(0, 4))
        victim, other = await first_to_write(*two)  # written; its offsets perhaps not committed
        victim.kill()
        await sending
        async with replicas(stage.deployment, 1) as (joiner,):  # partitions move while records flow
            await asyncio.gather(stage.send(1, 4), after(dice.random(), other.terminate))
            async with replicas(stage.deployment, 1) as (last,):
                await asyncio.gather(stage.send(2, 4), after(dice.random(), joiner.dies))
                await stage.send(3, 4)
                rows = await stage.settled()
                assert await last.terminate() == 0

    check(stage, rows)


async def test_a_batch_written_whose_offsets_were_not_committed_is_read_again_and_adds_nothing(
    stage: Stage, seed: int
) -> None:
    dice = random.Random(seed)
    async with replicas(stage.deployment, 1) as (one,):
        await stage.send(0, 2)
        before = await stage.settled()
        assert await one.terminate() == 0
    await stage.read_again_from(dice)

    async with replicas(stage.deployment, 2) as (left, right):
        between = await stage.settled()
        await stage.send(1, 2)
        after = await stage.settled()
        assert [await left.terminate(), await right.terminate()] == [0, 0]

    following = {
        (one.namespace, name) for one in stage.workloads for name, rule in one.rules.items() if rule.looks_back
    }
    known = {row["id"] for row in before}
    assert {row["id"] for row in between} >= known
    assert {(row["namespace"], row["key"]) for row in between if row["id"] not in known} <= following
    check(stage, after)
