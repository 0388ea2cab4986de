"""Attempts recorded in batches: whoever waits for one waits a few milliseconds, and the database does far less."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from consumer import clock, log
from consumer.errors import DataRefused, StoreFailed, StoreUnavailable
from consumer.store import deliveries
from consumer.store.database import Database
from consumer.store.deliveries import Ended, Recorded

GATHER: Final = 0.005  # seconds; a batch of what ends meanwhile (River: 4 to 12 times the throughput)
MAX_BATCH: Final = 500
AWAY_PAUSE: Final = 0.5
FAILED_PAUSE: Final = 2.0  # well within a lease: what is recorded before that has run out is not sent again
logger = log.get("deliver")


class Waiting(Struct, frozen=True):
    """An ended attempt, and whoever waits until it is recorded."""

    ended: Ended
    recorded: asyncio.Future[None]


class Recorder:
    """Writes ended attempts. Bounded by the dispatcher, which lets as many wait for it as it lets be in flight."""

    def __init__(self, database: Database, heed: Callable[[Recorded], Awaitable[None]]) -> None:
        self._database = database
        self._heed = heed
        self._waiting: list[Waiting] = []
        self._failing: list[Waiting] = []  # Postgres failed each of them alone
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def record(self, ended: Ended) -> None:
        """Return when *ended* is durable, however long Postgres is away, or fails it."""
        one = Waiting(ended, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._some.set()
        self._idle.clear()
        await one.recorded

    async def flushed(self) -> None:
        """Return when everything given is durable."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write what is given, until cancelled."""
        try_again_at = 0.0
        while True:
            await (clock.wait(self._some, FAILED_PAUSE) if self._failing else self._some.wait())
            await clock.sleep(GATHER)
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            if not self._waiting:
                self._some.clear()
            await self._write(batch)
            if self._failing and clock.monotonic() >= try_again_at:
                failing, self._failing = self._failing, []
                await self._write_alone(failing)
                try_again_at = clock.monotonic() + FAILED_PAUSE
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
            _free(batch)

    async def _write_alone(self, batch: list[Waiting]) -> None:
        for one in batch:
            try:
                await self._record_without_its_text_if_need_be(one.ended)
            except (StoreFailed, DataRefused) as exc:
                self._failing.append(one)
                of = one.ended.delivery
                logger.failed("deliver.not_recorded", exc, event_id=of.event_id, channel_id=of.channel_id)
            else:
                _free([one])

    async def _record_without_its_text_if_need_be(self, ended: Ended) -> None:
        try:
            await self._record([ended])
        except DataRefused:  # most likely something a receiver sent is no text for Postgres
            bare = replace(ended.outcome, body="", detail="the answer cannot be stored")
            await self._record([replace(ended, outcome=bare)])

    async def _record(self, batch: list[Ended]) -> None:
        while True:
            try:
                recorded = await deliveries.record(self._database, batch)
            except StoreFailed:
                raise
            except StoreUnavailable as exc:
                logger.warning("deliver.waiting", error=str(exc), attempts=len(batch))
                await clock.sleep(AWAY_PAUSE)
            else:
                await self._heed(recorded)  # before a slot is free again: who is to pause must not be claimed from
                return


def _free(batch: list[Waiting]) -> None:
    for one in batch:
        if not one.recorded.done():
            one.recorded.set_result(None)
