"""An entitlement's record judged by all rules about it: first where it stands in time, then rule by rule.

```
not judged   a delete, or not active at `calculatedAt`: noted for the clock, nothing more
stale        of a period that is over: makes nothing
same period  judged on the marks of the period
new period   arms anew: marks empty; itself a reset
```
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from consumer.decide.model import (
    NO_MARKS,
    NO_RESETS,
    NO_SIGHTS,
    Document,
    Judgement,
    Mark,
    Occurrence,
    Reason,
    Reset,
)
from consumer.decide.rules import balance_threshold, entitlement_reset
from schemas.rules import BalanceThresholdSpec, ResetSpec, Rule, RuleId, RuleType
from schemas.sources import PeriodEnd, Snapshot

_NONE: Final[Mapping[str, Mark]] = {}
_UNSEEN: Final[Mapping[str, int]] = {}


class _Found(Struct):
    """What the rules make of a record, one after the other."""

    occurrences: list[Occurrence] = []
    reasons: list[tuple[RuleType, Reason]] = []
    marks: dict[RuleId, Mapping[str, Mark]] = {}
    sights: dict[RuleId, Mapping[str, int]] = {}
    resets: set[RuleId] = set()
    is_watched: bool = False  # a rule that looks back has a mark


def judge(rules: Sequence[Rule], snapshot: Snapshot, document: Document) -> Judgement:
    """Judge *snapshot*, which may be a reset or a delete, by each of *rules* on *document*."""
    if snapshot.is_deleted:
        return _nothing(rules, _deleted(document, snapshot), Reason.DELETED)
    if snapshot.active_from is not None and snapshot.calculated_at < snapshot.active_from:
        return _nothing(rules, document, Reason.INACTIVE)
    is_stale = _is_stale(document, snapshot)
    if snapshot.active_to is not None and snapshot.calculated_at >= snapshot.active_to:
        return _nothing(rules, document if is_stale else _inactive(document, snapshot), Reason.INACTIVE)
    if is_stale:
        return _nothing(rules, document, Reason.STALE_PERIOD)
    before = _alive(_in_period(rules, document, snapshot), snapshot)
    found = _by_rules(rules, snapshot, before, document)
    return Judgement(_remembered(before, found, snapshot), tuple(found.occurrences), tuple(found.reasons))


def end(rules: Sequence[Rule], source: PeriodEnd, document: Document) -> Judgement:
    """Judge that the clock has seen *document*'s period end: a reset by itself, which begins no period."""
    assert document.period_to is not None and not document.ended  # noqa: S101, PT018 - that is what the clock looks for
    resets = [
        Reset(
            rule=rule,
            source=source,
            period_from=document.period_to,
            reason=Reason.RESET_AUTOMATIC,
            at=document.period_to,
        )
        for rule in rules
        if isinstance(rule.spec, ResetSpec)
    ]
    after = replace(document, ended=True, as_of=None, marks=NO_MARKS, resets=NO_RESETS)
    return Judgement(after, tuple(resets), tuple((reset.rule.type, reset.reason) for reset in resets))


def _by_rules(rules: Sequence[Rule], snapshot: Snapshot, before: Document, seen: Document) -> _Found:
    """Judge by each rule: thresholds on *before*, in the snapshot's period; resets on *seen*, before the record."""
    found = _Found()
    is_late = before.as_of is not None and snapshot.calculated_at <= before.as_of
    for rule in rules:
        spec = rule.spec
        if type(spec) is BalanceThresholdSpec:  # isinstance asks pydantic's metaclass, which is slow
            _by_thresholds(found, rule, spec, snapshot, before, is_late=is_late)
        else:
            _by_reset(found, rule, snapshot, seen)
    return found


def _by_thresholds(
    found: _Found, rule: Rule, spec: BalanceThresholdSpec, snapshot: Snapshot, before: Document, *, is_late: bool
) -> None:
    rule_id, rule_type = rule.id, spec.type
    known = balance_threshold.Known(before.marks.get(rule_id, _NONE), before.sights.get(rule_id, _UNSEEN))
    finding = balance_threshold.judge(rule, spec, snapshot, known, is_late=is_late)
    found.reasons += [(rule_type, reason) for reason in finding.reasons]
    found.occurrences += finding.crossings
    found.is_watched |= bool(finding.marks) and spec.looks_back
    if finding.marks is not known.marks:
        found.marks[rule_id] = finding.marks
    if finding.sights is not known.sights:
        found.sights[rule_id] = finding.sights


