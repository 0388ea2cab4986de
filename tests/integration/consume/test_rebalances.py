"""A rebalance: nothing is taken while the group joins. What is committed then is refused, and brings the next one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from consumer import clock
from consumer.consume import fetch as fetches
from consumer.consume import gathering
from consumer.consume.dead_letters import Sink
from consumer.consume.fetch import Fetch
from consumer.consume.starts import Starts
from consumer.demo.servers.contracts import Broker
from consumer.errors import Refused
from consumer.store.database import Database
from tests.conftest import MakeTopic, Produce
from tests.integration.consume.test_glances import at, ingest
from tests.integration.consume.test_stale_memory import Letters
from tests.support.one_rule import configure, scalar
from tests.support.progress import WAITING, statement_waits

EVENTS = "SELECT count(*) FROM event"
END_OF_WAITING = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WAITING}"  # noqa: S608


class Hangs(ConsumerRebalanceListener):  # type: ignore[misc]
    """A member that does not join again, from the second rebalance on."""

    def __init__(self) -> None:
        self.rebalances = 0
        self.released = asyncio.Event()

    async def on_partitions_revoked(self, _revoked: object) -> None:
        self.rebalances += 1
        if self.rebalances > 1:
            await self.released.wait()

    async def on_partitions_assigned(self, _assigned: object) -> None:
        pass


def member(kafka: Broker, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        group_id=topic,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=200,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )


@asynccontextmanager
async def fetching(
    kafka: Broker, store: Database, topic: str, letters: Sink | None = None
) -> AsyncIterator[tuple[AIOKafkaConsumer, Fetch]]:
    """Give a consumer that has joined, and its loop."""
    await configure(store, "hook")
    consumer, to = member(kafka, topic), await ingest(store, letters)
    starts = Starts(consumer, store, to.metrics, group_id=topic, start="earliest")
    fetch = Fetch(consumer, to, starts, [topic], stop_at=lambda: clock.monotonic() + 10)
    async with consumer, asyncio.timeout(90):
        fetch.subscribe()
        await until(lambda: fetch.waiting_for is None)
        yield consumer, fetch


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await clock.wait(asyncio.Event(), 0.05)


async def measured_for_long(fetch: Fetch) -> None:
    while True:
        await fetch.measure()
        await clock.wait(asyncio.Event(), 0.1)


@asynccontextmanager
async def rebalancing(kafka: Broker, topic: str) -> AsyncIterator[None]:
    """Give a group of which a member hangs, while another one joins."""
    hanging, third = Hangs(), member(kafka, topic)
    async with member(kafka, topic) as second:
        second.subscribe([topic], listener=hanging)
        await until(lambda: bool(second.assignment()))
        async with third:
            third.subscribe([topic])
            await until(lambda: hanging.rebalances > 1)
            try:
                yield
            finally:
                hanging.released.set()


async def test_nothing_is_taken_between_revocation_and_assignment(
    kafka: Broker, make_topic: MakeTopic, produce: Produce, store: Database, database: str
) -> None:
    topic, stop = await make_topic(), asyncio.Event()
    async with fetching(kafka, store, topic) as (consumer, fetch):
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


@pytest.mark.real_kafka
async def test_a_rebalance_between_two_polls_doubles_no_record(
    kafka: Broker, make_topic: MakeTopic, produce: Produce, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second poll waits for the group, and gives what the first one gave once more."""
    monkeypatch.setattr(gathering, "IDLE_BELOW", -1.0)
    monkeypatch.setattr(fetches, "SECOND_POLL_MS", 60_000)
    topic, other, stop, letters = await make_topic(), await make_topic(), asyncio.Event(), Letters()
    async with fetching(kafka, store, topic, letters) as (consumer, fetch):
        running = asyncio.create_task(fetch.run(stop))
        await produce(topic, b"no record", partition=0)
        while await consumer.position(TopicPartition(topic, 0)) < 1:  # by the first poll
            await clock.wait(asyncio.Event(), 0.05)

        async with member(kafka, topic) as second:
            second.subscribe([other])
            await until(lambda: bool(letters.sent))
        stop.set()
        await running

        assert [one.record.offset for one in letters.sent] == [0]


