"""What is looked at during a soak: memory and open files of each replica, lag, tables and their rows."""

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass, field

import asyncpg
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from consumer import clock
from tests.faults.run import Run
from tests.support.stage import PARTITIONS

EVERY = 5.0  # seconds
PATIENCE = 4.0  # seconds for one look at a server, which may be away
MEBIBYTE = 2**20
ROWS = ("event", "delivery", "attempt", "event_identity")  # these grow with the events, until their retention
SIZES = """
    SELECT coalesce(parent.relname, c.relname) AS name, sum(pg_total_relation_size(c.oid))::float8 AS bytes
    FROM pg_class c
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    LEFT JOIN pg_class parent ON parent.oid = i.inhparent
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    GROUP BY 1
"""
COUNTS = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*)::float8 AS rows FROM {name}" for name in ROWS)  # noqa: S608

Series = list[tuple[float, float]]


@dataclass
class Watch:
    """Series of (monotonic seconds, value), by what was measured; what is away is not measured.

    Attributes:
        committed: as Kafka last said: one that has just restarted says none.
    """

    run: Run
    series: dict[str, Series] = field(default_factory=lambda: defaultdict(list))
    committed: dict[TopicPartition, int] = field(default_factory=dict)

    async def watch(self) -> None:
        """Look every few seconds, for ever."""
        group = self.run.stage.group
        bootstrap = self.run.kafka.bootstrap
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False) as consumer:
            topics = [TopicPartition(topic, n) for topic in self.run.stage.topics for n in range(PARTITIONS)]
            consumer.assign(topics)
            while True:
                self._processes()
                with contextlib.suppress(TimeoutError, OSError, KafkaError):
                    async with asyncio.timeout(PATIENCE):
                        await self._lag(consumer, topics)
                with contextlib.suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    async with asyncio.timeout(PATIENCE):
                        await self._tables()
                await clock.wait(asyncio.Event(), EVERY)

    def last(self, name: str) -> float:
        """Return the newest value, 0 where there is none."""
        return self.series[name][-1][1] if self.series[name] else 0.0

    def _note(self, name: str, value: float) -> None:
        self.series[name].append((clock.monotonic(), value))

    def _processes(self) -> None:
        for n, slot in enumerate(self.run.slots):
            if slot.replica is not None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(slot.replica.process.pid)
                    self._note(f"memory {n}", process.memory_info().rss / MEBIBYTE)
                    self._note(f"files {n}", process.num_fds())

    async def _lag(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        ends = await consumer.end_offsets(partitions)
        for tp in partitions:
            if (at := await consumer.committed(tp)) is not None:
                self.committed[tp] = at
        self._note("lag", sum(end - self.committed.get(tp, 0) for tp, end in ends.items()))

    async def _tables(self) -> None:
        connection = await asyncpg.connect(self.run.stage.deployment.environment["TOLLBELL_DATABASE_URL"])
        try:
            bytes_of = {row["name"]: row["bytes"] for row in await connection.fetch(SIZES)}
            rows_of = {row["name"]: row["rows"] for row in await connection.fetch(COUNTS)}
            due = await connection.fetchval("SELECT count(*) FROM delivery WHERE due_at IS NOT NULL")
        finally:
            await connection.close()
        self._note("open deliveries", due)
        for name, size in bytes_of.items():
            self._note(f"table {name}", size / MEBIBYTE)
        for name, rows in rows_of.items():
            if rows:
                self._note(f"row {name}", bytes_of[name] / rows)
