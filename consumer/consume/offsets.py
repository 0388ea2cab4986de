"""Offsets of what is durable, committed beside the batches that follow.

Waiting for Kafka's answer would be a third of a small batch's time. Nothing depends on it: what is not committed is
read again, and makes nothing twice. One commit is in flight, ten a second at most; what becomes durable meanwhile goes
with the next.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from consumer import clock, log
from consumer.consume.kafka import COMMIT_TIMEOUT, translated
from consumer.errors import Unavailable

COMMIT_PAUSE: Final = 0.1  # seconds between two: what a crash repeats; one for each small batch costs as much as it
logger = log.get("consume")


class Offsets:
    """Commits what it is given.

    Attributes:
        done: the offsets that Kafka has from us, by partition: that of the next record to read.
        moved_at: when that came about, monotonic seconds.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._owed: dict[TopicPartition, int] = {}
        self._commit: asyncio.Task[None] | None = None  # in flight, or failed and not heeded yet
        self._now = asyncio.Event()  # somebody waits for what is owed
        self.done: dict[TopicPartition, int] = {}
        self.moved_at: dict[TopicPartition, float] = {}

    def owe(self, durable: Mapping[TopicPartition, int]) -> None:
        """Have *durable* committed: every effect of the records before these offsets is.

        Begins to, unless it does already, or a `failure` is still to be heeded.
        """
        self._owed.update(durable)
        if self._owed and self._commit is None:
            self._now.clear()
            self._commit = asyncio.create_task(self._run(), name="commit")

    def failure(self) -> Unavailable | None:
        """Return why the last commit failed, if it has, once; what it was to commit is owed until `owe` is called."""
        if self._commit is None or not self._commit.done():
            return None
        failed, self._commit = self._commit, None
        try:
            failed.result()
        except Unavailable as exc:
            return exc
        raise AssertionError("a commit that has ended well is not kept")

    async def ended(self) -> None:
        """Return when nothing is owed, or a commit has failed."""
        if self._commit is not None:
            self._now.set()
            await asyncio.wait({self._commit})

    def forget(self, revoked: Iterable[TopicPartition]) -> None:
        """Leave *revoked* to whoever has them now."""
        for tp in revoked:
            for known in (self._owed, self.done, self.moved_at):
                known.pop(tp, None)

    def stop(self) -> None:
        """Give up what is in flight."""
        if self._commit is not None:
            self._commit.cancel()

    async def _run(self) -> None:
        while self._owed:
            offsets, self._owed = self._owed, {}
            try:
                await self._once(offsets)
            except Unavailable:
                self._owed = offsets | self._owed
                raise
            await clock.wait(self._now, COMMIT_PAUSE)
        self._commit = None

    async def _once(self, offsets: Mapping[TopicPartition, int]) -> None:
        mine = self._consumer.assignment()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in mine}
        if not offsets:
            return
        try:
            with translated("committing offsets"):
                async with asyncio.timeout(COMMIT_TIMEOUT):
                    await self._consumer.commit(offsets)
        except Unavailable as exc:
            if not isinstance(exc.__cause__, CommitFailedError | IllegalStateError):
                raise
            # The group moved on while we worked: the new owner reads these again, and makes nothing twice.
            logger.info("offsets.not_committed", partitions=len(offsets), why="rebalance")
            return
        now = clock.monotonic()
        for tp, offset in offsets.items():
            self.done[tp] = offset
            self.moved_at[tp] = now
