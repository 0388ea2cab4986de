"""The judgement, driven as the service drives it, in the words of the oracle.

Records go through the catalog and `fold`, the clock through `judge` with what the store would take, edits through
`ignoring`. What the store guards (an event's identity, when a period was first shown) is modelled here in a line each.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import inf, isinf

from msgspec.structs import replace

from consumer import ids
from consumer.consume.batch import Folded, WantedRecord, change, fold
from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, UNSEEN_INVOICE, AnyDocument, Document, Occurrence, Reason
from consumer.decide.payloads import identity
from consumer.decide.rules.crossing import Crossing
from consumer.decide.rules.entitlement_reset import Reset
from consumer.store.catalog import EMPTY
from consumer.store.memory import EntitlementKey, InvoiceKey, MemoryKey, key_of
from schemas.rules import NOTHING_IGNORED, Rule, RuleId, Since, Spec, ignoring, read_spec
from schemas.sources import Invoice, PeriodEnd, Snapshot, SourceEvent, Unmetered
from tests.property import words
from tests.property.words import CLOCK_DELAY, About, Billed, Event, Line, Shown
from tests.support.factories import NOW, NoOrigin, kafka_record

EVER = -100_000  # minutes: before whatever happens here
TYPES = {
    "balance": "entitlements.balance.threshold",
    "reset": "entitlements.reset",
    "created": "invoice.created",
    "updated": "invoice.updated",
}


class NoInvoice:
    """An invoice made in a test: there is no record behind it."""

    def invoice(self) -> dict[str, object]:
        return {"id": "in-1"}


def time(minutes: float) -> dt.datetime:
    return NOW + dt.timedelta(minutes=minutes)


def known_time(minutes: float) -> dt.datetime | None:
    return None if isinf(minutes) else time(minutes)


def minutes(at: dt.datetime | None, never: float = -inf) -> float:
    return never if at is None else (at - NOW) / dt.timedelta(minutes=1)


def amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def spec(rule: words.Rule) -> Spec:
    """*rule* as a person writes it."""
    given: dict[str, object] = {"type": TYPES[rule.type]}
    if rule.type == "balance":
        given["thresholds"] = [{"type": kind, "value": value} for kind, value in rule.written]
        given |= {"emit": rule.emit, "rearm": rule.rearm, "onCreate": rule.on_create}
        given["notifyOn"] = ["triggered", "recovered"] if rule.notifies_recovered else ["triggered"]
    if rule.features:
        given["features"] = sorted(rule.features)
    if rule.statuses:
        given["statuses"] = sorted(rule.statuses)
    return read_spec(given)


def source(record: Shown | Billed) -> SourceEvent:
    """*record* as it is parsed."""
    namespace, name = record.about
    if isinstance(record, Billed):
        by, event_id = record.by
        return Invoice(
            namespace=namespace,
            invoice_id=name,
            is_created=record.kind == "created",
            state=record.state,
            previous=record.previous,
            at=time(record.at),
            source=by,
            event_id=event_id,
            origin=NoInvoice(),
        )
    if record.kind == "unmetered":
        return Unmetered(namespace, name, *record.feature)
    return Snapshot(
        namespace=namespace,
        entitlement_id=name,
        feature_id=record.feature[0],
        feature_key=record.feature[1],
        calculated_at=time(record.at),
        period_from=time(record.period),
        period_to=known_time(record.end),
        usage=amount(record.usage),
        allowance=amount(record.allowance),
        balance=amount(record.balance),
        active_from=known_time(record.active_from),
        active_to=known_time(record.active_to),
        reset_at=time(record.period) if record.kind == "reset" else None,
        is_deleted=record.kind == "delete",
        origin=NoOrigin(),
    )


def line(identity_of_threshold: str) -> Line:
    kind, value = identity_of_threshold.split(":")
    return Line(kind, Fraction(value))


def event_of(one: Occurrence) -> Event:
    """What *one* says, in the oracle's words."""
    if isinstance(one, Crossing):
        about = (one.snapshot.namespace, one.snapshot.entitlement_id)
        crossed = (minutes(one.period_from), line(one.threshold.identity), one.action.value, one.episode)
        also = tuple(line(other.identity) for other in one.also_crossed)
        return Event(one.rule.id, about, crossed, ("period_end", minutes(one.at)) if one.is_closing else also)
    if isinstance(one, Reset):
        about = (one.source.namespace, one.source.entitlement_id)
        starts = [minutes(start) for start in (one.period_from, one.after) if start is not None]
        return Event(one.rule.id, about, tuple(starts), one.reason.value.removeprefix("reset_"))
    about = (one.invoice.namespace, one.invoice.invoice_id)
    if one.invoice.is_created:
        return Event(one.rule.id, about, ("created",), one.previous)
    return Event(one.rule.id, about, (one.invoice.state, one.invoice.source, one.invoice.event_id), one.previous)


