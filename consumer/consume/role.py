"""The role `consume`: the group's member, the rules in force, the clock, and the duties beside them."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from consumer import loop
from consumer.consume.dead_letters import DeadLetters
from consumer.consume.fetch import Fetch
from consumer.consume.ingest import Ingest
from consumer.consume.kafka import Kafka, close, partitions, started
from consumer.consume.memory import Memory
from consumer.consume.period_ends import PeriodEnds
from consumer.consume.rulebook import Rulebook
from consumer.consume.starts import Start, Starts
from consumer.consume.topics import Topics
from consumer.handoff import Handoff
from consumer.metrics import Metrics
from consumer.patience import Patience
from consumer.store import catalog
from consumer.store.database import Database

CATALOG_POLL: Final = 1.0  # seconds: a change is in force within one, even where no notification comes
LAG_EVERY: Final = 5.0
CLOCK_EVERY: Final = 1.0  # seconds between two looks for usage periods that have ended
STALE_AFTER: Final = 10.0  # seconds without a look at the rules: not ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is read, and how.

    Attributes:
        topics: of the input, each once.
        future_tolerance: how far a record may be ahead of the database's clock.
        period_end_delay: after the end of a usage period, how long until the clock takes it for a reset.
        entitlements: at most so many documents are remembered.
    """

    kafka: Kafka
    group_id: str
    start: Start
    topics: Sequence[str]
    dead_letters: str
    future_tolerance: dt.timedelta
    period_end_delay: dt.timedelta
    entitlements: int


class Consume:
    """Takes records to their effects, and the ends of usage periods to theirs.

    Attributes:
        wakes: the events to be set by notifications, by the channel they are notified on.
    """

    def __init__(
        self,
        database: Database,
        metrics: Metrics,
        reading: Reading,
        patience: Patience,
        *,
        announce: Callable[[], None],
        handoff: Handoff,
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._reading = reading
        self._patience = patience
        self._announce = announce
        self._handoff = handoff
        self._rulebook = Rulebook(database, metrics)
        self._memory = Memory(database, limit=reading.entitlements)
        self.wakes = {catalog.CHANNEL: self._rulebook.changed}

    async def run(self, stop: asyncio.Event, ready: Callable[[], None], stop_at: Callable[[], float]) -> None:
        """Join the group, call *ready*, and read until *stop* is set; then drain until *stop_at* (monotonic).

        Raises:
            Stopped: *stop* was set before the servers were reached.
            Refused: one answers, and it will not work like this.
        """
        wanted = (*self._reading.topics, self._reading.dead_letters)
        async with contextlib.AsyncExitStack() as stack:
            fetch, letters = await self._connect(stack, stop_at)
            ends = PeriodEnds(
                self._database,
                self._memory,
                self._rulebook,
                self._metrics,
                self._announce,
                self._reading.period_end_delay,
            )
            fetch.subscribe()
            ready()
            async with loop.beside(
                loop.every(self._rulebook.refresh, CATALOG_POLL, name="catalog", wake=self._rulebook.changed),
                loop.every(fetch.measure, LAG_EVERY, name="lag"),
                loop.every(letters.look, LAG_EVERY, name="dead-letters"),
                loop.every(ends.once, CLOCK_EVERY, name="period-ends", checks=self._patience.checks),
                Topics(self._reading.kafka, self._database, wanted).run(),
            ):
                await fetch.run(stop)

    async def _connect(
        self, stack: contextlib.AsyncExitStack, stop_at: Callable[[], float]
    ) -> tuple[Fetch, DeadLetters]:
        reading, until = self._reading, self._patience.until
        found = await until(
            "kafka",
            lambda: partitions(
                reading.kafka, reads=reading.topics, writes=[reading.dead_letters], group_id=reading.group_id
            ),
        )
        producer: AIOKafkaProducer = await until("kafka", lambda: started(reading.kafka.producer))
        stack.push_async_callback(close, producer)
        consumer: AIOKafkaConsumer = await until(
            "kafka", lambda: started(lambda: reading.kafka.consumer(reading.group_id))
        )
        stack.push_async_callback(close, consumer)
        starts = Starts(consumer, self._database, self._metrics, group_id=reading.group_id, start=reading.start)
        topics = {topic: found[topic] for topic in reading.topics}
        await until("kafka", lambda: starts.resolve(topics))
        await until("postgres", self._rulebook.refresh)
        letters = DeadLetters(producer, reading.dead_letters)
        await until("kafka", letters.watch)
        fetch = Fetch(consumer, self._ingest(letters), starts, reading.topics, stop_at=stop_at)
        self._patience.checks["consume"] = lambda: fetch.waiting_for or letters.gone
        self._patience.checks["catalog"] = self._is_stale
        return fetch, letters

    def _ingest(self, letters: DeadLetters) -> Ingest:
        return Ingest(
            database=self._database,
            memory=self._memory,
            rulebook=self._rulebook,
            dead_letters=letters,
            metrics=self._metrics,
            announce=self._announce,
            future_tolerance=self._reading.future_tolerance,
            handoff=self._handoff,
        )

    def _is_stale(self) -> str | None:
        age = self._rulebook.age_seconds
        return f"the rules were last looked at {age:.0f} s ago" if age > STALE_AFTER else None
