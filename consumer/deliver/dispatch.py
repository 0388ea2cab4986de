"""Claim what is due, run it with bounded concurrency, fairly by channel; drain."""

import asyncio
import contextlib
import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from consumer import clock, log, loop, pauses
from consumer.decide.outcome import OutcomeClass
from consumer.decide.verdict import RetryIn
from consumer.deliver import attempt_log
from consumer.deliver.attempt import Attempts
from consumer.deliver.claims import Claims
from consumer.deliver.looks import Looks
from consumer.deliver.prefetched import Leased
from consumer.deliver.recorder import Recorder
from consumer.deliver.sender import Sender
from consumer.deliver.shortages import Shortages
from consumer.deliver.slots import Limits
from consumer.deliver.taken import Taken
from consumer.errors import DataRefused, StoreFailed, Unavailable
from consumer.handoff import Recipients, SlotReservation
from consumer.metrics import Metrics
from consumer.store import deliveries
from consumer.store.database import Database
from consumer.store.deliveries import Claimed, Ended
from consumer.store.outbox import Reserved

# Seconds; after a claim from a channel with a rate: only a look after it knows when the next slot is free.
LOOK_AGAIN: Final = 0.02
POLL: Final = 1.0  # seconds; the backstop of notifications, ±25 % so that replicas do not march in step
LEASE_MARGIN: Final = dt.timedelta(seconds=15)  # beyond the attempt's own deadline: to start it, and to record it
RECORD_TIMEOUT: Final = 5.0  # seconds, after the drain's deadline, to record what was cut off
# Seconds, after the drain's deadline, for the statement that the stop has met: what a claim leases is known by its
# answer alone. It takes milliseconds, and where Postgres hangs the driver gives it up after 30 s.
ANSWER_TIMEOUT: Final = 2.0
logger = log.get("deliver")