def unleveled(document: AnyDocument) -> AnyDocument:
    """Return what is judged on."""
    return replace(document, level=None, level_at=None) if isinstance(document, Document) else document


class World:
    """Rules, memory and events, as the database holds them."""

    def __init__(self, rules: Mapping[str, words.Rule] | None = None) -> None:
        self.events: list[Event] = []
        self.reasons: list[str] = []
        self.rules: dict[str, Rule] = {}
        self.catalog = EMPTY
        self.documents: dict[MemoryKey, AnyDocument] = {}
        self.shown_at: dict[MemoryKey, float] = {}
        self.fired_at: dict[MemoryKey, float] = {}
        self.twice = 0  # how often the store's identity had to stand behind the judgement
        self._made: set[bytes] = set()
        for name, rule in (rules or {}).items():
            self.edited(name, rule, -inf)

    def edited(self, name: str, rule: words.Rule | None, now: float) -> None:
        """As `Edit.put_rule` has it."""
        revision, before = self.catalog.revision + 1, self.rules.pop(name, None)
        if rule is not None:
            ignored = ignoring(
                spec(rule),
                Since(revision=revision, at=time(max(now, EVER))),
                before=before.spec if before else None,
                kept=before.ignoring if before else NOTHING_IGNORED,
            )
            self.rules[name] = Rule(
                id=RuleId(name), namespace=rule.namespace, name=name, spec=spec(rule), channels=(), ignoring=ignored
            )
        self.catalog = self.catalog.changed(revision, {name: self.rules.get(name)})

    def batch(self, records: Iterable[Shown | Billed], now: float = 0) -> Mapping[MemoryKey, Folded]:
        """As `Ingest.batch` has it, all written at once."""
        sources = [source(record) for record in records]
        about = [(one, self.catalog.about(one)) for one in sources]
        wanted = [WantedRecord(kafka_record(), key_of(one), one, rules) for one, rules in about if rules]
        for one in wanted:
            self.documents.setdefault(one.key, UNSEEN_INVOICE if isinstance(one.key, InvoiceKey) else UNSEEN)
        folded = fold(wanted, self.documents, ids.new).states
        for key, state in folded.items():
            self._show(key, state, now)
            self._make([one for one, _ in state.occurrences], [reason for _, reason in state.reasons])
        return folded

    def period_ends(self, about: About, now: float) -> None:
        """As `PeriodEnds` has it, of what `memory/ended.sql` takes."""
        key = EntitlementKey(*about)
        document = self.documents[key]
        assert isinstance(document, Document)
        end, active_to = minutes(document.period_to, inf), minutes(document.active_to, inf)
        is_over = document.ended or document.deleted_at is not None or active_to <= end
        fired_at = self.fired_at.get(key, -inf)
        is_due = self.shown_at[key] < end or fired_at > -inf
        if is_over or not is_due or max(end, fired_at) > now - CLOCK_DELAY:
            return
        assert document.feature is not None
        ends = PeriodEnd(
            namespace=key.namespace,
            entitlement_id=key.id,
            feature_id=document.feature.id,
            feature_key=document.feature.key,
            origin=NoOrigin(),
        )
        judgement = judge(self.catalog.about(ends), ends, document)
        self.documents[key] = judgement.document
        self._make(judgement.occurrences, [reason for _, reason in judgement.reasons])

    def _show(self, key: MemoryKey, state: Folded, now: float) -> None:
        before, after = self.documents[key], state.document
        self.documents[key] = after
        if isinstance(before, Document) and isinstance(after, Document):
            if (before.period_from, before.begins_at) != (after.period_from, after.begins_at):
                self.shown_at[key], self.fired_at[key] = now, -inf
            if change(key, state).has_fired:
                self.fired_at[key] = now

    def _make(self, occurrences: Sequence[Occurrence], reasons: Sequence[Reason]) -> None:
        """What was made before under another id is not made again, and its reason is `duplicate`."""
        why = [reason.value for reason in reasons]
        for one in occurrences:
            if identity(one) in self._made:
                self.twice += 1
                # A clock's reset may be shown again after a manual one that came late: the document has moved on, the
                # identity has not. The contract calls any second sight of a reset already_reset.
                why[why.index(one.reason.value)] = "already_reset" if isinstance(one, Reset) else "duplicate"
            else:
                self._made.add(identity(one))
                self.events.append(event_of(one))
        self.reasons += why
