"""Commits offsets next to the batches that follow.

Waiting for Kafka's answer would be a third of a small batch's time. Nothing depends on it: what is not committed is
read again, and makes nothing twice. One commit is in flight, ten a second at most; what becomes safe meanwhile goes
with the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from consumer import clock, log
from consumer.consume.kafka import COMMIT_TIMEOUT, translated
from consumer.errors import Unavailable

COMMIT_PAUSE: Final = 0.1  # seconds between two: what a crash repeats; one for each small batch costs as much as it
logger = log.get("consume")


class OffsetCommitter:
    """Commits what it is given.

    Attributes:
        committed: the offsets that Kafka has from us, by partition: that of the next record to read.
        is_failing: the last commit has failed, and what it had is still to be committed.
    """

    def __init__(self, consumer: AIOKafkaConsumer, before: Callable[[], Awaitable[None]]) -> None:
        """Begin with nothing scheduled; *before* each commit makes durable what batches have left to it."""
        self._consumer = consumer
        self._before = before
        self._scheduled: dict[TopicPartition, int] = {}
        self._commit: asyncio.Task[None] | None = None  # in flight, or failed and not taken note of yet
        self._hurry = asyncio.Event()  # `drained` waits: no pause before the next commit
        self.committed: dict[TopicPartition, int] = {}
        self.is_failing = False

    def schedule(self, progress: Mapping[TopicPartition, int]) -> None:
        """Have *progress* committed, where it differs from what is: every effect of the records before it is durable.

        All but the coarse levels, which are made so before each commit.

        Begins to, unless it does already, or a `failure` has not been asked for.
        """
        self._scheduled.update(
            {tp: offset for tp, offset in progress.items() if self._scheduled.get(tp, self.committed.get(tp)) != offset}
        )
        self.resume()

    def resume(self) -> None:
        """Begin to commit what is scheduled, also what a failed commit has left."""
        if self._scheduled and self._commit is None:
            self._hurry.clear()
            self._commit = asyncio.create_task(self._run(), name="commit")

    def failure(self) -> Unavailable | None:
        """Return why the last commit failed, if it has, once; its offsets stay scheduled until `resume`."""
        if self._commit is None or not self._commit.done():
            return None
        failed, self._commit = self._commit, None
        try:
            failed.result()
        except Unavailable as exc:
            return exc
        raise AssertionError("a commit that has ended well is not kept")

    async def drained(self) -> None:
        """Return when nothing is scheduled, or a commit has failed."""
        if self._commit is not None:
            self._hurry.set()
            await asyncio.wait({self._commit})

    def forget(self, revoked: Iterable[TopicPartition]) -> None:
        """Leave *revoked* to their next owner."""
        for tp in revoked:
            self._scheduled.pop(tp, None)
            self.committed.pop(tp, None)
        self.is_failing = self.is_failing and bool(self._scheduled)

    def stop(self) -> None:
        """Give up what is in flight."""
        if self._commit is not None:
            self._commit.cancel()

    async def _run(self) -> None:
        while self._scheduled:
            offsets, self._scheduled = self._scheduled, {}
            try:
                await self._before()
                await self._once(offsets)
            except Unavailable:
                self._scheduled = offsets | self._scheduled
                self.is_failing = True
                raise
            self.is_failing = False
            await clock.wait(self._hurry, COMMIT_PAUSE)
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
        self.committed.update(offsets)
