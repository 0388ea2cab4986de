"""How far a partition is: by its position, which steps over what makes no record; and what is committed of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from consumer import clock
from consumer.consume import offset_committer
from consumer.consume.offset_committer import OffsetCommitter
from consumer.consume.progress import Batches, Progress
from consumer.demo.servers.contracts import Broker
from consumer.errors import SourceUnavailable, StoreUnavailable
from tests.conftest import MakeDeployment, MakeTopic, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.progress import read_to_the_end, statement_waits
from tests.support.service import Replica
from tests.support.verification import SECRET


@asynccontextmanager
async def reading(kafka: Broker, topic: str) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
    """Give a consumer that begins with the first record of *topic*."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        group_id=topic,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    async with consumer:
        consumer.assign([tp := TopicPartition(topic, 0)])
        yield consumer, tp


async def nothing() -> None:
    """What is to be made durable before a commit."""


async def polled(consumer: AIOKafkaConsumer) -> Batches:
    """The next two records."""
    found: Batches = await consumer.getmany(timeout_ms=10_000, max_records=2)
    return found


async def test_progress_is_the_start_of_the_batch_in_flight(
    kafka: Broker, make_topic: MakeTopic, produce: Produce
) -> None:
    await produce(topic := await make_topic(1), *[b"%d" % n for n in range(4)], partition=0)
    async with reading(kafka, topic) as (consumer, tp):
        progress = Progress(consumer)

        progress.begin(await polled(consumer))
        in_flight = dict(progress.look())
        begun = progress.end()
        ended = dict(progress.look())

    assert (in_flight, begun, ended) == ({tp: 0}, {tp: 0}, {tp: 2})


async def test_a_partition_that_moved_is_neither_read_nor_committed(
    kafka: Broker, make_topic: MakeTopic, produce: Produce
) -> None:
    await produce(topic := await make_topic(1), b"0", b"1", partition=0)
    async with reading(kafka, topic) as (consumer, tp):
        progress, committer = Progress(consumer), OffsetCommitter(consumer, nothing)
        progress.begin(await polled(consumer))

        progress.forget([tp])
        committer.schedule({tp: 2})
        committer.forget([tp])
        await committer.drained()

        assert progress.end() == {}
        assert await consumer.committed(tp) is None


async def test_offsets_of_a_failed_commit_go_with_the_next_one(
    kafka: Broker, make_topic: MakeTopic, produce: Produce, monkeypatch: pytest.MonkeyPatch
) -> None:
    await produce(topic := await make_topic(1), *[b"%d" % n for n in range(6)], partition=0)
    async with reading(kafka, topic) as (consumer, tp):
        committer = OffsetCommitter(consumer, nothing)
        with monkeypatch.context() as patch:
            patch.setattr(offset_committer, "COMMIT_TIMEOUT", 0)
            committer.schedule({tp: 2})
            await committer.drained()
        committer.schedule({tp: 4})
        await committer.drained()
        failure, again = committer.failure(), committer.failure()

        committer.resume()
        await committer.drained()

        assert isinstance(failure, SourceUnavailable)
        assert again is None
        assert (committer.failure(), await consumer.committed(tp)) == (None, 4)


async def test_nothing_is_committed_before_what_was_left_to_it(
    kafka: Broker, make_topic: MakeTopic, produce: Produce
) -> None:
    await produce(topic := await make_topic(1), b"0", b"1", partition=0)
    async with reading(kafka, topic) as (consumer, tp):
        failing = [StoreUnavailable("Postgres: not there")]

        async def before() -> None:
            assert await consumer.committed(tp) is None
            if failing:
                raise failing.pop()

        committer = OffsetCommitter(consumer, before)
        committer.schedule({tp: 2})
        await committer.drained()
        failure, committed = committer.failure(), await consumer.committed(tp)
        committer.resume()
        await committer.drained()

        assert (str(failure), committed) == ("Postgres: not there", None)
        assert (committer.failure(), await consumer.committed(tp)) == (None, 2)


async def test_an_unwritten_batch_in_flight_is_not_committed(
    kafka: Broker, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_KAFKA_START="earliest", TOLLBELL_DRAIN_TIMEOUT="1s")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic, database = deployment.environment["TOLLBELL_TOPICS_USAGE"], deployment.environment["TOLLBELL_DATABASE_URL"]
    group = deployment.environment["TOLLBELL_KAFKA_GROUP_ID"]
    connection = await asyncpg.connect(database)
    async with await deployment.replica() as replica, connection.transaction():
        await replica.ready()
        await connection.execute("SELECT FROM rule FOR UPDATE")
        await produce(topic, native_record(90), partition=0)
        await statement_waits(database)

        await replica.terminate()  # its drain ends while the batch waits; what it would commit meanwhile, it has
    await connection.close()

    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    async with consumer:
        assert not await consumer.committed(TopicPartition(topic, 0))


async def no_lag(replica: Replica, topic: str) -> None:
    """Return once the lag of the partition is known, and 0."""
    async with asyncio.timeout(30):
        while True:
            _, text = await replica.http("/metrics")
            if f'tollbell_consumer_lag{{partition="0",topic="{topic}"}} 0.0' in text:
                return
            await clock.wait(asyncio.Event(), 0.1)


@pytest.mark.real_kafka
@pytest.mark.parametrize("ending", ["commit_transaction", "abort_transaction"])
async def test_an_idle_partition_is_read_past_a_transactions_end(
    ending: str, kafka: Broker, deploy: MakeDeployment, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_KAFKA_START="earliest")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic)
    async with producer, await deployment.replica() as replica:
        await replica.ready()
        await producer.begin_transaction()
        await producer.send_and_wait(topic, native_record(90), partition=0)
        await getattr(producer, ending)()

        await read_to_the_end(kafka, deployment.environment["TOLLBELL_KAFKA_GROUP_ID"], topic)

        await no_lag(replica, topic)
        if ending == "commit_transaction":
            await receiver.wait_for(1)
        assert len(receiver.requests) == (ending == "commit_transaction")
        assert await replica.terminate() == 0
