"""Attempts recorded in batches: a caller waits a few milliseconds longer, and the database does far less.

Callers do not wait for a success: while many end, more of them make a batch.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from consumer import clock, log, pauses
from consumer.deliver import attempt_log
from consumer.errors import DataRefused, StoreFailed, StoreUnavailable
from consumer.patience import Outage
from consumer.store import deliveries
from consumer.store.database import Database
from consumer.store.deliveries import Ended, Recorded

GATHER: Final = 0.005  # seconds; a batch of what ends meanwhile (River: 4 to 12 times the throughput)
GATHER_MORE: Final = 0.015  # seconds beyond it, while many end and all are successes
MANY: Final = 20  # in the batch before; a row of a small batch costs Postgres twice as much as one of a large one
MAX_BATCH: Final = 500
logger = log.get("deliver")


class Waiting(Struct, frozen=True):
    """An ended attempt, and the future of its caller that waits until it is recorded; None: the caller does not."""

    ended: Ended
    recorded: asyncio.Future[None] | None


class Recorder:
    """Writes ended attempts. Bounded by the dispatcher, which lets as many wait for it as it lets be in flight.

    Attributes:
        waiting: how many are not durable yet.
    """

    def __init__(
        self,
        database: Database,
        follow_up: Callable[[Recorded], Awaitable[None]],
        report: Callable[[Sequence[Ended]], None],
    ) -> None:
        """Make one that has *follow_up* do what follows from what it has recorded, and *report* count and log it."""
        self.waiting = 0
        self._database = database
        self._follow_up = follow_up
        self._report = report
        self._waiting: list[Waiting] = []
        self._failing: list[Waiting] = []  # Postgres failed each of them alone
        self._some = asyncio.Event()
        self._at_once = asyncio.Event()  # a caller waits, or there are enough
        self._idle = asyncio.Event()
        self._idle.set()

    async def record(self, ended: Ended) -> None:
        """Return when *ended* is durable, however long Postgres is away, or fails it."""
        recorded = asyncio.get_running_loop().create_future()
        self._add(Waiting(ended, recorded))
        self._at_once.set()
        await recorded

    def put(self, ended: Ended) -> None:
        """Record *ended* soon: no slot and no verdict waits for that."""
        self._add(Waiting(ended, None))

    def _add(self, one: Waiting) -> None:
        self.waiting += 1
        self._waiting.append(one)
        self._some.set()
        self._idle.clear()
        if len(self._waiting) >= MAX_BATCH:
            self._at_once.set()

    async def flushed(self) -> None:
        """Return when everything given is durable."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write what is given, until cancelled."""
        try_again_at, are_many = 0.0, False
        while True:
            await (clock.wait(self._some, pauses.RECORD) if self._failing else self._some.wait())
            await clock.sleep(GATHER)
            if are_many:
                await clock.wait(self._at_once, GATHER_MORE)
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            are_many = len(batch) >= MANY
            if not self._waiting:
                self._some.clear()
                self._at_once.clear()
            await self._write(batch)
            if self._failing and clock.monotonic() >= try_again_at:
                failing, self._failing = self._failing, []
                await self._write_alone(failing)
                try_again_at = clock.monotonic() + pauses.RECORD
            if not self._waiting and not self._failing:
                self._idle.set()

    async def _write(self, batch: list[Waiting]) -> None:
        """Record *batch* in one statement; one by one where Postgres fails that."""
        try:
            if batch:
                await self._record([one.ended for one in batch])
        except (StoreFailed, DataRefused):
            await self._write_alone(batch)
        else:
            self._free(batch)

    async def _write_alone(self, batch: list[Waiting]) -> None:
        for one in batch:
            try:
                await self._record_without_its_text_if_need_be(one.ended)
            except (StoreFailed, DataRefused) as exc:
                self._failing.append(one)
                logger.failed("deliver.not_recorded", exc, **attempt_log.followed(one.ended.delivery))
            else:
                self._free([one])

    async def _record_without_its_text_if_need_be(self, ended: Ended) -> None:
        try:
            await self._record([ended])
        except DataRefused:  # most likely something a receiver sent is no text for Postgres
            bare = replace(ended.outcome, body="", detail="the answer cannot be stored")
            await self._record([replace(ended, outcome=bare)])

    async def _record(self, batch: list[Ended]) -> None:
        outage = Outage(logger, "attempts")
        while True:
            try:
                recorded = await deliveries.record(self._database, batch)
            except StoreFailed:
                raise
            except StoreUnavailable as exc:
                outage.met(str(exc), attempts=len(batch))
                await clock.sleep(pauses.STORE)
            else:
                outage.over()
                await self._follow_up(recorded)  # before a slot is free again: a channel to pause is not claimed from
                return

    def _free(self, batch: list[Waiting]) -> None:
        self.waiting -= len(batch)
        self._report([one.ended for one in batch])
        for one in batch:
            if one.recorded is not None and not one.recorded.done():
                one.recorded.set_result(None)
