"""The memory of entitlements and invoices: documents loaded, and remembered as committed statements left them."""

import contextlib
import datetime as dt
import functools
import json
import sys
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

import asyncpg
import msgspec

from consumer.decide.entitlements import feature_ref
from consumer.decide.model import (
    NO_MARKS,
    NO_RESETS,
    NO_SIGHTS,
    UNSEEN,
    UNSEEN_INVOICE,
    AnyDocument,
    Document,
    InvoiceDocument,
    Mark,
    Marks,
    Reason,
    Sights,
)
from consumer.decide.standing import Standing, Under, Why, standing
from consumer.store.catalog import EMPTY, Catalog
from consumer.store.database import Database, columns
from schemas.glance import Glance
from schemas.rules import Rule, RuleId, RuleType
from schemas.sources import Invoice, Snapshot, SourceEvent

_encoder: Final = msgspec.json.Encoder()  # a level is text: exact
_stored_marks: Final = msgspec.json.Decoder(dict[RuleId, dict[str, Mark]])


class EntitlementKey(NamedTuple):
    """What an entitlement's document is found by."""

    namespace: str
    id: str


class InvoiceKey(NamedTuple):
    """What an invoice's document is found by; never equal to an entitlement's key, which has two parts."""

    namespace: str
    id: str
    kind: Literal["invoice"] = "invoice"


MemoryKey = EntitlementKey | InvoiceKey


def key_of(source: SourceEvent) -> MemoryKey:
    """Return whose memory *source* is judged on."""
    if isinstance(source, Invoice):
        return InvoiceKey(source.namespace, source.invoice_id)
    return EntitlementKey(sys.intern(source.namespace), source.entitlement_id)


