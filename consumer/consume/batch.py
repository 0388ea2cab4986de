"""A batch while it is judged: what each entitlement's document becomes, and the events that lead there. Pure."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from aiokafka import ConsumerRecord
from msgspec import Struct

from consumer.decide.judge import judge
from consumer.decide.model import AnyDocument, Occurrence, Reason
from consumer.decide.payloads import freeze, identity, occurred_at, preceding
from consumer.store.memory import MemoryKey
from consumer.store.outbox import Change, NewEvent
from schemas import events
from schemas.events import FeatureRef
from schemas.glance import Glance
from schemas.rules import Rule, RuleType
from schemas.sources import Snapshot, SourceEvent

KafkaRecord: TypeAlias = "ConsumerRecord[bytes, bytes]"
_LATEST_MS = 253_402_300_799_999  # the end of year 9999: a producer may claim any 64-bit timestamp


class Wanted(Struct, frozen=True):
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
    wanted: list[Wanted] = []
    occurrences: list[tuple[Occurrence, KafkaRecord]] = []
    reasons: list[tuple[RuleType, Reason]] = []
    shown_by: SourceEvent | None = None  # the record that last changed the document
    last: tuple[tuple[RuleType, Reason], ...] = ()  # the last record's reasons

    @property
    def is_changed(self) -> bool:
        """Whether there is something to write: an invoice's event may come without a change of its memory."""
        return self.document is not self.before or bool(self.occurrences)


def fold(
    wanted: Sequence[Wanted],
    documents: Mapping[MemoryKey, AnyDocument],
) -> dict[MemoryKey, Folded]:
    """Judge *wanted* in order on *documents*; return what becomes of each entitlement and invoice."""
    folded: dict[MemoryKey, Folded] = {}
    for one in wanted:
        key = one.key
        state = folded.get(key)
        if state is None:
            state = folded[key] = Folded(documents[key], documents[key])
        judgement = judge(one.rules, one.source, state.document)
        if judgement.document is not state.document:
            state.document = judgement.document
            state.shown_by = one.source
        state.wanted.append(one)
        if judgement.occurrences:
            state.occurrences += [(occurrence, one.record) for occurrence in judgement.occurrences]
        state.reasons += judgement.reasons
        state.last = judgement.reasons
    return folded


def change(key: MemoryKey, folded: Folded, new_id: Callable[[], str]) -> Change:
    """Return what is to be written of *folded*, its events with ids from *new_id*, their payloads frozen."""
    shown = folded.shown_by
    about = events.encode(shown.origin.about()) if isinstance(shown, Snapshot) else b"{}"
    made = tuple([new_event(occurrence, new_id(), _got_at(record)) for occurrence, record in folded.occurrences])
    feature = (
        FeatureRef(shown.feature_id, shown.feature_key) if isinstance(shown, Snapshot) and shown.feature_id else None
    )
    return Change(key, folded.document, about, made, feature)


def new_event(occurrence: Occurrence, event_id: str, recorded_at: dt.datetime) -> NewEvent:
    """Return the event of *occurrence*; *recorded_at* is when Kafka got the record, or the clock struck."""
    frozen = freeze(occurrence, event_id)
    return NewEvent(
        id=event_id,
        identity=identity(occurrence),
        rule_id=occurrence.rule.id,
        type=occurrence.rule.type.value,
        action=occurrence.action.value,
        after=preceding(occurrence),
        payload=frozen.body,
        parties=frozen.parties,
        occurred_at=occurred_at(occurrence),
        recorded_at=recorded_at,
    )


def _got_at(record: KafkaRecord) -> dt.datetime:
    return dt.datetime.fromtimestamp(min(max(record.timestamp, 0), _LATEST_MS) / 1000, dt.UTC)
