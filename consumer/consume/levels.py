"""Coarse levels that came by records which changed nothing else: written beside the batches, some at once."""

from dataclasses import dataclass
from typing import Final

from consumer import log
from consumer.consume.memory import Memory
from consumer.errors import DataRefused, StoreFailed
from consumer.store import levels
from consumer.store.database import Database

ROUNDS: Final = 2  # of writing at once: in the second, what another has written a row over in the first
logger = log.get("consume")


@dataclass(frozen=True, slots=True)
class Levels:
    """Writes the levels that the memory has ahead of the rows."""

    database: Database
    memory: Memory

    async def write(self) -> None:
        """Write all there are; those whose rows are locked now, the next time.

        They are for people: no record waits for one that Postgres fails, and none is a dead letter for it. It is
        forgotten then, with all of its statement, and found again with the entitlement's next record.

        Raises:
            StoreUnavailable: Postgres is away; they are written the next time.
        """
        for _ in range(ROUNDS):
            leveled = self.memory.leveled()
            if not leveled:
                return
            try:
                written = await levels.write(self.database, leveled)
                left = {key: document for key, document in leveled.items() if key not in written}
                rows = await self.memory.rows(left)
            except (StoreFailed, DataRefused) as exc:
                logger.failed("levels.not_written", exc, entitlements=len(leveled))
                written, left, rows = frozenset(), leveled, {}
            self.memory.levels_are_written({key: leveled[key] for key in written})
            self.memory.levels_are_left(left, rows)
            if not left:
                return