class Standings:
    """Where entitlements stand, as far as it is known: none need be. Of what is equal, one object is kept.

    Each is kept with the rules that it was found under, and believed only while the catalog has the very same ones
    (`holds`). So an edit costs the entitlements that it is about, whenever what was judged before it is kept.

    Attributes:
        known: by (namespace, id), which is equal to an `EntitlementKey`; for looking, not for writing. None where that
            is not known, and only the key is kept.
        turn: counts the catalogs that were asked about.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._catalog = EMPTY
        self._unders: dict[tuple[str, str, str], Under] = {}  # the last one about each feature
        self.turn = 0
        self.known: dict[tuple[str, str], Standing | None] = {}
        self._shared: dict[Standing, Standing] = {}
        self._whys: dict[tuple[tuple[RuleType, Reason], ...], Why] = {}

    def under(self, catalog: Catalog) -> Mapping[tuple[str, str], Standing | None]:
        """Return what is known: to be believed where it `holds`, which asks *catalog* from now on."""
        if catalog is not self._catalog:
            self._catalog = catalog
            self.turn += 1
        return self.known

    def holds(self, under: Under) -> bool:
        """Return whether the rules are still those of *under*: the catalog is asked once for each feature."""
        if under.turn != self.turn:
            rules = self._catalog.matching(under.namespace, under.feature_id, under.feature_key)
            if rules is not under.rules:
                under.rules = None  # quiet entitlements may remember *under* for long: not the rules as they were
                return False
            under.turn = self.turn
        return True

    def keep(
        self,
        seen: Glance,
        source: Snapshot,
        rules: Sequence[Rule] = (),
        document: Document | None = None,
        reasons: Sequence[tuple[RuleType, Reason]] = (),
    ) -> None:
        """Keep where the entitlement of *seen* stands, if it does.

        The arguments are those of `standing`; *rules* as any catalog gave them: where another one is in force by then,
        it is not believed.
        """
        if len(self._shared) > self._limit:
            self._shared.clear()
            self._whys.clear()
        given = tuple(reasons)
        found = standing(seen, source, self._under(source, rules), document, self._whys.setdefault(given, Why(given)))
        if found is None:
            return
        self.known[seen.key] = self._shared.setdefault(found, found)
        _bound(self.known, self._limit)

    def _under(self, source: Snapshot, rules: Sequence[Rule]) -> Under:
        name = (source.namespace, source.feature_id, source.feature_key)
        found = self._unders.get(name)
        if found is None or found.rules is not rules:
            if found is not None:
                found.rules, found.turn = None, -1
            elif len(self._unders) >= self._limit:
                self.clear()
            found = self._unders[name] = Under(*name, rules)
        return found

    def drop(self, key: MemoryKey) -> None:
        """Forget where *key* stands: its next record is judged."""
        if isinstance(key, EntitlementKey):
            self.known.pop(key, None)

    def forget(self, key: EntitlementKey) -> None:
        """Do the same, and keep *key* itself for where it will stand: so a document and a standing share it."""
        self.known.pop(key, None)
        self.known[key] = None
        _bound(self.known, self._limit)

    def clear(self) -> None:
        """Forget all."""
        self.known.clear()
        self._shared.clear()
        self._whys.clear()
        self._unders.clear()


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
        """Whether nobody has forgotten *key* since."""
        return not self._is_refused and key not in self._refused


class Memory:
    """A bounded cache of documents. An optimisation: an empty one makes the same events.

    A document enters only as a committed statement left it, or as Postgres has it; and only if nobody has forgotten it
    since its writer began to read: what was forgotten meanwhile may be another's to change by now. Those of invoices
    are read anew each time: there are few, and what one of them fires depends on the newest state seen by anybody.

    Attributes:
        standings: what follows from documents and rules; forgotten with the documents.
    """

    def __init__(self, database: Database, *, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._documents: dict[EntitlementKey, Document] = {}  # the one judged last is the last
        self._fillings: set[Filling] = set()
        self.standings = Standings(limit)

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
        self, keys: Iterable[MemoryKey], *, anew: Container[MemoryKey] = frozenset()
    ) -> dict[MemoryKey, AnyDocument]:
        """Return the documents of *keys*; those not known, and those *anew*, are read in one query a kind.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        found: dict[MemoryKey, AnyDocument] = {}
        entitlements: list[EntitlementKey] = []
        invoices: list[InvoiceKey] = []
        for key in dict.fromkeys(keys):
            if isinstance(key, InvoiceKey):
                invoices.append(key)
            elif key not in anew and (document := self._documents.get(key)) is not None:
                found[key] = document
            else:
                entitlements.append(key)
        if entitlements:
            found.update(await self._load_entitlements(entitlements))
        if invoices:
            found.update(await self._load_invoices(invoices))
        return found

    async def _load_entitlements(self, keys: list[EntitlementKey]) -> dict[MemoryKey, AnyDocument]:
        found: dict[MemoryKey, AnyDocument] = dict.fromkeys(keys, UNSEEN)
        namespaces, ids = columns(keys, 2)
        for row in await self._database.rows("memory/load", namespaces=namespaces, ids=ids):
            found[EntitlementKey(row["namespace"], row["id"])] = document_of(row)
        return found

    async def _load_invoices(self, keys: list[InvoiceKey]) -> dict[MemoryKey, AnyDocument]:
        found: dict[MemoryKey, AnyDocument] = dict.fromkeys(keys, UNSEEN_INVOICE)
        namespaces, ids, _ = columns(keys, 3)
        for row in await self._database.rows("memory/load_invoices", namespaces=namespaces, ids=ids):
            document = InvoiceDocument(version=row["version"], state=row["state"], as_of=row["as_of"])
            found[InvoiceKey(row["namespace"], row["id"])] = document
        return found

    async def changed(self, versions: Mapping[tuple[str, str], int]) -> list[MemoryKey]:
        """Return those of *versions*, by namespace and id, whose row has another version by now: another has written.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        if not versions:
            return []
        namespaces, ids, known = columns([(*key, version) for key, version in versions.items()], 3)
        rows = await self._database.rows("memory/changed", namespaces=namespaces, ids=ids, versions=known)
        return [EntitlementKey(row["namespace"], row["id"]) for row in rows]

    def remember(self, documents: Mapping[MemoryKey, AnyDocument], filling: Filling) -> None:
        """Keep *documents* as committed, where *filling* accepts them; the oldest go where there are too many."""
        for key, document in documents.items():
            if isinstance(key, EntitlementKey) and isinstance(document, Document) and filling.accepts(key):
                self._documents.pop(key, None)
                self._documents[key] = document
                self.standings.forget(key)
        _bound(self._documents, self._limit)

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


def _bound(entries: dict[Any, Any], limit: int) -> None:
    """Drop the oldest of *entries* where there are more than *limit*: an eighth at once.

    One by one, each search for the oldest would begin with all that were dropped before.
    """
    if len(entries) > limit:
        for key in list(islice(entries, len(entries) - limit + limit // 8)):
            del entries[key]


def marks_json(marks: Marks) -> str:
    """Return *marks* as they are stored."""
    return _encoder.encode(marks).decode()


def document_of(row: asyncpg.Record) -> Document:
    """Return the document of a row of `entitlement`, its JSON columns as text.

    An older release, while replicas are rolled, leaves a start that counts where it begins another period: then it lies
    before that one.
    """
    begins_at, known_at = row["begins_at"], row["known_at"]
    return Document(
        version=row["version"],
        period_from=_shared(row["period_from"]),
        period_to=_shared(row["period_to"]),
        begins_at=begins_at if begins_at is not None and begins_at > row["period_from"] else None,
        ended=row["ended"],
        known_at=known_at,
        newest_at=known_at if row["newest_at"] == known_at else row["newest_at"],
        as_of=row["as_of"],
        deleted_at=row["deleted_at"],
        active_to=row["active_to"],
        reset_until=row["reset_until"],
        feature=None if row["feature_key"] is None else feature_ref(row["feature_id"] or "", row["feature_key"]),
        marks=_marks(row["marks"]),
        resets=_resets(row["resets"]),
        sights=_sights(row["sights"]),
    )


@functools.lru_cache(maxsize=4096)
def _shared(time: dt.datetime | None) -> dt.datetime | None:
    """Return the one object for what is equal: entitlements share their periods."""
    return time


def _resets(text: str) -> frozenset[RuleId]:
    return NO_RESETS if text == "[]" else frozenset(RuleId(rule) for rule in json.loads(text))


def _marks(text: str) -> Marks:
    return NO_MARKS if text == "{}" else _stored_marks.decode(text)


def _sights(text: str) -> Sights:
    return NO_SIGHTS if text == "{}" else {RuleId(rule): of_rule for rule, of_rule in json.loads(text).items()}
