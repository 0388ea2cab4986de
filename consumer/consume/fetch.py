"""Poll a batch, take it to its effects, then have its offsets committed: in this order, so that nothing is lost.

A crash between effects and commit brings the batch again, and every effect is guarded against that. So is a zombie, a
paused process whose partitions have moved on: no write depends on who holds a partition.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from consumer import clock, log
from consumer.consume.hand import Hand
from consumer.consume.held import Batches, Held
from consumer.consume.ingest import Ingest
from consumer.consume.kafka import translated
from consumer.consume.offsets import Offsets
from consumer.consume.starts import Starts
from consumer.errors import Refused, StoreUnavailable, Unavailable

POLL_MS: Final = 200
# Where each fires, more at once go cold before their turn comes: 4,000 cost a tenth more. Where one in a hundred does,
# 1,000 make a statement of ten, which costs as much as all the glances: 4,000 cost a seventh less.
BATCH_RECORDS: Final = 1000
QUIET_BATCH_RECORDS: Final = 4000
QUIET: Final = 0.1  # of the records of the batch before are judged, at most
ANSWER_TIMEOUT: Final = 5.0  # seconds until Kafka counts as away
REVOKE_TIMEOUT: Final = 5.0  # seconds a rebalance waits for the batches in hand
AWAY_PAUSE: Final = 0.5  # seconds between two looks whether Postgres is back
STUCK_AFTER: Final = 60.0  # seconds with records to read and none read (aiokafka#847, #1037)
logger = log.get("consume")


class Fetch(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka's classes are not typed
    """The consumer's loop."""

    def __init__(self, consumer: AIOKafkaConsumer, ingest: Ingest, starts: Starts, topics: Sequence[str]) -> None:
        self._consumer = consumer
        self._ingest = ingest
        self._starts = starts
        self._held = Held(consumer, ingest.metrics)
        self._topics = list(dict.fromkeys(topics))
        self._offsets = Offsets(consumer)
        self._hand = Hand(self._effects, self._offsets)
        self._most = BATCH_RECORDS  # records of the next batch
        self._waiting_for: str | None = "Kafka: no partitions assigned yet"
        self._away: str | None = None  # what Kafka's last answer to `measure` was, where it was none

    @property
    def waiting_for(self) -> str | None:
        """Why nothing is read now, for `/readyz`; None while all is well."""
        return self._waiting_for or self._away or self._held.why

    def subscribe(self) -> None:
        """Join the group."""
        self._consumer.subscribe(topics=self._topics, listener=self)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Let the batches in hand finish; what we remember of documents may change under another's hands now."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REVOKE_TIMEOUT):
                await self._hand.ended()
                await self._offsets.ended()
        self._ingest.memory.forget()
        self._held.forget(revoked)
        self._offsets.forget(revoked)
        for tp in revoked:
            self._ingest.metrics.lag(tp.topic, tp.partition, None)

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Say so. Positions are Kafka's committed offsets; what has none asks in `_poll`."""
        self._waiting_for = None
        logger.info("partitions.assigned", partitions=len(assigned))

    async def run(self, stop: asyncio.Event) -> None:
        """Take batches until *stop* is set; those in hand are finished and committed.

        Raises:
            Refused: Kafka or Postgres answers, and it will not work like this.
        """
        try:
            while not stop.is_set():
                await self._heed_failures(stop)
                self._held.look_again()
                if any((batches := await self._poll(stop)).values()):
                    await self._hand.take(batches)
            await self._hand.ended()
            await self._offsets.ended()
            if failure := self._offsets.failure():
                logger.warning("offsets.not_committed", error=str(failure))
        finally:
            self._hand.stop()
            self._offsets.stop()

    async def _heed_failures(self, stop: asyncio.Event) -> None:
        if failed := await self._hand.failed():
            self._rewind(failed.offsets)
            await self._wait_out(failed.why, stop)
        if failure := self._offsets.failure():
            await self._wait_out(failure, stop)
            self._offsets.owe({})

    async def _poll(self, stop: asyncio.Event) -> Batches:
        poll = asyncio.create_task(self._consumer.getmany(timeout_ms=POLL_MS, max_records=self._most), name="poll")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({poll, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not poll.done():  # a rebalance may keep a poll waiting; what it would return is read again
                return {}
            with translated("reading"):
                return self._held.readable(poll.result())
        except Unavailable as exc:
            await self._begin(exc, stop)
            return {}
        finally:
            poll.cancel()
            stopped.cancel()

    async def _begin(self, exc: Unavailable, stop: asyncio.Event) -> None:
        """Resolve what a poll complained of: partitions without a usable offset; wait out anything else."""
        try:
            match exc.__cause__:
                case NoOffsetForPartitionError() as cause:
                    await self._starts.begin([tp for tp in cause.args if isinstance(tp, TopicPartition)])
                case OffsetOutOfRangeError() as cause:
                    self._held.forget(cause.args[0])  # what held them up is gone
                    await self._starts.begin(list(cause.args[0]))
                case _:
                    await self._wait_out(exc, stop)
        except Unavailable as again:
            await self._wait_out(again, stop)

    async def _effects(self, batches: Batches) -> None:
        tally = await self._ingest.batch([record for records in batches.values() for record in records])
        self._most = QUIET_BATCH_RECORDS if tally.wanted <= QUIET * tally.records else BATCH_RECORDS

    def _rewind(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read again from *offsets*, next time: what came of the records there is not known to be durable."""
        mine = self._consumer.assignment()
        for tp, offset in offsets.items():
            if tp in mine:
                self._consumer.seek(tp, offset)

    async def _wait_out(self, exc: Unavailable, stop: asyncio.Event) -> None:
        """Pause all partitions until Postgres answers; polling goes on, or Kafka would take us for dead."""
        self._waiting_for = str(exc)
        logger.warning("consume.waiting", error=str(exc))
        while not stop.is_set():
            self._consumer.pause(*self._consumer.assignment())
            try:
                records = await self._consumer.getmany(timeout_ms=round(AWAY_PAUSE * 1000))
                self._rewind({tp: some[0].offset for tp, some in records.items() if some})
            except KafkaError:  # it comes again once we read in earnest
                await clock.wait(stop, AWAY_PAUSE)
            try:
                await self._ingest.database.now()
                break
            except StoreUnavailable as away:
                self._waiting_for = str(away)
        self._consumer.resume(*self._consumer.paused())
        self._waiting_for = None
        logger.info("consume.resumed")

    async def measure(self) -> None:
        """Set the lag of our partitions, and see that they move.

        Raises:
            SourceUnavailable: Kafka does not answer.
            Refused: a partition has records, and gave none for a minute: a new process helps, waiting does not.
        """
        mine = sorted(self._consumer.assignment())
        try:
            with translated("asking for end offsets"):
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    ends = await self._consumer.end_offsets(mine) if mine else {}
                    done = {tp: self._offsets.done.get(tp) or await self._consumer.committed(tp) for tp in mine}
        except Unavailable as exc:
            self._away = str(exc)
            # Nothing moves while Kafka is away: a partition has its whole minute after that.
            self._offsets.moved_at.clear()
            raise
        self._away = None
        now, moved_at = clock.monotonic(), self._offsets.moved_at
        for tp, end in ends.items():
            offset = done[tp]
            if offset is None:
                continue
            self._ingest.metrics.lag(tp.topic, tp.partition, max(end - offset, 0))
            if end <= offset or self._waiting_for or tp in self._held:
                moved_at[tp] = now
            elif now - moved_at.setdefault(tp, now) > STUCK_AFTER:
                raise Refused(f"Kafka: {tp.topic}/{tp.partition} has {end - offset} records and gives none: start anew")
