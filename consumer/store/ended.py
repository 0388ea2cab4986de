"""Documents whose period the clock has to end, taken and written in one transaction."""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from consumer.decide.model import Document
from consumer.store import outbox
from consumer.store.database import Database, DatabaseConnection, columns
from consumer.store.memory import EntitlementKey, document_of
from consumer.store.outbox import Change, Written


class Due(NamedTuple):
    """A document whose period has ended, as it was found."""

    namespace: str
    id: str
    version: int


@dataclass(frozen=True, slots=True)
class EndedPeriod:
    """The same, read."""

    due: Due
    row: asyncpg.Record

    @property
    def key(self) -> EntitlementKey:
        """What it is found by."""
        return EntitlementKey(self.due.namespace, self.due.id)

    @property
    def document(self) -> Document:
        """The document; raises where the row is none that this release has written."""
        return document_of(self.row)

    @property
    def about(self) -> bytes:
        """What was last written of the entitlement, as JSON."""
        text: str = self.row["about"]
        return text.encode()


class Taking:
    """Some documents, held until the transaction ends."""

    def __init__(self, connection: DatabaseConnection, due: Sequence[Due]) -> None:
        self._connection = connection
        self.due = due

    async def documents(self) -> list[EndedPeriod]:
        """Return those that are still as they were found, and that no other process has locked.

        Raises:
            StoreFailed: one of them cannot be read.
            StoreUnavailable: Postgres cannot be reached.
        """
        if not self.due:
            return []
        namespaces, ids, versions = columns(self.due, 3)
        rows = await self._connection.rows("memory/taken", namespaces=namespaces, ids=ids, versions=versions)
        return [EndedPeriod(Due(row["namespace"], row["id"], row["version"]), row) for row in rows]

    async def write(self, changes: Sequence[Change]) -> list[Written]:
        """Write *changes* as `outbox.write` does.

        Raises:
            StoreUnavailable, DataRefused: nothing was written.
        """
        return await outbox.write(self._connection, changes)


@contextlib.asynccontextmanager
async def take(
    database: Database, *, delay: dt.timedelta, limit: int, but: Sequence[Due] = ()
) -> AsyncIterator[Taking]:
    """Give up to *limit* documents whose period ended *delay* ago, without *but*; of two processes each gets others.

    Raises:
        StoreUnavailable: Postgres cannot be reached; nothing was written.
    """
    namespaces, ids, versions = columns(but, 3)
    async with database.transaction() as connection:
        rows = await connection.rows(
            "memory/ended", delay=delay, limit=limit, but_namespaces=namespaces, but_ids=ids, but_versions=versions
        )
        yield Taking(connection, [Due(row["namespace"], row["id"], row["version"]) for row in rows])


@contextlib.asynccontextmanager
async def take_again(database: Database, due: Sequence[Due]) -> AsyncIterator[Taking]:
    """Give *due*, which were taken before and let go of.

    Raises:
        StoreUnavailable: Postgres cannot be reached; nothing was written.
    """
    async with database.transaction() as connection:
        yield Taking(connection, due)
