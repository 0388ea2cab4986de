"""Poll a batch, take it to its effects, then have its offsets committed: in this order, so that nothing is lost.

One batch is in flight. The next one is polled once its effects are durable, or, where it failed, once Postgres and
Kafka answer again, from its first offsets on: so nothing that was read later is ever judged, written or committed
before it. While it is in flight aiokafka fetches the next records, and a busy consumer lets them gather.

A crash between effects and commit brings the batch again, and every effect is guarded against that. So is a zombie, a
paused process whose partitions have moved on: no write depends on who holds a partition.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from consumer import clock, log, pauses
from consumer.consume.batch import KafkaRecord
from consumer.consume.failures import Failures
from consumer.consume.gathering import Gathering
from consumer.consume.held import Held
from consumer.consume.ingest import Ingest
from consumer.consume.kafka import translated
from consumer.consume.lag import Lag
from consumer.consume.levels import Levels
from consumer.consume.offset_committer import OffsetCommitter
from consumer.consume.progress import Batches, Progress, first_offsets
from consumer.consume.starts import Starts
from consumer.errors import Refused, StoreFailed, StoreUnavailable, Unavailable
from consumer.patience import Outage

POLL_MS: Final = 200
# What came while records gathered, or the batch before was worked on: the first poll has what was fetched before that,
# and lets aiokafka fetch again. A record that waits for the next poll instead waits for another whole batch.
SECOND_POLL_MS: Final = 2
# Where each fires, more at once go cold before their turn comes: 4,000 cost a tenth more. Where one in a hundred does,
# 1,000 make a statement of ten, which costs as much as all the glances: 4,000 cost a seventh less.
BATCH_RECORDS: Final = 1000
QUIET_BATCH_RECORDS: Final = 4000
QUIET: Final = 0.1  # of the records of the batch before are judged, at most
ANSWER_TIMEOUT: Final = 5.0  # seconds until Kafka counts as away
REVOKE_TIMEOUT: Final = 5.0  # seconds a rebalance waits for the batch in flight
# Seconds that a batch has to end once the loop is stopped, however soon the drain ends: of one that is cancelled while
# Postgres writes it, nothing says what was leased to this process, and that waits for its lease.
FINISH_TIMEOUT: Final = 1.0
CANCEL_TIMEOUT: Final = 1.0  # seconds a cancelled batch has to end: its connection may hang
STUCK_AFTER: Final = 60.0  # seconds below the end without a move (aiokafka#847, #1037)
# Likewise: seconds of a join, or without a position. Both wait for the group's coordinator, which may be away alone.
UNJOINED_AFTER: Final = 300.0
# Seconds: in one or two all have joined, and after these the group goes on without a member.
SLOW_JOIN: Final = 30.0
# Of a batch in which each may fail alone, which takes half a second. Meanwhile nothing is polled, and the group goes on
# without a member that has not polled for five minutes: the next owner would do all of it again, and so on.
NARROWED_RECORDS: Final = 100
RESTART: Final = "restart the process"
MAKE_IT: Final = "create it again, or name another in TOLLBELL_TOPICS_*"
logger = log.get("consume")


class Fetch(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka's classes are not typed
    """The consumer's loop.

    Args:
        stop_at: when the drain must have ended, monotonic seconds; asked once the loop is stopped.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        ingest: Ingest,
        starts: Starts,
        topics: Sequence[str],
        *,
        stop_at: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._ingest = ingest
        self._starts = starts
        self._stop_at = stop_at
        self._held = Held(consumer, ingest.metrics)
        self._topics = list(dict.fromkeys(topics))
        self._progress = Progress(consumer)
        self._lag = Lag(ingest.metrics)
        self._committer = OffsetCommitter(consumer, Levels(ingest.database, ingest.memory).write)
        self._gathering = Gathering()
        # From a revoking to the next assignment nothing is taken: a commit is refused then, and aiokafka answers that
        # by joining once more, at which the same happens again: for minutes, under load.
        self._joining_since: float | None = None  # monotonic; Kafka has answered since
        self._revocations = 0
        self._idle = asyncio.Event()  # no batch is in flight, and what is safe is scheduled to be committed
        self._idle.set()
        self._failures = Failures()
        self._most = BATCH_RECORDS  # records of the next batch
        self._waiting_for: str | None = "Kafka: no partitions assigned yet"
        self._outage = Outage(logger, "consume")
        self._waits = 0  # how often it was waited for a server
        self._polls_fail = False  # for another reason than a partition's offset: perhaps until a new process joins
        self._away: str | None = None  # what Kafka's last answer to `measure` was, where it was none

    @property
    def waiting_for(self) -> str | None:
        """Why nothing is read now, for `/readyz`; None while all is well."""
        return self._waiting_for or self._away or self._slow_join or self._held.why or self._failures.why or self._gone

    @property
    def _is_rebalancing(self) -> bool:
        return self._joining_since is not None

    def _joins_longer_than(self, seconds: float) -> bool:
        return self._joining_since is not None and clock.monotonic() - self._joining_since > seconds

    @property
    def _slow_join(self) -> str | None:
        return "Kafka: the group is rebalancing: no partitions yet" if self._joins_longer_than(SLOW_JOIN) else None

    @property
    def _gone(self) -> str | None:
        """Which topics Kafka does not know any more: their partitions are not assigned, so none of them shows a lag."""
        gone = [topic for topic in self._topics if not self._consumer.partitions_for_topic(topic)]
        return f"Kafka: topic {', '.join(gone)}: is not there any more: {MAKE_IT}" if gone else None

    def subscribe(self) -> None:
        """Join the group."""
        self._consumer.subscribe(topics=self._topics, listener=self)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Let the batch in flight finish; what we remember of documents may change under another's hands now."""
        self._joining_since = clock.monotonic()
        self._revocations += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REVOKE_TIMEOUT):
                await self._idle.wait()
                await self._committer.drained()
        self._ingest.memory.forget()
        self._failures.forget(revoked)
        self._held.forget(revoked)
        self._progress.forget(revoked)
        self._committer.forget(revoked)
        self._lag.forget(revoked)

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Say so. Positions are Kafka's committed offsets; what has none asks in `_poll`."""
        self._waiting_for = self._joining_since = None
        logger.info("partitions.assigned", partitions=len(assigned))

    async def run(self, stop: asyncio.Event) -> None:
        """Take batches until *stop* is set; the one in flight is finished and committed, if the drain's end allows.

        Raises:
            Refused: Kafka or Postgres answers, and it will not work like this.
        """
        stopped = asyncio.create_task(stop.wait(), name="stop")
        try:
            while not stop.is_set():
                waits = self._waits
                if failure := self._committer.failure():
                    await self._wait_out(failure, stop, stopped)
                    self._committer.resume()
                self._held.look_again()
                batches = await self._poll(stop, stopped)
                if batches is None:
                    break
                if self._is_rebalancing:  # their next owner reads them, and our position is no progress
                    continue
                await self._take(batches, stop, stopped)
                if self._waits == waits and self._is_well:
                    self._outage.over()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._left()):
                    await self._committer.drained()
            if failure := self._committer.failure():
                logger.warning("offsets.not_committed", error=str(failure))
        finally:
            stopped.cancel()
            self._committer.stop()

    @property
    def _is_well(self) -> bool:
        """Whether what was waited for works, not only answers: a batch, a commit, Kafka's end offsets."""
        return self._failures.why is None and self._away is None and not self._committer.is_failing

    def _left(self) -> float:
        """Return the seconds until the drain must have ended."""
        return max(self._stop_at() - clock.monotonic(), 0.0)

    async def _poll(self, stop: asyncio.Event, stopped: asyncio.Task[bool]) -> Batches | None:
        """Return the next records; None once stopped: what was polled by then is neither taken nor committed."""
        pause = self._gathering.pause(clock.monotonic())
        if pause and await clock.wait(stop, pause):
            return None
        try:
            with translated("reading"):
                batches = await self._unless_stopped(self._getmany(is_gathering=pause is not None), stopped)
                self._polls_fail = False
                return None if batches is None else self._held.readable(batches)
        except Unavailable as exc:
            await self._begin(exc, stop, stopped)
            return {}

    async def _unless_stopped(
        self, poll: Coroutine[None, None, Batches], stopped: asyncio.Task[bool]
    ) -> Batches | None:
        """Return what *poll* gives; None once stopped: a rebalance keeps a poll waiting, for as long as it lasts."""
        polling = asyncio.create_task(poll, name="poll")
        try:
            await asyncio.wait({polling, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not polling.done():
                return None
            if polling.cancelled():  # not by us: so was aiokafka's coordinator, and this task would end without a word
                raise KafkaError("the group's coordinator was cancelled")
            return polling.result()
        finally:
            polling.cancel()

    async def _getmany(self, *, is_gathering: bool) -> Batches:
        found: dict[TopicPartition, list[KafkaRecord]] = await self._consumer.getmany(
            timeout_ms=POLL_MS, max_records=self._room
        )
        room = self._room - sum([len(records) for records in found.values()])
        if is_gathering and found and room > 0:
            # What is wrong with a partition comes again with the next poll; what was polled of others must not be lost.
            more: dict[TopicPartition, list[KafkaRecord]] = {}
            revocations = self._revocations
            with contextlib.suppress(KafkaError):
                more = await self._consumer.getmany(timeout_ms=SECOND_POLL_MS, max_records=room)
            if self._revocations != revocations:  # it has waited for the group: their owner reads the first ones again
                return more
            for tp, records in more.items():
                found[tp] = found.get(tp, []) + records
        return found

    async def _take(self, batches: Batches, stop: asyncio.Event, stopped: asyncio.Task[bool]) -> None:
        """Take *batches* to their effects and schedule what is safe then; where that fails, go back and wait."""
        self._lag.begin(batches)
        self._progress.begin(batches)
        self._committer.schedule(self._progress.look())
        if not self._progress.is_batch_in_flight:
            return
        began, polled = clock.monotonic(), sum([len(records) for records in batches.values()])
        is_full = polled >= self._room
        self._idle.clear()
        batch = asyncio.create_task(self._effects(batches), name="batch")
        try:
            if not await self._ended(batch, stopped):
                logger.warning("batch.given_up", why="the drain's end has come; it is read again by its next owner")
                return
            batch.result()
            self._progress.end()
            self._lag.taken(batches)
            self._committer.schedule(self._progress.look())
        except Unavailable as exc:
            self._undo(exc)
            self._idle.set()  # a rebalance need not wait until Postgres is back
            await self._wait_out(exc, stop, stopped)
        else:
            self._gathering.took(polled, began=began, ended=clock.monotonic(), is_full=is_full)
        finally:
            batch.cancel()
            self._idle.set()

    async def _ended(self, batch: asyncio.Task[None], stopped: asyncio.Task[bool]) -> bool:
        """Return whether *batch* has ended; it has until the drain's end, if the loop is stopped meanwhile."""
        await asyncio.wait({batch, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not batch.done():
            await asyncio.wait({batch}, timeout=max(self._left(), FINISH_TIMEOUT))
        if batch.done():
            return True
        batch.cancel()
        await asyncio.wait({batch}, timeout=CANCEL_TIMEOUT)
        return False

    def _undo(self, exc: Unavailable) -> None:
        """Read the batch again from its first offsets: what came of its records is not known to be durable."""
        begun = self._progress.end()
        self._rewind(begun)
        self._progress.look()
        # Though its servers answer meanwhile: a missing topic, a lock that others hold, fail the next try as well.
        self._failures.failed(begun, exc)
        if isinstance(exc, StoreFailed):
            logger.failed("batch.failed", exc, failures=self._failures.count)

    async def _begin(self, exc: Unavailable, stop: asyncio.Event, stopped: asyncio.Task[bool]) -> None:
        """Resolve what a poll complained of: partitions without a usable offset; wait out anything else."""
        try:
            match exc.__cause__:
                case NoOffsetForPartitionError() as cause:
                    await self._starts.begin([tp for tp in cause.args if isinstance(tp, TopicPartition)])
                case OffsetOutOfRangeError() as cause:
                    self._held.forget(cause.args[0])  # what held them up is gone
                    self._failures.forget(cause.args[0])
                    await self._starts.begin(list(cause.args[0]))
                case _:
                    self._polls_fail = True
                    await self._wait_out(exc, stop, stopped)
        except Unavailable as again:
            await self._wait_out(again, stop, stopped)

    @property
    def _room(self) -> int:
        """How many records the next batch may have."""
        return NARROWED_RECORDS if self._failures.is_narrowed else self._most

    async def _effects(self, batches: Batches) -> None:
        records = [record for records in batches.values() for record in records]
        tally = await self._ingest.batch(records, is_narrowed=self._failures.is_narrowed)
        self._failures.taken(batches, failed_alone=tally.failed_alone)
        self._most = QUIET_BATCH_RECORDS if tally.wanted <= QUIET * tally.records else BATCH_RECORDS

    def _rewind(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read again from *offsets*, next time: what came of the records there is not known to be durable."""
        mine = self._consumer.assignment()
        for tp, offset in offsets.items():
            if tp in mine:
                self._consumer.seek(tp, offset)

    async def _wait_out(self, exc: Unavailable, stop: asyncio.Event, stopped: asyncio.Task[bool]) -> None:
        """Pause all partitions until Postgres answers; keep polling, or the group evicts this member."""
        self._waits += 1
        self._waiting_for = str(exc)
        while not stop.is_set():
            self._outage.met(self._waiting_for)
            self._consumer.pause(*self._consumer.assignment())
            try:
                poll = self._consumer.getmany(timeout_ms=round(pauses.STORE * 1000))
                self._rewind(first_offsets(await self._unless_stopped(poll, stopped) or {}))
            except KafkaError:  # it comes again once we read in earnest
                await clock.wait(stop, pauses.STORE)
            try:
                await self._ingest.database.now()
                break
            except StoreUnavailable as away:
                self._waiting_for = str(away)
        self._consumer.resume(*self._consumer.paused())
        self._waiting_for = None

    async def measure(self) -> None:
        """Set the lag of our partitions, and see that they move.

        Raises:
            SourceUnavailable: Kafka does not answer.
            Refused: a partition is below its end and has not moved for a minute, or has no position, or the group is
                not joined, for five: a new process helps, waiting does not.
        """
        mine = sorted(self._consumer.assignment())
        try:
            with translated("asking for end offsets"):
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    ends = await self._consumer.end_offsets(mine) if mine else {}  # read committed: the stable ones
                    if not mine and self._joins_longer_than(UNJOINED_AFTER):
                        await self._consumer.topics()  # does it answer at all?
        except Unavailable as exc:
            self._away = str(exc)
            self._lag.unknown(mine)
            # Nothing moves while Kafka is away: all have their whole time after that.
            self._progress.moved_at.clear()
            self._joining_since = clock.monotonic() if self._is_rebalancing else None
            raise
        self._away = None
        self._lag.measured(ends, self._progress.offsets)
        if not self._is_rebalancing:
            self._see_that_all_move(ends, clock.monotonic())
        elif self._joins_longer_than(UNJOINED_AFTER) and self._idle.is_set():  # a batch in flight, and the group waits
            raise Refused(f"Kafka: consumer stalled (its group is not joined): {RESTART}")

    def _see_that_all_move(self, ends: Mapping[TopicPartition, int], now: float) -> None:
        moved_at = self._progress.moved_at
        is_waiting = bool(self._waiting_for) and not self._polls_fail  # which is no waiting for what answers
        is_at_work = is_waiting or self._progress.is_batch_in_flight
        for tp, end in ends.items():
            offset = self._progress.offsets.get(tp)
            if is_at_work or tp in self._held or (offset is not None and end <= offset):
                moved_at[tp] = now
            elif now - moved_at.setdefault(tp, now) > (UNJOINED_AFTER if offset is None else STUCK_AFTER):
                why = "no position" if offset is None else f"lag {end - offset}"
                raise Refused(f"Kafka: {tp.topic}/{tp.partition}: consumer stalled ({why}): {RESTART}")
