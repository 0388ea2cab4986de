"""A batch while it is judged: what each entitlement's document becomes, and the events that lead there. Pure."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Struct

from consumer.consume.fast_path.glance import Glance
from consumer.decide.judge import judge
from consumer.decide.model import TOLERANCE, AnyDocument, Document, Occurrence, Reason
from consumer.decide.payloads import freeze, identity, in_period, preceding
from consumer.store.memory import MemoryKey
from consumer.store.outbox import Change, NewEvent
from schemas import events
from schemas.events import FeatureRef
from schemas.rules import Rule, RuleType
from schemas.sources import About, Snapshot, SourceEvent
from schemas.tracing import Traced, traced

KafkaRecord: TypeAlias = "ConsumerRecord[bytes, bytes]"
PART_RECORDS: Final = 250  # of a batch are written at once: smaller parts make more statements, larger ones wait longer
PART_BYTES: Final = 4 * 1024 * 1024  # likewise, of records: what a statement may hold in memory
# Of events' payloads. A record of 3 KB may make 1,600 events; one of 800 KB, twenty.
RECORD_EVENT_BYTES: Final = 16 * 1024 * 1024
STATEMENT_BYTES: Final = 4 * 1024 * 1024  # beyond it the next record waits for the next statement
_LATEST_MS = 253_402_300_799_999  # the end of year 9999: a producer may claim any 64-bit timestamp


class WantedRecord(Struct, frozen=True):
    """A record that some rule is about; *key*: whose memory it is judged on."""

    record: KafkaRecord
    key: MemoryKey
    source: SourceEvent
    rules: Sequence[Rule]
    seen: Glance | None = None


class Folded(Struct):
    """One key's records of a batch, judged one after the other: what one fired, the next one knows."""

    before: AnyDocument
    document: AnyDocument
    wanted: list[WantedRecord] = []
    occurrences: list[tuple[Occurrence, NewEvent]] = []
    reasons: list[tuple[RuleType, Reason]] = []
    shown_by: SourceEvent | None = None  # the record that last changed the document
    last: tuple[tuple[RuleType, Reason], ...] = ()  # the last record's reasons

    @property
    def is_changed(self) -> bool:
        """Whether there is something to write: an invoice's event may come without a change of its memory."""
        return self.document is not self.before or bool(self.occurrences)


class Fold(Struct):
    """Records judged.

    Attributes:
        states: what becomes of each entitlement and invoice.
        too_many: records whose events would be more than one record may make; they changed nothing.
        left: records that were not judged yet, since the events of those before them fill a statement.
    """

    states: dict[MemoryKey, Folded] = {}
    too_many: list[tuple[WantedRecord, str]] = []
    left: Sequence[WantedRecord] = ()


