"""A batch while it is judged: what each entitlement's document becomes, and the events that lead there. Pure."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from aiokafka import ConsumerRecord

from consumer.decide.judge import judge
from consumer.decide.model import Crossing, Document, Reason
from consumer.decide.payloads import identity, payload, preceding
from consumer.store.memory import EntitlementKey
from consumer.store.outbox import Change, NewEvent
from schemas import events
from schemas.rules import Rule, RuleType
from schemas.sources import SourceEvent

KafkaRecord: TypeAlias = "ConsumerRecord[bytes, bytes]"
_LATEST_MS = 253_402_300_799_999  # the end of year 9999: a producer may claim any 64-bit timestamp


@dataclass(frozen=True, slots=True)
class Wanted:
    """A record that some rule is about."""

    record: KafkaRecord
    source: SourceEvent
    rules: Sequence[Rule]

    @property
    def key(self) -> EntitlementKey:
        """Whose memory it is judged on."""
        return EntitlementKey(self.source.namespace, self.source.entitlement_id)


@dataclass(slots=True)
class Folded:
    """An entitlement's records of a batch, judged one after the other: what one fired, the next one knows."""

    before: Document
    document: Document
    wanted: list[Wanted] = field(default_factory=list)
    crossings: list[tuple[Crossing, KafkaRecord]] = field(default_factory=list)
    reasons: list[tuple[RuleType, Reason]] = field(default_factory=list)
    shown_by: SourceEvent | None = None  # the record that last changed the document

    @property
    def is_changed(self) -> bool:
        """Whether there is something to write."""
        return self.document is not self.before


def fold(
    wanted: Sequence[Wanted],
    documents: Mapping[EntitlementKey, Document],
) -> dict[EntitlementKey, Folded]:
    """Judge *wanted* in order on *documents*; return what becomes of each entitlement."""
    folded: dict[EntitlementKey, Folded] = {}
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
        state.crossings.extend((crossing, one.record) for crossing in judgement.crossings)
        state.reasons.extend(judgement.reasons)
    return folded


def change(key: EntitlementKey, folded: Folded, new_id: Callable[[], str]) -> Change:
    """Return what is to be written of *folded*, its events with ids from *new_id*, their payloads frozen."""
    shown = folded.shown_by
    about = events.encode(shown.origin.about() if shown is not None and hasattr(shown, "origin") else {})
    made = tuple(_event(crossing, record, new_id()) for crossing, record in folded.crossings)
    return Change(key, folded.document, about, made)


def _event(crossing: Crossing, record: KafkaRecord, event_id: str) -> NewEvent:
    return NewEvent(
        id=event_id,
        identity=identity(crossing),
        rule_id=crossing.rule.id,
        type=crossing.rule.type.value,
        action=crossing.action.value,
        after=preceding(crossing),
        payload=payload(crossing, event_id),
        occurred_at=crossing.snapshot.calculated_at,
        recorded_at=dt.datetime.fromtimestamp(min(max(record.timestamp, 0), _LATEST_MS) / 1000, dt.UTC),
    )
