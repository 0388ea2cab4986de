"""The outbox: memory, events and deliveries of a batch, in the one statement that keeps the promises."""

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import compress
from typing import Final

import asyncpg
import msgspec
from msgspec import Struct

from consumer.decide.model import NO_PARTIES, AnyDocument, Document, Parties
from consumer.errors import DataRefused, StoreFailed
from consumer.store.database import Database, DatabaseConnection, columns
from consumer.store.deliveries import Claimed, OfEvent, claimed_of
from consumer.store.memory import InvoiceKey, MemoryKey, marks_json
from schemas.tracing import Traced


class Result(StrEnum):
    """What became of a document and its events."""

    WRITTEN = "written"
    CHANGED = "changed"  # another version was found: reload, judge again, write again
    RULE_GONE = "rule_gone"  # a rule of its events was disabled or deleted: judge again with the new catalog


class NewEvent(Struct, frozen=True, kw_only=True):
    """An event to be written with its document."""

    id: str
    identity: bytes  # 32 bytes, equal for what is the same event
    rule_id: str
    rule_key: str | None = None
    rule_name: str = ""
    type: str
    action: str
    after: bytes | None  # the identity of the event that a channel must be done with before
    payload: bytes
    parties: Parties = NO_PARTIES
    occurred_at: dt.datetime
    recorded_at: dt.datetime  # Kafka's timestamp of the record
    record: Traced | None = None  # None of what the clock has made


class NewSample(Struct, frozen=True, kw_only=True):
    """A test event; for *channel_id* alone, where there is one, else for the channels of its rule."""

    id: str
    rule_id: str
    channel_id: str | None
    type: str
    payload: bytes
    parties: Parties
    occurred_at: dt.datetime


class Change(Struct, frozen=True):
    """A document that changed, and the events that led there, in order."""

    key: MemoryKey
    document: AnyDocument  # as judged; its version is the one that was read
    about: bytes  # JSON: what the clock and the API know of an entitlement
    events: tuple[NewEvent, ...]
    has_fired: bool = False  # of an entitlement: a threshold fires in the period that the document is in


class Written(Struct, frozen=True):
    """What became of a change.

    Attributes:
        was_made: of each event of the change, in order: whether it is; not one made before under another id.
        made: those that are.
        deliveries: how many they have.
        failed: the event of each that is FAILED as it is made: Tollbell has disabled its channel.
        leased: those of them that this process is to send now, in the slots that it has reserved.
    """

    result: Result
    was_made: tuple[bool, ...]
    made: tuple[NewEvent, ...]
    deliveries: int
    failed: tuple[str, ...] = ()
    leased: tuple[Claimed, ...] = ()


class ReservedSlots(Struct, frozen=True):
    """Slots of a channel in this process: reserved for what is about to be written, and in flight beside them."""

    free: int
    in_flight: int


class Reserved(Struct, frozen=True):
    """Slots, by channel, that deliveries may have as they are made, and for how long they are leased then."""

    slots: Mapping[str, ReservedSlots]
    lease: dt.timedelta


NOTHING_RESERVED: Final = Reserved({}, dt.timedelta())


_DOCUMENT: Final = (
    "kinds", "namespaces", "ids", "versions", "as_of", "periods_from", "periods_to", "begin_at", "ended", "known_at",
    "newest_at", "have_fired", "deleted_at", "active_to", "abouts", "marks", "resets", "sights", "states",
    "resets_until", "feature_ids", "feature_keys", "levels", "leveled_at",
)  # fmt: skip
_EVENT: Final = (
    "event_documents", "event_namespaces", "entitlement_ids", "invoice_ids", "event_ids", "identities", "rules",
    "types", "actions", "afters", "after_ids", "payloads", "subject_keys", "event_feature_ids", "event_feature_keys",
    "customer_ids", "customer_keys", "occurred", "recorded", "records",
)  # fmt: skip


async def write(
    database: Database | DatabaseConnection, changes: Sequence[Change], reserved: Reserved = NOTHING_RESERVED
) -> list[Written]:
    """Write *changes*, each whole or not at all; return what became of each, in order.

    Safe to repeat, and to run beside any other writer: a document is written only over the version it was judged on.

    Each event is sent and stored whole, though those of one record have most of it in common: feature, entitlement,
    value, subject, customer. A body is signed byte for byte, and what is common stands before and after what is the
    event's own. To send it once takes five arrays in place of one, and a concatenation for each event, which the usual
    record, of one event, would pay for; to store it once takes a join wherever a body is read: claims, history, API,
    retention. So what one record may make is bounded instead (`batch.RECORD_EVENT_BYTES`).

    Args:
        database: where to; in a transaction, *reserved* must be empty: nothing may be sent before the commit.
        changes: each of another entitlement or invoice.
        reserved: of a channel in it, so many of the new deliveries are leased to this process as they are made,
            instead of by a claim afterwards: of channels that are well, and have no rate. None that waits for another.

    Raises:
        DataRefused: Postgres refuses something in it; nothing of any change was written.
        StoreUnavailable: Postgres did not answer; whether it was written is unknown. What was leased is due after its
            lease.
    """
    documents = [_row(change) for change in changes]
    events = [_event(n, change, event) for n, change in enumerate(changes, 1) for event in change.events]
    arguments = dict(zip(_DOCUMENT, columns(documents, len(_DOCUMENT)), strict=True))
    arguments |= zip(_EVENT, columns(events, len(_EVENT)), strict=True)
    slots = msgspec.json.encode(reserved.slots).decode()
    rows = await database.rows("outbox/write", **arguments, slots=slots, lease=reserved.lease)
    written, taken = rows[: len(changes)], rows[len(changes) :]
    made = frozenset(written[0]["made"] or ()) if written else frozenset[str]()
    queued, failed = (Counter(written[0][name] or () if written else ()) for name in ("queued", "failed"))
    leased = defaultdict[str, list[asyncpg.Record]](list)
    for row in taken:
        leased[row["event_id"]].append(row)
    effects = _Effects(made, queued, failed, leased)
    return [_written(row, change, effects) for row, change in zip(written, changes, strict=True)]


