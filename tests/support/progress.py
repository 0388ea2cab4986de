"""How far a service has come: its consumer group, as Kafka knows it, and its deliveries, as Postgres does."""

import asyncio

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer import clock
from consumer.demo.servers.contracts import Broker

WAITING = "datname = current_database() AND wait_event_type = 'Lock'"  # in pg_stat_activity


async def read_to_the_end(kafka: Broker, group: str, topic: str, seconds: float = 60) -> None:
    """Return once *group* has committed the end of every partition of *topic*."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    async with consumer, asyncio.timeout(seconds):
        await consumer._client.force_metadata_update()  # noqa: SLF001 - a member of no partition asks for it
        partitions = [TopicPartition(topic, n) for n in sorted(await _partitions(consumer, topic))]
        while True:
            ends = await consumer.end_offsets(partitions)
            committed = {tp: await consumer.committed(tp) for tp in partitions}
            if all((committed[tp] or 0) >= ends[tp] for tp in partitions):
                return
            await clock.wait(asyncio.Event(), 0.1)


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer.topics()
    await consumer._client.add_topic(topic)  # noqa: SLF001 - likewise
    return consumer.partitions_for_topic(topic) or set()


async def nothing_open(database: str, seconds: float = 120) -> None:
    """Return once every delivery has ended."""
    connection = await asyncpg.connect(database)
    try:
        async with asyncio.timeout(seconds):
            while await connection.fetchval("SELECT count(*) FROM delivery WHERE due_at IS NOT NULL"):
                await clock.wait(asyncio.Event(), 0.2)
    finally:
        await connection.close()


async def statement_waits(database: str, seconds: float = 30) -> None:
    """Return once a statement waits for another's lock."""
    connection = await asyncpg.connect(database)
    try:
        async with asyncio.timeout(seconds):
            while not await connection.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {WAITING}"):  # noqa: S608
                await clock.wait(asyncio.Event(), 0.02)
    finally:
        await connection.close()