def in_parts(wanted: Sequence[WantedRecord]) -> list[list[WantedRecord]]:
    """Return *wanted* in parts of about `PART_RECORDS` or `PART_BYTES`, in order: all of one key in one part."""
    size = sum([len(one.record.value or b"") for one in wanted])
    parts: list[list[WantedRecord]] = [[] for _ in range(max(-(-len(wanted) // PART_RECORDS), -(-size // PART_BYTES)))]
    for one in wanted:
        parts[hash(one.key) % len(parts)].append(one)
    return [part for part in parts if part]


def smaller(wanted: Sequence[WantedRecord]) -> list[list[WantedRecord]]:
    """Return *wanted*, more than one, in smaller parts to be written one after the other.

    Each key stays whole in one of two parts: nothing of it is judged on half of its records. Those of a single key come
    one by one, in order.
    """
    keys = list(dict.fromkeys(one.key for one in wanted))
    if len(keys) == 1:
        return [[one] for one in wanted]
    first = frozenset(keys[: len(keys) // 2])
    return [[one for one in wanted if one.key in first], [one for one in wanted if one.key not in first]]


def fold(
    wanted: Sequence[WantedRecord],
    documents: Mapping[MemoryKey, AnyDocument],
    new_id: Callable[[], str],
    tolerance: dt.timedelta = TOLERANCE,
) -> Fold:
    """Judge *wanted* in order on *documents*; their events get ids from *new_id*, and frozen payloads."""
    folded = Fold()
    size = 0
    for n, one in enumerate(wanted):
        if size > STATEMENT_BYTES:
            folded.left = wanted[n:]
            break
        key = one.key
        state = folded.states.get(key)
        if state is None:
            state = folded.states[key] = Folded(documents[key], documents[key])
        judgement = judge(one.rules, one.source, state.document, tolerance=tolerance)
        made = _events(judgement.occurrences, one, new_id)
        state.wanted.append(one)
        if made is None:
            count = len(judgement.occurrences)
            folded.too_many.append((one, f"makes {count} events of together more than {RECORD_EVENT_BYTES} bytes"))
            continue
        if judgement.document is not state.document:
            state.document = judgement.document
            state.shown_by = one.source
        if made:
            state.occurrences += zip(judgement.occurrences, made, strict=True)
            size += sum([len(event.payload) for event in made])
        state.reasons += judgement.reasons
        state.last = judgement.reasons
    return folded


def _events(occurrences: Sequence[Occurrence], one: WantedRecord, new_id: Callable[[], str]) -> list[NewEvent] | None:
    """Return the events of a record, or None where they are too large together: no more of them is made than that."""
    made: list[NewEvent] = []
    if not occurrences:
        return made
    record, size = _traced(one.record), 0
    for occurrence in occurrences:
        event = new_event(occurrence, new_id(), _got_at(one.record), record)
        size += len(event.payload)
        if size > RECORD_EVENT_BYTES:
            return None
        made.append(event)
    return made


def change(key: MemoryKey, folded: Folded) -> Change:
    """Return what is to be written of *folded*."""
    shown = folded.shown_by
    about = events.encode(_about(shown, folded.document)) if isinstance(shown, Snapshot) else b"{}"
    made = tuple([event for _, event in folded.occurrences])
    return Change(key, folded.document, about, made, _has_fired(folded))


def _about(shown: Snapshot, document: AnyDocument) -> About:
    """Return what is stored of an entitlement: period and feature as they count, whatever the record shows."""
    about = shown.origin.about()
    assert isinstance(document, Document) and document.period_from is not None  # noqa: S101, PT018 - it was shown
    if document.feature is not None and document.feature.key != shown.feature_key:
        about = msgspec.structs.replace(about, feature=_named(document.feature))
    if document.begins_at is None and document.period_to == shown.period_to:
        return about
    start = document.begins_at or document.period_from
    return msgspec.structs.replace(about, entitlement=in_period(about.entitlement, start, document.period_to))


def _named(feature: FeatureRef) -> dict[str, Any]:
    """Return *feature* as a payload has it."""
    return {"id": feature.id, "key": feature.key} if feature.id else {"key": feature.key}


def _has_fired(folded: Folded) -> bool:
    """Return whether a threshold fires in the period that the document is in then."""
    document = folded.document
    if not folded.occurrences or not isinstance(document, Document):
        return False
    start = document.begins_at or document.period_from
    return any(one.fired_in is not None and one.fired_in == start for one, _ in folded.occurrences)


def new_event(
    occurrence: Occurrence, event_id: str, recorded_at: dt.datetime, record: Traced | None = None
) -> NewEvent:
    """Return the event of *occurrence*; *recorded_at* is when Kafka got the *record*, or the clock struck."""
    frozen = freeze(occurrence, event_id)
    return NewEvent(
        id=event_id,
        identity=identity(occurrence),
        rule_id=occurrence.rule.id,
        rule_key=occurrence.rule.key,
        rule_name=occurrence.rule.name,
        type=occurrence.rule.type.value,
        action=occurrence.action.value,
        after=preceding(occurrence),
        payload=frozen.body,
        parties=frozen.parties,
        occurred_at=occurrence.occurred_at,
        recorded_at=recorded_at,
        record=record,
    )


def _traced(record: KafkaRecord) -> Traced:
    assert record.value is not None  # noqa: S101 - it was understood
    return traced(record.topic, record.partition, record.offset, record.value, record.headers)


def as_written(
    reasons: Sequence[tuple[RuleType, Reason]], occurrences: Sequence[Occurrence], was_made: Sequence[bool]
) -> Sequence[tuple[RuleType, Reason]]:
    """Return *reasons* of which *occurrences* are, with what had been made before under another id said to be so.

    A reset is `already_reset` then, everything else a `duplicate`.
    """
    if all(was_made):
        return reasons
    found = list(reasons)
    for one, is_made in zip(occurrences, was_made, strict=True):
        if not is_made:
            found[found.index((one.rule.type, one.reason))] = (one.rule.type, one.made_before)
    return found


def _got_at(record: KafkaRecord) -> dt.datetime:
    return dt.datetime.fromtimestamp(min(max(record.timestamp, 0), _LATEST_MS) / 1000, dt.UTC)
