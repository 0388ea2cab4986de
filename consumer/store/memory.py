"""The memory of entitlements and invoices, as Postgres has it: how a document is found, and read from its row."""

import datetime as dt
import functools
import json
import sys
from collections.abc import Collection, Mapping
from typing import Final, Literal, NamedTuple

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
    Sights,
)
from consumer.store.database import Database, columns
from schemas.rules import RuleId
from schemas.sources import Invoice, SourceEvent

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


async def load(database: Database, keys: Collection[MemoryKey]) -> dict[MemoryKey, AnyDocument]:
    """Return the documents of *keys* as Postgres has them, in one query a kind.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    once = dict.fromkeys(keys)
    entitlements = [key for key in once if isinstance(key, EntitlementKey)]
    invoices = [key for key in once if isinstance(key, InvoiceKey)]
    found: dict[MemoryKey, AnyDocument] = {}
    if entitlements:
        found.update(await _load_entitlements(database, entitlements))
    if invoices:
        found.update(await _load_invoices(database, invoices))
    return found


async def _load_entitlements(database: Database, keys: list[EntitlementKey]) -> dict[MemoryKey, AnyDocument]:
    found: dict[MemoryKey, AnyDocument] = dict.fromkeys(keys, UNSEEN)
    namespaces, ids = columns(keys, 2)
    for row in await database.rows("memory/load", namespaces=namespaces, ids=ids):
        found[EntitlementKey(row["namespace"], row["id"])] = document_of(row)
    return found


async def _load_invoices(database: Database, keys: list[InvoiceKey]) -> dict[MemoryKey, AnyDocument]:
    found: dict[MemoryKey, AnyDocument] = dict.fromkeys(keys, UNSEEN_INVOICE)
    namespaces, ids, _ = columns(keys, 3)
    for row in await database.rows("memory/load_invoices", namespaces=namespaces, ids=ids):
        document = InvoiceDocument(version=row["version"], state=row["state"], as_of=row["as_of"])
        found[InvoiceKey(row["namespace"], row["id"])] = document
    return found


async def changed(database: Database, versions: Mapping[tuple[str, str], int]) -> list[EntitlementKey]:
    """Return those of *versions*, by namespace and id, whose row has another version by now: another has written.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    namespaces, ids, known = columns([(*key, version) for key, version in versions.items()], 3)
    rows = await database.rows("memory/changed", namespaces=namespaces, ids=ids, versions=known)
    return [EntitlementKey(row["namespace"], row["id"]) for row in rows]


def marks_json(marks: Marks) -> str:
    """Return *marks* as they are stored."""
    return _encoder.encode(marks).decode()


def document_of(row: asyncpg.Record) -> Document:
    """Return the document of a row of `entitlement`, its JSON columns as text.

    An older release, while replicas are rolled, leaves a start that counts where it begins another period: then it lies
    before that one. Likewise the level of the period before.
    """
    begins_at, known_at, level_at = row["begins_at"], row["known_at"], row["level_at"]
    is_leveled = level_at is not None and not row["ended"] and level_at >= (begins_at or row["period_from"])
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
        marks=marks_of(row["marks"]),
        resets=_resets(row["resets"]),
        sights=_sights(row["sights"]),
        level=row["level"] if is_leveled else None,
        level_at=level_at if is_leveled else None,
    )


@functools.lru_cache(maxsize=4096)
def _shared(time: dt.datetime | None) -> dt.datetime | None:
    """Return the one object for what is equal: entitlements share their periods."""
    return time


def _resets(text: str) -> frozenset[RuleId]:
    return NO_RESETS if text == "[]" else frozenset(RuleId(rule) for rule in json.loads(text))


def marks_of(text: str) -> Marks:
    """Return stored marks."""
    return NO_MARKS if text == "{}" else _stored_marks.decode(text)


def _sights(text: str) -> Sights:
    return NO_SIGHTS if text == "{}" else {RuleId(rule): of_rule for rule, of_rule in json.loads(text).items()}
