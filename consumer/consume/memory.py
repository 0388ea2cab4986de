"""What a process remembers of entitlements: documents as committed statements left them, and where they stand.

One owner, one invalidation: whatever may have been changed by another writer, or has an unknown outcome, is dropped by
`Memory.forget`, with all that follows from it, and is refused where it comes later than that (`Filling`).
"""

import contextlib
from collections.abc import Collection, Container, Iterable, Iterator, Mapping

from consumer.consume.fast_path.standings import Standings, bound
from consumer.decide import entitlements
from consumer.decide.model import AnyDocument, Document
from consumer.store import memory
from consumer.store.database import Database
from consumer.store.memory import EntitlementKey, MemoryKey


class Filling:
    """What a statement's writer adds to the memory: nothing of what was forgotten since it began to read.

    Made by `Memory.filling`, before the documents are read.
    """

    def __init__(self) -> None:
        self._is_refused = False  # all of it
        self._refused: set[MemoryKey] = set()

    def refuse(self, keys: Iterable[MemoryKey] | None) -> None:
        """Refuse *keys* from now on; everything for None."""
        if keys is None:
            self._is_refused = True
        else:
            self._refused.update(keys)

    def accepts(self, key: MemoryKey) -> bool:
        """Whether *key* was not forgotten since."""
        return not self._is_refused and key not in self._refused


class Memory:
    """A bounded cache of documents. An optimisation: an empty one makes the same events.

    A document enters only as a committed statement left it, or as Postgres has it; and only if it was not forgotten
    since its writer began to read: what was forgotten meanwhile may be another's to change by now. Its coarse level
    alone may be ahead of the row, until that is written (`levels.py`): so it is when a row is read again. Those of
    invoices are read each time: there are few, and what one of them fires depends on the newest state that any replica
    has seen.

    Attributes:
        standings: what follows from documents and rules; forgotten with the documents.
    """

    def __init__(self, database: Database, *, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._documents: dict[EntitlementKey, Document] = {}  # the one judged last is the last
        self._fillings: set[Filling] = set()
        self.standings = Standings(limit, self._documents)

    def __len__(self) -> int:
        return len(self._documents)

    @contextlib.contextmanager
    def filling(self) -> Iterator[Filling]:
        """Give what keeps track of what is forgotten while the body reads, judges and writes."""
        filling = Filling()
        self._fillings.add(filling)
        try:
            yield filling
        finally:
            self._fillings.remove(filling)

    async def load(
        self, keys: Iterable[MemoryKey], *, reread: Container[MemoryKey] = frozenset()
    ) -> dict[MemoryKey, AnyDocument]:
        """Return the documents of *keys*; those not known, and those to *reread*, are read in one query a kind.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        found: dict[MemoryKey, AnyDocument] = {}
        unknown: list[MemoryKey] = []
        for key in dict.fromkeys(keys):
            if (
                isinstance(key, EntitlementKey)
                and key not in reread
                and (known := self._documents.get(key)) is not None
            ):
                found[key] = known
            else:
                unknown.append(key)
        if unknown:
            leveled = self.leveled()  # as before the read: what is written meanwhile may be written after it
            found.update(await memory.load(self._database, unknown))
            for key in leveled.keys() & set(unknown):
                row, ahead = found[key], leveled[key]
                if isinstance(row, Document) and row.version == ahead.version:
                    found[key] = _with_level_of(row, ahead)
        return found

    async def changed(self, versions: Mapping[tuple[str, str], int]) -> list[EntitlementKey]:
        """Return those of *versions*, by namespace and id, whose row has another version by now: another has written.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        return await memory.changed(self._database, versions) if versions else []

    def remember(self, documents: Mapping[MemoryKey, AnyDocument], filling: Filling) -> None:
        """Keep *documents* as committed, where *filling* accepts them; the oldest go where there are too many."""
        for key, document in documents.items():
            if isinstance(key, EntitlementKey) and isinstance(document, Document) and filling.accepts(key):
                self._documents.pop(key, None)
                self._documents[key] = document
                self.standings.forget(key)
                self._level_is_written_with(key, document)
        bound(self._documents, self._limit)

    def _level_is_written_with(self, key: EntitlementKey, document: Document) -> None:
        leveled = self.standings.leveled
        if leveled and key in leveled and leveled[key].version != document.version:
            del leveled[key]

    def leveled(self) -> dict[EntitlementKey, Document]:
        """Return the documents of which the coarse level is not written yet."""
        return dict(self.standings.leveled)

    async def rows(self, keys: Collection[EntitlementKey]) -> Mapping[MemoryKey, AnyDocument]:
        """Return the documents of *keys* as Postgres has them.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        return await memory.load(self._database, keys) if keys else {}

    def levels_are_written(self, written: Mapping[EntitlementKey, Document]) -> None:
        """Take the levels of *written* for written."""
        for key, document in written.items():
            if self.standings.leveled.get(key) is document:
                del self.standings.leveled[key]

    def levels_are_left(self, left: Mapping[EntitlementKey, Document], rows: Mapping[MemoryKey, AnyDocument]) -> None:
        """Of the levels of *left*, which were not written, keep those that *rows* may get: of the same period, newer.

        Such a row was locked, or another has written it: then its new document has the level, and is read again.
        """
        for key, document in left.items():
            if self.standings.leveled.get(key) is not document:
                continue  # there is a newer one
            row = rows.get(key)
            if not isinstance(row, Document) or (after := _with_level_of(row, document)) is row:
                del self.standings.leveled[key]
                self.forget([key])
            elif row.version != document.version:
                self.standings.leveled[key] = after
                self.forget([key])

    def forget(self, keys: Collection[MemoryKey] | None = None) -> None:
        """Drop the documents of *keys*; all of them for None: partitions moved, or an outcome is unknown."""
        for filling in self._fillings:
            filling.refuse(keys)
        if keys is None:
            self._documents.clear()
            self.standings.clear()
            return
        for key in keys:
            if isinstance(key, EntitlementKey):
                self._documents.pop(key, None)
                self.standings.drop(key)


def _with_level_of(row: Document, ahead: Document) -> Document:
    """Return *row* with the level that *ahead* got, by a record of the same period and newer; else the very *row*."""
    if (row.period_from, row.begins_at, row.ended) != (ahead.period_from, ahead.begins_at, False):
        return row
    return row if ahead.level_at is None else entitlements.leveled(row, ahead.level, ahead.level_at)