class Dispatch:
    """The deliverer's loop.

    Attributes:
        waiting_for: why nothing is claimed now, for `/readyz`; None while all is well.
    """

    def __init__(
        self,
        database: Database,
        attempts: Attempts,
        recorder: Recorder,
        metrics: Metrics,
        limits: Limits,
        timeout: dt.timedelta,
        *,
        wake: asyncio.Event,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._metrics = metrics
        self._limits = limits
        self._lease = timeout + LEASE_MARGIN
        self._taken = Taken(limits, timeout_seconds=timeout.total_seconds())
        self._claims = Claims(database, metrics, self._lease, steps=len(attempts.schedule))
        self._sender = Sender(database, attempts, self._taken, self._claims, start_within=LEASE_MARGIN)
        self._shortages = Shortages(self._taken, self._claims)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_sending = False  # from the start of `run`, when there is something to send by, to that of `drain`
        self._is_over = False  # from the deadline of `drain` on nothing is started
        self._writing: set[asyncio.Future[None]] = set()  # one for each writer that slots are kept for
        self._next_due = POLL
        self._look_again = LOOK_AGAIN
        self._wake = wake
        self.waiting_for: str | None = None

    @property
    def looks(self) -> Looks:
        """What is to be set when the configuration has changed."""
        return self._sender.looks

    async def once(self, stop: asyncio.Event) -> None:
        """Claim what may start now, and start it; nothing where *stop* is set meanwhile.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        await self._hand_back()
        channels = await self._claims.channels()
        if stop.is_set():  # a slot may have got free in the drain
            return
        self._shortages.ease()
        due = [channel for channel in channels if channel.due_in <= 0]
        self._next_due = min((channel.due_in for channel in channels if channel.due_in > 0), default=POLL)
        random.shuffle(due)  # the order is the fairness: no channel is always first
        allotted = self._taken.allot(due)
        slots = allotted.slots
        asked_at = clock.monotonic()
        claimed = await self._claims.claim(slots) if slots else []
        self._metrics.interrupted(sum(one.was_lost for one in claimed))
        attempt_log.lost(claimed)
        self._pace({channel.id for channel in due if channel.most is not None} & slots.keys(), claimed)
        for leased in self._taken.take(claimed, asked_at, allotted):
            self._start(leased)

    @contextlib.contextmanager
    def reserve(self, recipients: Recipients) -> Iterator[SlotReservation]:
        """Reserve slots for deliveries that are about to be made, while the body runs.

        What is started in them is sent at once; the others are released at the end.
        """
        slots, asked_at = self._taken.keep(recipients) if self._is_sending else {}, clock.monotonic()
        left = Counter({channel: kept.free for channel, kept in slots.items()})

        def start(leased: Sequence[Claimed]) -> None:
            left.subtract(one.channel_id for one in leased)
            for one in leased:
                self._start(Leased(one, asked_at))

        written = asyncio.get_running_loop().create_future()
        self._writing.add(written)
        try:
            yield SlotReservation(Reserved(slots, self._lease), start)
        finally:
            self._writing.discard(written)
            written.set_result(None)
            for channel in left.elements():
                self._free(channel)

    async def _hand_back(self) -> None:
        """Hand back what was claimed ahead of a slot, and is not to be sent now.

        Raises:
            StoreUnavailable: Postgres cannot be reached; call again, or their leases run out.
        """
        if unsent := self._taken.unsent[:]:
            try:
                await deliveries.hand_back(self._database, unsent)
            except (StoreFailed, DataRefused) as exc:  # for one's sake, perhaps: the leases of all of them run out
                logger.failed("deliver.not_handed_back", exc, deliveries=len(unsent))
            del self._taken.unsent[: len(unsent)]

    def _pace(self, asked: set[str], claimed: list[Claimed]) -> None:
        """Look again soon where channels of *asked* have a rate, or a probe; later and later while they give nothing.

        Another process may have had the slot, or held the row; or what is due waits for another delivery.
        """
        if asked:
            has_some = any(one.channel_id in asked for one in claimed)
            self._look_again = LOOK_AGAIN if has_some else min(self._look_again * 2, POLL)
            self._next_due = min(self._next_due, self._look_again)

    async def run(self, stop: asyncio.Event, stop_at: Callable[[], float]) -> None:
        """Dispatch until *stop* is set; what Postgres does not answer is given up soon after *stop_at* (monotonic)."""
        self._is_sending = True
        dispatching = asyncio.create_task(self._until(stop), name="dispatch")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({dispatching, stopped}, return_when=asyncio.FIRST_COMPLETED)
            self._wake.set()  # not to wait for the next poll
            await _ended({dispatching}, stop_at() + ANSWER_TIMEOUT - clock.monotonic())
            if dispatching.done():
                dispatching.result()
            else:
                logger.warning(
                    "deliver.claim_given_up", why="Postgres does not answer; what it has leased is due later"
                )
        finally:
            stopped.cancel()
            dispatching.cancel()

    async def _until(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            self._wake.clear()
            try:
                await self.once(stop)
            except (Unavailable, DataRefused) as exc:
                failures += 1
                self.waiting_for = str(exc)
                if isinstance(exc, StoreFailed | DataRefused):
                    logger.failed("deliver.failed", exc)
                elif failures == 1:
                    logger.warning("deliver.waiting", error=str(exc))
                await clock.wait(stop, pauses.CLAIM.after(failures))
                continue
            if failures:
                logger.info("deliver.resumed", failures=failures)
            failures = 0
            self.waiting_for = None
            await clock.wait(self._wake, max(min(POLL * (1 + clock.jitter() / 4), self._next_due), 0.001))

    async def drain(self, deadline: float) -> None:
        """Hand back what is ahead, and let what is being written or in flight end until *deadline* (monotonic).

        Then stop it: record as interrupted what was being sent, and hand back what was not yet.
        """
        self._is_sending = False
        self._taken.stop()
        await loop.within(self._hand_back_now(), deadline + ANSWER_TIMEOUT - clock.monotonic())
        await _ended(self._writing, deadline - clock.monotonic())
        await _ended(self._tasks, deadline - clock.monotonic())
        self._is_over = True
        await clock.sleep(0)  # a task that is cancelled before it has begun would say nothing of what it has leased
        for task in self._tasks:
            task.cancel()
        seconds = deadline + RECORD_TIMEOUT - clock.monotonic()
        if not await loop.within(self._settled(), seconds) and (unsent := len(self._taken.unsent)):
            logger.warning("deliver.not_handed_back", deliveries=unsent, error="Postgres did not answer in time")

    async def _settled(self) -> None:
        """Return when all that was cut off is recorded, or handed back."""
        await _ended(self._tasks, ANSWER_TIMEOUT)
        await self._hand_back_now()  # also where some still wait: for a record, or for a connection that hangs
        await _ended(self._tasks)
        await self._recorder.flushed()
        await _ended(self._writing)  # what was written meanwhile is not started any more
        await self._hand_back_now()

    async def _hand_back_now(self) -> None:
        """Do as `_hand_back` does; where that fails, say how many leases run out."""
        try:
            await self._hand_back()
        except Unavailable as exc:
            logger.warning("deliver.not_handed_back", deliveries=len(self._taken.unsent), error=str(exc))

    def _start(self, leased: Leased) -> None:
        if self._is_over:
            self._taken.unsent.append(leased.delivery)
            return
        task = asyncio.create_task(self._run(leased), name="deliver")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, first: Leased) -> None:
        """Attempt a delivery, and then whatever has its slot next, until nothing has."""
        leased: Leased | None = first
        while leased is not None:
            channel = leased.delivery.channel_id
            try:
                failed = await self._run_one(leased)
            except BaseException:
                self._free(channel)
                raise
            if failed is not None:
                await self._record_failure(channel, failed)
                return
            leased = self._freed(channel)

    async def _run_one(self, leased: Leased) -> Ended | None:
        """Attempt a delivery, and record that; return how it ended where that is yet to be recorded.

        It is recorded beside the next attempt: the slot need not wait for Postgres. After a failure that is another
        channel's: who is to pause must not be claimed from. With those in flight at most twice as many may wait for
        their record as may be in flight.
        """
        began = clock.monotonic()
        ended = await self._sender.attempted(leased)
        if ended is None:
            return None
        self._taken.see(ended)
        self._shortages.see(ended, began)
        is_short = ended.outcome.kind is OutcomeClass.SHORTAGE  # then nothing more is started for it
        if is_short or self._recorder.waiting + self._taken.running > 2 * self._limits.total:
            await self._recorder.record(ended)
            self._wake_if_due(ended)
        elif ended.outcome.is_success:
            self._recorder.put(ended)
        else:
            return ended
        return None

    async def _record_failure(self, channel: str, ended: Ended) -> None:
        """Record a failure; meanwhile its slot is another channel's."""
        if (following := self._taken.let_go(channel, clock.monotonic())) is not None:
            self._start(following)
        self._wake_if_wanted()
        try:
            await self._recorder.record(ended)
        finally:
            self._taken.recorded(channel)
            self._wake_if_wanted()
        self._wake_if_due(ended)

    def _free(self, channel: str) -> None:
        if (following := self._freed(channel)) is not None:
            self._start(following)

    def _freed(self, channel: str) -> Leased | None:
        """Let go of a slot of *channel*; return what has it now, and is to be started."""
        following = self._taken.free(channel, clock.monotonic())
        self._wake_if_wanted()
        return following

    def _wake_if_wanted(self) -> None:
        if self._taken.wants_more or self._taken.unsent:
            self._wake.set()

    def _wake_if_due(self, ended: Ended) -> None:
        """Ask again when the next one is due, as *ended* is that before the next poll."""
        if isinstance(ended.verdict, RetryIn) and ended.verdict.delay.total_seconds() < POLL:
            self._wake.set()


async def _ended(some: Iterable[asyncio.Future[None]], seconds: float | None = None) -> None:
    """Return when *some*, as they are now, have ended, or *seconds* are over."""
    if waiting := set(some):
        await asyncio.wait(waiting, timeout=None if seconds is None else max(seconds, 0))
