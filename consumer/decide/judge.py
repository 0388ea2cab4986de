"""The judgement: a record, the rules that want it, the memory → the memory after, what fires, and why.

Pure: no clock, no randomness, nothing awaited, nothing logged. Every transition of the memory is here, none in SQL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from consumer.decide.model import NO_MARKS, Crossing, Document, Judgement, Mark, Reason
from consumer.decide.rules import balance_threshold
from schemas.rules import BalanceThresholdSpec, Rule, RuleId, RuleType
from schemas.sources import Snapshot, SourceEvent, Unmetered

_NONE: Final[Mapping[str, Mark]] = {}


def judge(rules: Sequence[Rule], source: SourceEvent, document: Document) -> Judgement:
    """Judge *source* by each of *rules* on *document*, the memory of its entitlement.

    The same arguments give the same judgement. A record judged again on the memory that it left fires nothing.
    """
    match source:
        case Unmetered():
            return _nothing(rules, document, Reason.NOT_METERED)
        case Snapshot():
            return _judge_snapshot(rules, source, document)
        case _:
            assert_never(source)


def _judge_snapshot(rules: Sequence[Rule], snapshot: Snapshot, document: Document) -> Judgement:
    if reason := _not_judged(snapshot, document):
        return _nothing(rules, document, reason)
    before = _in_period(document, snapshot)
    is_late = before.as_of is not None and snapshot.calculated_at <= before.as_of
    marks: dict[RuleId, Mapping[str, Mark]] = {}
    crossings: list[Crossing] = []
    reasons: list[tuple[RuleType, Reason]] = []
    looked_back = False
    for rule in rules:
        known = before.marks.get(rule.id, _NONE)
        match rule.spec:
            case BalanceThresholdSpec() as spec:
                finding = balance_threshold.judge(rule, spec, snapshot, known, is_late=is_late)
            case _:
                assert_never(rule.spec)
        reasons.extend((rule.type, reason) for reason in finding.reasons)
        crossings.extend(finding.crossings)
        looked_back |= spec.looks_back and bool(finding.marks)
        if finding.marks is not known:
            marks[rule.id] = finding.marks
    after = _remembered(before, marks, snapshot, counts=bool(marks) or looked_back)
    return Judgement(after, tuple(crossings), tuple(reasons))


def _remembered(
    before: Document,
    marks: Mapping[RuleId, Mapping[str, Mark]],
    snapshot: Snapshot,
    *,
    counts: bool,
) -> Document:
    """Return *before* with *marks*; where the record *counts* and is the newest, as of it."""
    newest = snapshot.calculated_at if before.as_of is None else max(before.as_of, snapshot.calculated_at)
    if not marks and (not counts or newest == before.as_of):
        return before
    return replace(before, marks={**before.marks, **marks}, as_of=newest if counts else before.as_of)


def _not_judged(snapshot: Snapshot, document: Document) -> Reason | None:
    """Return why the record makes nothing whatever the rules say, or None."""
    if snapshot.is_deleted:
        return Reason.DELETED
    if snapshot.active_from is not None and snapshot.calculated_at < snapshot.active_from:
        return Reason.INACTIVE
    if snapshot.active_to is not None and snapshot.calculated_at >= snapshot.active_to:
        return Reason.INACTIVE
    if document.period_from is not None and snapshot.period_from < document.period_from:
        return Reason.STALE_PERIOD
    return None


def _in_period(document: Document, snapshot: Snapshot) -> Document:
    """Return *document* as it stands in the snapshot's period: a new period start arms anew."""
    if document.period_from == snapshot.period_from:
        if document.period_to == snapshot.period_to:
            return document
        return replace(document, period_to=snapshot.period_to)
    return replace(
        document,
        period_from=snapshot.period_from,
        period_to=snapshot.period_to,
        as_of=None,
        marks=NO_MARKS,
    )


def _nothing(rules: Sequence[Rule], document: Document, reason: Reason) -> Judgement:
    return Judgement(document, (), tuple((rule.type, reason) for rule in rules))
