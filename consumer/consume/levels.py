"""Coarse levels that came by records which changed nothing else: written beside the batches, some at once."""

from collections.abc import Container
from dataclasses import dataclass

from consumer import log
from consumer.consume.memory import Memory
from consumer.errors import DataRefused, StoreFailed
from consumer.store import levels
from consumer.store.database import Database
from consumer.store.memory import EntitlementKey

logger = log.get("consume")


@dataclass(frozen=True, slots=True)
class Levels:
    """Writes the levels that the memory has ahead of the rows."""

    database: Database
    memory: Memory

    async def write(self) -> None:
        """Write all there are; what is not written is forgotten, and found again with the entitlement's next record.

        They are for people: no record waits for one that Postgres fails, and none is a dead letter for it.

        Raises:
            StoreUnavailable: Postgres is away; they are written the next time.
        """
        leveled = self.memory.leveled()
        if not leveled:
            return
        written: Container[EntitlementKey] = ()
        try:
            written = await levels.write(self.database, leveled)
        except (StoreFailed, DataRefused) as exc:
            logger.failed("levels.not_written", exc, entitlements=len(leveled))
        self.memory.levels_are_written(leveled, written)
