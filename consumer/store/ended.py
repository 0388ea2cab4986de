"""Documents whose period the clock has to end, taken and written in one transaction."""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from consumer.decide.model import Document
from consumer.store import outbox
from consumer.store.database import Connection, Database
from consumer.store.memory import EntitlementKey, document_of
from consumer.store.outbox import Change, Written


@dataclass(frozen=True, slots=True)
class Ended:
    """A document whose period has ended, and what was last written of its entitlement, as JSON."""

    key: EntitlementKey
    document: Document
    about: bytes


class Taking:
    """Some documents, held until the transaction ends."""

    def __init__(self, connection: Connection, documents: Sequence[Ended]) -> None:
        self._connection = connection
        self.documents = documents

    async def write(self, changes: Sequence[Change]) -> list[Written]:
        """Write *changes* as `outbox.write` does.

        Raises:
            StoreUnavailable, DataRefused: nothing was written.
        """
        return await outbox.write(self._connection, changes)


@contextlib.asynccontextmanager
async def take(database: Database, *, delay: dt.timedelta, limit: int) -> AsyncIterator[Taking]:
    """Give up to *limit* documents whose period ended *delay* ago; of two processes each gets others.

    Raises:
        StoreUnavailable: Postgres cannot be reached; nothing was written.
    """
    async with database.transaction() as connection:
        rows = await connection.rows("memory/ended", delay=delay, limit=limit)
        documents = [
            Ended(EntitlementKey(row["namespace"], row["id"]), document_of(row), row["about"].encode()) for row in rows
        ]
        yield Taking(connection, documents)