def _event(n: int, change: Change, event: NewEvent) -> tuple[object, ...]:
    key, parties = change.key, event.parties
    is_invoice = isinstance(key, InvoiceKey)
    # The event before it, where it is one of this very change; whether it was made before, Postgres knows.
    after_id = next((one.id for one in change.events if one.identity == event.after), None) if event.after else None
    return (
        n,
        key.namespace,
        None if is_invoice else key.id,
        key.id if is_invoice else None,
        event.id,
        event.identity,
        event.rule_id,
        event.type,
        event.action,
        event.after,
        after_id,
        event.payload,
        parties.subject_key,
        parties.feature_id,
        parties.feature_key,
        parties.customer_id,
        parties.customer_key,
        event.occurred_at,
        event.recorded_at,
        msgspec.json.encode(event.record).decode() if event.record is not None else None,
    )


def _row(change: Change) -> tuple[object, ...]:
    key, document = change.key, change.document
    if not isinstance(document, Document):
        nothing = (None,) * 13
        return (
            "invoice",
            key.namespace,
            key.id,
            document.version,
            document.as_of,
            *nothing,
            document.state,
            *(None,) * 5,
        )
    return (
        "entitlement",
        key.namespace,
        key.id,
        document.version,
        document.as_of,
        document.period_from,
        document.period_to,
        document.begins_at,
        document.ended,
        document.known_at,
        document.newest_at,
        change.has_fired,
        document.deleted_at,
        document.active_to,
        change.about.decode(),
        marks_json(document.marks),
        json.dumps(sorted(document.resets)) if document.resets else "[]",
        json.dumps({rule: dict(of_rule) for rule, of_rule in document.sights.items()}) if document.sights else "{}",
        None,
        document.reset_until,
        document.feature.id if document.feature else None,
        document.feature.key if document.feature else None,
        document.level,
        document.level_at,
    )


class _Effects(Struct, frozen=True):
    """What the statement did for all changes at once, by event: which are made, and what became of deliveries."""

    made: frozenset[str]
    queued: Counter[str]
    failed: Counter[str]
    leased: Mapping[str, Sequence[asyncpg.Record]]


def _written(row: asyncpg.Record, change: Change, effects: _Effects) -> Written:
    was_made = tuple([event.id in effects.made for event in change.events])
    made = change.events if all(was_made) else tuple(compress(change.events, was_made))
    deliveries = sum([effects.queued[event.id] for event in made])
    failed = tuple([event.id for event in made for _ in range(effects.failed[event.id])]) if effects.failed else ()
    ours = tuple(
        [claimed_of(one, event.payload, _beside(event)) for event in made for one in effects.leased.get(event.id, ())]
    )
    return Written(Result(row["result"]), was_made, made, deliveries, failed, ours)


def _beside(event: NewEvent) -> OfEvent:
    return OfEvent(event.rule_id, event.recorded_at, event.record, rule_key=event.rule_key, rule_name=event.rule_name)


class _Rehearsed(Exception):
    pass


async def rehearse(database: Database, *, event_id: str) -> None:
    """Write an entitlement with an event and a delivery, and undo it: Postgres takes them, or this raises.

    Raises:
        StoreFailed: it fails them, though they are good: nothing of ours can be written now.
        StoreUnavailable: Postgres did not answer.
    """
    try:
        async with database.transaction() as connection:
            await connection.rows("outbox/rehearse", id=event_id)
            await connection.rows("outbox/constrain")
            raise _Rehearsed
    except _Rehearsed:
        return
    except DataRefused as exc:
        raise StoreFailed(f"Postgres refuses what is good: {exc}") from exc


async def write_sample(database: Database, namespace: str, event: NewSample) -> bool:
    """Write a test event with its deliveries; return whether what is tested was still there, and enabled.

    No memory is touched, and no identity taken: no event of a record is ever held for it.

    Raises:
        StoreUnavailable: Postgres did not answer; whether it was written is unknown.
    """
    parties = event.parties
    row = await database.row(
        "outbox/write_sample",
        id=event.id,
        namespace=namespace,
        rule=event.rule_id,
        channel=event.channel_id,
        type=event.type,
        payload=event.payload,
        subject_key=parties.subject_key,
        feature_id=parties.feature_id,
        feature_key=parties.feature_key,
        customer_id=parties.customer_id,
        customer_key=parties.customer_key,
        occurred_at=event.occurred_at,
    )
    return row is not None


async def notify(database: Database, *, sender: str) -> None:
    """Notify all deliverers, but that of *sender*, that something is due.

    Call it after the commit, at most once in a few milliseconds.

    Raises:
        StoreUnavailable: Postgres cannot be reached; deliverers poll.
    """
    await database.rows("outbox/notify", sender=sender)