def _by_reset(found: _Found, rule: Rule, snapshot: Snapshot, seen: Document) -> None:
    reason = entitlement_reset.judge(snapshot, seen, is_told=rule.id in seen.resets)
    found.reasons.append((rule.type, reason))
    if reason is not Reason.SAME_PERIOD:
        found.resets.add(rule.id)
    if reason is Reason.RESET_MANUAL or reason is Reason.RESET_AUTOMATIC:
        found.occurrences.append(
            Reset(
                rule=rule,
                source=snapshot,
                period_from=snapshot.period_from,
                reason=reason,
                at=snapshot.reset_at or snapshot.period_from,
            )
        )


def _remembered(before: Document, found: _Found, snapshot: Snapshot) -> Document:
    """Return *before* with what was found; where the record counts and is the newest, as of it."""
    changed: dict[str, Any] = {}
    if not found.resets <= before.resets:
        changed["resets"] = before.resets | found.resets
    if found.sights:
        changed["sights"] = {**before.sights, **found.sights}
    if found.marks:
        changed["marks"] = {**before.marks, **found.marks}
    is_newest = before.as_of is None or snapshot.calculated_at > before.as_of
    if is_newest and (found.marks or found.is_watched):
        changed["as_of"] = snapshot.calculated_at
    return replace(before, **changed) if changed else before


def _is_stale(document: Document, snapshot: Snapshot) -> bool:
    """Whether the snapshot's period is over: a later one was seen, or the clock has ended it."""
    if document.period_from is None or snapshot.period_from > document.period_from:
        return False
    return document.ended or snapshot.period_from < document.period_from


def _in_period(rules: Sequence[Rule], document: Document, snapshot: Snapshot) -> Document:
    """Return *document* as it stands in the snapshot's period: a new period start arms anew."""
    if document.period_from == snapshot.period_from:
        if document.period_to == snapshot.period_to:
            return document
        return replace(document, period_to=snapshot.period_to)
    return replace(
        document,
        period_from=snapshot.period_from,
        period_to=snapshot.period_to,
        ended=False,
        as_of=None,
        marks=NO_MARKS,
        resets=NO_RESETS,
        sights=_still_known(rules, document),
    )


def _still_known(rules: Sequence[Rule], document: Document) -> Mapping[RuleId, Mapping[str, int]]:
    """Return the sights of rules that are still about the entitlement: a document must not grow with every rule."""
    if not document.sights:
        return NO_SIGHTS
    return {rule.id: document.sights[rule.id] for rule in rules if rule.id in document.sights}


def _alive(document: Document, snapshot: Snapshot) -> Document:
    """Return *document* with what an active entitlement's record says of its end."""
    is_newer_than_delete = document.deleted_at is not None and snapshot.calculated_at > document.deleted_at
    if document.active_to == snapshot.active_to and not is_newer_than_delete:
        return document
    deleted_at = None if is_newer_than_delete else document.deleted_at
    return replace(document, active_to=snapshot.active_to, deleted_at=deleted_at)


def _inactive(document: Document, snapshot: Snapshot) -> Document:
    """Return *document* with the end of an entitlement that is no longer active; begun with it, where it is unseen."""
    if document.period_from is None:
        document = replace(document, period_from=snapshot.period_from, period_to=snapshot.period_to)
    return document if document.active_to == snapshot.active_to else replace(document, active_to=snapshot.active_to)


def _deleted(document: Document, snapshot: Snapshot) -> Document:
    """Return *document* with a delete noted, unless a record calculated after it is known."""
    at = snapshot.calculated_at
    if document.period_from is None:
        return replace(document, period_from=snapshot.period_from, period_to=snapshot.period_to, deleted_at=at)
    if document.deleted_at is not None and document.deleted_at >= at:
        return document
    if document.as_of is not None and document.as_of > at:
        return document
    return replace(document, deleted_at=at)


def _nothing(rules: Sequence[Rule], document: Document, reason: Reason) -> Judgement:
    return Judgement(document, (), tuple((rule.type, reason) for rule in rules))