@pytest.mark.real_kafka
async def test_a_stop_does_not_wait_for_a_rebalance_without_postgres(
    kafka: Broker,
    make_topic: MakeTopic,
    produce: Produce,
    store: Database,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetches, "REVOKE_TIMEOUT", 0.1)
    topic, stop = await make_topic(2), asyncio.Event()
    connection = await asyncpg.connect(database)
    async with fetching(kafka, store, topic) as (_, fetch), connection.transaction():
        await connection.execute("LOCK TABLE entitlement")
        running = asyncio.create_task(fetch.run(stop))
        for partition in (0, 1):
            await produce(topic, at(0, 85, f"ent-{partition}"), partition=partition)
        await statement_waits(database)
        async with rebalancing(kafka, topic):
            await scalar(database, END_OF_WAITING)
            await until(lambda: fetch.waiting_for is not None)

            stop.set()
            ended, _ = await asyncio.wait({running}, timeout=5)

            assert ended
        await running
    await connection.close()


@pytest.mark.real_kafka
async def test_a_join_that_hangs_is_not_ready_then_ends_the_process(
    kafka: Broker, make_topic: MakeTopic, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, stop = await make_topic(2), asyncio.Event()
    async with fetching(kafka, store, topic) as (_, fetch):
        running = asyncio.create_task(fetch.run(stop))
        async with rebalancing(kafka, topic):
            await fetch.measure()
            monkeypatch.setattr(fetches, "SLOW_JOIN", 0.1)
            await until(lambda: fetch.waiting_for == "Kafka: the group is rebalancing: no partitions yet")
            monkeypatch.setattr(fetches, "UNJOINED_AFTER", 0.1)

            with pytest.raises(Refused, match="its group is not joined"):
                await fetch.measure()

        await until(lambda: fetch.waiting_for is None)
        await fetch.measure()
        stop.set()
        await running


async def test_a_stalled_partition_ends_the_process(
    kafka: Broker,
    make_topic: MakeTopic,
    produce: Produce,
    store: Database,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With and without a position."""
    topic, stop = await make_topic(2), asyncio.Event()
    async with fetching(kafka, store, topic) as (consumer, fetch):
        running = asyncio.create_task(fetch.run(stop))
        await produce(topic, at(0, 85), partition=0)
        while await scalar(database, EVENTS) != 1:
            await clock.wait(asyncio.Event(), 0.05)
        consumer._fetcher._fetch_task.cancel()  # noqa: SLF001 - as one that has died: nothing else says that it has
        await produce(topic, at(1, 85), partition=0)
        await fetch.measure()

        with monkeypatch.context() as patch:
            patch.setattr(fetches, "STUCK_AFTER", 0)
            with pytest.raises(Refused, match=r"/0: consumer stalled \(lag 1\): restart the process"):
                await fetch.measure()
        async with member(kafka, topic) as second:
            second.subscribe([topic])
            await until(lambda: bool(second.assignment()))  # and the other partition was assigned again
            monkeypatch.setattr(fetches, "UNJOINED_AFTER", 1)
            with pytest.raises(Refused, match=r"consumer stalled \(no position\): restart the process"):
                await measured_for_long(fetch)

        stop.set()
        await running


@pytest.mark.parametrize("dies", ["raises", "is cancelled"])
async def test_a_dead_coordinator_in_aiokafka_ends_the_process(
    dies: str, kafka: Broker, make_topic: MakeTopic, produce: Produce, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, stop = await make_topic(), asyncio.Event()
    async with fetching(kafka, store, topic) as (consumer, fetch):
        running = asyncio.create_task(fetch.run(stop))
        while await consumer.committed(TopicPartition(topic, 0)) is None:
            await clock.wait(asyncio.Event(), 0.05)
        coordinator = consumer._coordinator  # noqa: SLF001 - the part that dies (aiokafka#376)
        with monkeypatch.context() as patch:
            if dies == "raises":
                patch.setattr(coordinator, "ensure_coordinator_known", None)
                coordinator.coordinator_dead()
            else:
                coordinator._coordination_task.cancel()  # noqa: SLF001 - likewise
            await until(lambda: "coordinat" in (fetch.waiting_for or ""))
        await produce(topic, at(0, 85), partition=0)

        monkeypatch.setattr(fetches, "STUCK_AFTER", 1)
        with pytest.raises(Refused, match=r"/0: consumer stalled \(lag 1\): restart the process"):
            await measured_for_long(fetch)

        stop.set()
        await running
