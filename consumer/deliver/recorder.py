"""Attempts recorded in batches: whoever waits for one waits a few milliseconds, and the database does far less."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from consumer import clock, log
from consumer.errors import DataRefused, StoreUnavailable
from consumer.store import deliveries
from consumer.store.database import Database
from consumer.store.deliveries import Ended, Recorded

GATHER: Final = 0.005  # seconds; a batch of what ends meanwhile (River: 4 to 12 times the throughput)
MAX_BATCH: Final = 500
AWAY_PAUSE: Final = 0.5
logger = log.get("deliver")


class Recorder:
    """Writes ended attempts. Bounded by what is in flight: a slot is free only when its attempt is recorded."""

    def __init__(self, database: Database, heed: Callable[[Recorded], Awaitable[None]]) -> None:
        self._database = database
        self._heed = heed
        self._waiting: list[tuple[Ended, asyncio.Future[None]]] = []
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def record(self, ended: Ended) -> None:
        """Return when *ended* is durable, however long Postgres is away."""
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((ended, recorded))
        self._some.set()
        self._idle.clear()
        await recorded

    async def flushed(self) -> None:
        """Return when everything given is durable."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write what is given, until cancelled."""
        while True:
            await self._some.wait()
            await clock.sleep(GATHER)
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            if not self._waiting:
                self._some.clear()
            await self._write([ended for ended, _ in batch])
            for _, recorded in batch:
                if not recorded.done():
                    recorded.set_result(None)
            if not self._waiting:
                self._idle.set()

    async def _write(self, batch: list[Ended]) -> None:
        while True:
            try:
                recorded = await deliveries.record(self._database, batch)
            except StoreUnavailable as exc:
                logger.warning("deliver.waiting", error=str(exc), attempts=len(batch))
                await clock.sleep(AWAY_PAUSE)
            except DataRefused as exc:
                await self._write_alone(batch, exc)
                return
            else:
                await self._heed(recorded)  # before a slot is free again: who is to pause must not be claimed from
                return

    async def _write_alone(self, batch: list[Ended], exc: DataRefused) -> None:
        """Something a receiver sent is no text for Postgres: record the attempts one by one, that one without it."""
        if len(batch) > 1:
            for one in batch:
                await self._write([one])
            return
        bare = replace(batch[0], outcome=replace(batch[0].outcome, body="", detail="the answer cannot be stored"))
        if batch[0] == bare:
            raise exc  # not the receiver's text: a mistake of ours, said aloud
        await self._write([bare])
