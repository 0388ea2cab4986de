"""A rebalance: nothing is taken while the group joins. What is committed then is refused, and brings the next one."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer import clock
from consumer.consume.fetch import Fetch
from consumer.consume.starts import Starts
from consumer.demo.servers.contracts import Broker
from consumer.store.database import Database
from tests.conftest import MakeTopic, Produce
from tests.integration.consume.test_glances import at, ingest
from tests.support.one_rule import configure, scalar

EVENTS = "SELECT count(*) FROM event"


async def test_between_a_revoking_and_the_next_assignment_nothing_is_taken(
    kafka: Broker, make_topic: MakeTopic, produce: Produce, store: Database, database: str
) -> None:
    await configure(store, "hook")
    topic = await make_topic()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, group_id=topic, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    to, stop = await ingest(store), asyncio.Event()
    starts = Starts(consumer, store, to.metrics, group_id=topic, start="earliest")
    fetch = Fetch(consumer, to, starts, [topic], stop_at=lambda: clock.monotonic() + 10)
    async with consumer, asyncio.timeout(60):
        fetch.subscribe()
        running = asyncio.create_task(fetch.run(stop))
        await produce(topic, at(0, 85), partition=0)
        while await scalar(database, EVENTS) != 1:
            await clock.wait(asyncio.Event(), 0.05)

        tp = TopicPartition(topic, 0)
        await fetch.on_partitions_revoked([tp])
        await produce(topic, at(0, 85, "ent-2"), partition=0)
        while await consumer.position(tp) < 2:  # aiokafka goes on giving what it fetches
            await clock.wait(asyncio.Event(), 0.05)
        stop.set()
        await running  # with what it has taken, and committed

        assert (await scalar(database, EVENTS), await consumer.committed(tp)) == (1, 1)
