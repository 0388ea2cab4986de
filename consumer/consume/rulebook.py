"""The rules in force, kept current: Postgres notifies of changes, and is asked every second as a backstop."""

import asyncio

from consumer import clock, log
from consumer.metrics import Metrics
from consumer.store import catalog
from consumer.store.catalog import EMPTY, Catalog
from consumer.store.database import Database

logger = log.get("catalog")


class Rulebook:
    """Holds the current catalog, swapped between batches, and the database's clock."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics
        self._checked_at: float | None = None
        self._turn = asyncio.Lock()  # of two refreshes beside each other, the one that read first may come last
        self.catalog: Catalog = EMPTY
        self.clock = clock.DatabaseClock()
        self.changed = asyncio.Event()  # set by a notification: look now

    @property
    def age_seconds(self) -> float:
        """How long ago the catalog was last known to be current; infinite before the first look."""
        return float("inf") if self._checked_at is None else clock.monotonic() - self._checked_at

    async def refresh(self) -> None:
        """Make the catalog current.

        Raises:
            StoreUnavailable: Postgres cannot be reached; the catalog stays as it was.
        """
        async with self._turn:
            asked_at = clock.monotonic()
            self.changed.clear()
            seen, before = await catalog.revision(self._database), self.catalog
            self.clock.synchronise(seen.now)
            if (seen.revision, seen.server) != (before.revision, before.server):
                self.catalog = await catalog.current(self._database, before)
                logger.info("catalog.loaded", revision=self.catalog.revision, rules=self.catalog.size)
                for rule_id in sorted({*self.catalog.unreadable} - {*before.unreadable}):
                    logger.error("rule.unreadable", rule_id=rule_id, why="a newer release made it: roll this replica")
            self._checked_at = asked_at
            self._metrics.catalog_checked(asked_at)
