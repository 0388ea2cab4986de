"""The duty of retention: partitions ahead, and away with what is over. Any process may do it, whatever its roles.

Never blocks other work: each step takes few rows, or gives up where others lock what it needs, and tries again.
"""

import datetime as dt
from collections.abc import Coroutine
from typing import Final

from consumer import log, loop
from consumer.errors import DataRefused, StoreFailed
from consumer.metrics import Metrics
from consumer.store import retention
from consumer.store.database import Database
from consumer.store.intervals import containing
from consumer.store.retention import PartitionOutcome, Removable, TablePartition

EVERY: Final = 300.0  # seconds: a retention is days, and two intervals ahead are weeks
SILENT_KEPT: Final = dt.timedelta(days=1)  # a process that died: for people to see that, not for ever
logger = log.get("retention")


class Retention:
    """Keeps ended events for *keep*, and not much longer.

    Args:
        longest_round: no delivery is open for longer; an identity outlives it, so that what waits for its event does.
    """

    def __init__(
        self, database: Database, metrics: Metrics, *, keep: dt.timedelta, longest_round: dt.timedelta
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._keep = keep
        self._longest_round = longest_round

    async def run(self) -> None:
        """Do the duty every few minutes, the first time now.

        Raises:
            Refused: this user may not change the tables.
        """
        await loop.every(self.once, EVERY, name="retention")

    async def once(self) -> None:
        """Make partitions, drop partitions, remove rows.

        Raises:
            Refused: likewise.
            StoreUnavailable: Postgres cannot be reached; the rest is for the next time.
        """
        now = await self._database.now()
        over_by = now - self._keep
        await self._step("make", self._make(now, over_by))
        await self._step("drop", self._drop(over_by))
        await self._step("measure", self._measure(now))
        for what in (Removable.EVENTS, Removable.JOBS, Removable.TEMPLATES):
            await self._step(what.value, self._remove(what, over_by))
        await self._step("replica", self._remove(Removable.REPLICAS, now - SILENT_KEPT))
        for what in (Removable.ENTITLEMENTS, Removable.INVOICES, Removable.IDENTITIES):
            await self._step(what.value, self._remove_guards(what, now, over_by))

    async def _step(self, name: str, step: Coroutine[None, None, None]) -> None:
        """Do one of the steps; where Postgres fails it, say so: the others do not need it, and it comes again."""
        try:
            await step
        except (StoreFailed, DataRefused) as exc:
            logger.failed("retention.failed", exc, step=name)

    async def _make(self, now: dt.datetime, over_by: dt.datetime) -> None:
        for one in await retention.make(self._database, now=now, kept_from=over_by):
            self._say(one)

    async def _remove_guards(self, what: Removable, now: dt.datetime, over_by: dt.datetime) -> None:
        """Remove what keeps a record that is read again from making an event again: no such record must be left."""
        by = await retention.guards_over_by(self._database, over_by, now)
        if by is not None:
            await self._remove(what, min(by, now - self._longest_round) if what is Removable.IDENTITIES else by)

    async def _drop(self, over_by: dt.datetime) -> None:
        existing = await retention.partitions(self._database)
        for interval in sorted({one for of_table in existing.values() for one in of_table}):
            if interval.end <= over_by:
                for one in await retention.drop(self._database, interval, over_by=over_by):
                    self._say(one)

    async def _remove(self, what: Removable, over_by: dt.datetime) -> None:
        after, rows, is_last = None, 0, False
        while not is_last:
            step = await retention.remove(self._database, what, over_by=over_by, after=after)
            after, rows, is_last = step.after, rows + step.removed, step.is_last
            self._metrics.removed(what.value, step.removed)
        if rows:
            logger.info("rows.removed", what=what.value, rows=rows, over_by=over_by)

    def _say(self, one: TablePartition) -> None:
        fields = {"table": one.table, "from": one.interval.start.date(), "until": one.interval.end.date()}
        match one.outcome:
            case PartitionOutcome.MADE:
                logger.info("partition.made", **fields, moved=one.rows)
            case PartitionOutcome.DROPPED:
                self._metrics.removed("partition", 1)
                self._metrics.removed("delivery", one.rows)
                logger.info("partition.dropped", **fields, deliveries=one.rows)
            case PartitionOutcome.TOO_MANY:
                logger.warning(
                    "partition.not_made", **fields, why="more rows wait in the default partition than may move"
                )
            case PartitionOutcome.BUSY:
                logger.info("partition.busy", **fields)
            case PartitionOutcome.KEPT:
                logger.debug("partition.kept", **fields)

    async def _measure(self, now: dt.datetime) -> None:
        events = (await retention.partitions(self._database))[retention.TABLES[0]]
        current = containing(now)
        oldest = (now - events[0].start).total_seconds() if events else None
        ahead = sum(one > current for one in events)
        self._metrics.partitions(oldest, ahead, keep_seconds=self._keep.total_seconds())
