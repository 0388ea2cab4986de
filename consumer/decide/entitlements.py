"""An entitlement's record judged by all rules about it: first where it stands in time, then rule by rule.

```
not judged   a delete, or not active at `calculatedAt`: noted for the clock, nothing more
stale        of a period that is over: makes nothing
same period  judged on the marks of the period
new period   closes the alarms of the one before; arms anew: marks empty; itself a reset
```
What a record says of the end, of `activeTo`, of deletion and of the feature's name counts where it is newer than all
that wrote the row.

Whatever fires is followed by a reset. Where a period begins before an end that was reset at (a manual reset come late),
the reset that closes it may be of that very end: it is another one if a threshold has fired, known by the start of the
period that it closes as well (`Reset.after`); if none has, it is `already_reset`. See `tests/decisions.md`.
"""

import datetime as dt
import functools
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
from schemas.events import FeatureRef
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


def judge(rules: Sequence[Rule], snapshot: Snapshot, document: Document, *, tolerance: dt.timedelta) -> Judgement:
    """Judge *snapshot*, which may be a reset or a delete, by each of *rules* on *document*."""
    begins = _start(document, snapshot, tolerance)
    if snapshot.is_deleted:
        return _nothing(rules, _noted(document, snapshot, begins), Reason.DELETED)
    if snapshot.active_from is not None and snapshot.calculated_at < snapshot.active_from:
        return _nothing(rules, document, Reason.INACTIVE)
    if snapshot.active_to is not None and snapshot.calculated_at >= snapshot.active_to:
        noted = document if begins is None else _noted(document, snapshot, begins)
        return _nothing(rules, noted, Reason.INACTIVE)
    if begins is None:
        return _nothing(rules, document, Reason.STALE_PERIOD)
    spoken = _spoken(document, snapshot, begins)
    if document.period_from is not None and begins == (document.begins_at or document.period_from):
        before, found = spoken, _Found()
    else:
        before, found = _begun(rules, spoken, snapshot, begins), _closed(rules, spoken, snapshot, at=begins)
    # The rules that watched it under another name are not among these: by this record on, what they see is late.
    found.is_watched = bool(before.marks) and before.feature is not document.feature
    _by_rules(found, rules, snapshot, begins, before, document)
    after = _written(document, _remembered(before, found, snapshot), snapshot)
    return Judgement(after, tuple(found.occurrences), tuple(found.reasons))


def end(rules: Sequence[Rule], source: PeriodEnd, document: Document) -> Judgement:
    """Judge that the clock has seen *document*'s period end: a reset by itself, which begins no period."""
    end = document.period_to
    assert end is not None and not document.ended  # noqa: S101, PT018 - that is what the clock looks for
    found = _closed(rules, document, source, at=end)
    for rule in rules:
        if isinstance(rule.spec, ResetSpec):
            after = _reset_after(document, end)
            reset = Reset(rule=rule, source=source, period_from=end, reason=Reason.RESET_AUTOMATIC, at=end, after=after)
            found.occurrences.append(reset)
            found.reasons.append((rule.type, reset.reason))
    left = replace(document, ended=True, as_of=None, marks=NO_MARKS, resets=NO_RESETS)
    return Judgement(left, tuple(found.occurrences), tuple(found.reasons))


def _start(document: Document, snapshot: Snapshot, tolerance: dt.timedelta) -> dt.datetime | None:
    """Return the start that counts of the snapshot's period; None where that is over."""
    shown, known = snapshot.period_from, document.period_from
    if known is None:
        return shown
    begun = document.begins_at or known
    if shown > begun:
        return shown
    if shown in (begun, known):
        return _current_start(document, snapshot, begun)
    if document.ended and snapshot.calculated_at == begun:
        return None  # by its start it would be the period that has ended: an alarm of it would stay open
    return snapshot.calculated_at if _is_moved_back(document, snapshot, tolerance) else None


def _current_start(document: Document, snapshot: Snapshot, begun: dt.datetime) -> dt.datetime | None:
    """Return the start that counts of a period whose start is known: *begun*, or where it goes on; None: it is over."""
    if document.ended:
        return document.period_to if _goes_on(document, snapshot) else None
    to = snapshot.period_to
    # One that shows an end at or before the start that counts is of what ended there, whenever it was calculated.
    is_since = snapshot.calculated_at >= begun and (to is None or to > begun)
    return begun if snapshot.period_from == begun or is_since else None


def _goes_on(document: Document, snapshot: Snapshot) -> bool:
    """Whether the period that the clock has ended goes on: a newer record, calculated since, shows a later end."""
    at, ended_at = snapshot.calculated_at, document.period_to
    is_newer = document.known_at is None or at > document.known_at
    is_since = ended_at is not None and at >= ended_at
    return is_newer and is_since and (snapshot.period_to is None or snapshot.period_to > at)


def _is_moved_back(document: Document, snapshot: Snapshot, tolerance: dt.timedelta) -> bool:
    """Whether the snapshot's period begins before the current one because its anchor was moved, not because it is late.

    Of a row that an older release wrote it is not known which record was the newest: then it is not.
    """
    at, to, newest = snapshot.calculated_at, snapshot.period_to, document.newest_at
    is_in_it = snapshot.period_from <= at and (to is None or at < to)
    return is_in_it and newest is not None and at > newest + tolerance


def _spoken(document: Document, snapshot: Snapshot, begins: dt.datetime | None) -> Document:
    """Return *document* with what the snapshot says of the end, `activeTo` and deletion, where it is the newest.

    Of two as new as each other the one that deletes is believed. An end at or before the start that counts is none.
    """
    at, known, to = snapshot.calculated_at, document.known_at, snapshot.period_to
    is_newer = known is None or at > known
    if not is_newer and not (at == known and snapshot.is_deleted):
        return document
    changed: dict[str, Any] = {}
    if is_newer:
        is_of_it = not document.ended and begins == (document.begins_at or document.period_from)
        if is_of_it and to != document.period_to and (to is None or begins is None or to > begins):
            changed["period_to"] = to
    newest = document.newest_at or document.known_at
    if newest is None or at > newest:
        if snapshot.active_to != document.active_to:
            changed["active_to"] = snapshot.active_to
        if (feature := feature_of(document, snapshot)) is not document.feature:
            changed["feature"] = feature
    if document.deleted_at is None or at > document.deleted_at:
        deleted_at = at if snapshot.is_deleted else None
        if deleted_at != document.deleted_at:
            changed["deleted_at"] = deleted_at
    return replace(document, **changed) if changed else document


def feature_of(document: Document, snapshot: Snapshot) -> FeatureRef:
    """Return the feature as *snapshot* has it: the very object of *document* where that says the same.

    A record that says no id says nothing of it: producers of one feature may differ in that.
    """
    known = document.feature
    if known is not None and known.key == snapshot.feature_key and snapshot.feature_id in (known.id, ""):
        return known
    return feature_ref(snapshot.feature_id, snapshot.feature_key)


@functools.lru_cache(maxsize=4096)
def feature_ref(feature_id: str, key: str) -> FeatureRef:
    """Return the one object for what is equal: entitlements share their features."""
    return FeatureRef(feature_id, key)


def _begun(rules: Sequence[Rule], document: Document, snapshot: Snapshot, begins: dt.datetime) -> Document:
    """Return *document* in a new period, which begins at *begins*: armed anew."""
    return replace(
        document,
        period_from=snapshot.period_from,
        period_to=snapshot.period_to,
        begins_at=None if begins == snapshot.period_from else begins,
        ended=False,
        reset_until=_reset_until(document, begins),
        known_at=None,
        as_of=None,
        marks=NO_MARKS,
        resets=NO_RESETS,
        sights=_still_known(rules, document),
    )


def _reset_until(document: Document, begins: dt.datetime) -> dt.datetime | None:
    """Return the latest start that a reset was made of, where the period that *begins* lies before it."""
    last = document.period_to if document.ended else document.begins_at or document.period_from
    latest = max((time for time in (document.reset_until, last) if time is not None), default=None)
    return latest if latest is not None and begins < latest else None


def _reset_after(document: Document, start: dt.datetime) -> dt.datetime | None:
    """Return the start of *document*'s period, where a reset of *start* was perhaps made before what fired in it."""
    if document.reset_until is None or start > document.reset_until:
        return None
    has_fired = any(mark.episode for of_rule in document.marks.values() for mark in of_rule.values())
    return (document.begins_at or document.period_from) if has_fired else None


def _closed(rules: Sequence[Rule], document: Document, source: Snapshot | PeriodEnd, *, at: dt.datetime) -> _Found:
    """Return a recovery for each alarm of *document*'s period that is still open; none of what is over."""
    found, start = _Found(), document.begins_at or document.period_from
    is_gone = document.deleted_at is not None or (document.active_to is not None and document.active_to <= at)
    if start is None or not document.marks or is_gone:
        return found
    period = start, document.period_to
    for rule in rules:
        spec = rule.spec
        if type(spec) is BalanceThresholdSpec and rule.id in document.marks:
            closed = balance_threshold.close(rule, spec, document.marks[rule.id], source=source, period=period, at=at)
            found.occurrences += closed
            found.reasons += [(rule.type, one.reason) for one in closed]
    return found


def _by_rules(
    found: _Found,
    rules: Sequence[Rule],
    snapshot: Snapshot,
    begins: dt.datetime,
    before: Document,
    seen: Document,
) -> None:
    """Judge by each rule: thresholds on *before*, in the snapshot's period; resets on *seen*, before the record."""
    is_late = before.as_of is not None and snapshot.calculated_at <= before.as_of
    for rule in rules:
        spec = rule.spec
        if type(spec) is BalanceThresholdSpec:  # isinstance asks pydantic's metaclass, which is slow
            _by_thresholds(found, rule, spec, snapshot, begins, before, is_late=is_late)
        else:
            _by_reset(found, rule, snapshot, begins, seen)


def _by_thresholds(
    found: _Found,
    rule: Rule,
    spec: BalanceThresholdSpec,
    snapshot: Snapshot,
    begins: dt.datetime,
    before: Document,
    *,
    is_late: bool,
) -> None:
    rule_id, rule_type = rule.id, spec.type
    known = balance_threshold.Known(before.marks.get(rule_id, _NONE), before.sights.get(rule_id, _UNSEEN))
    finding = balance_threshold.judge(rule, spec, snapshot, begins, known, is_late=is_late)
    found.reasons += [(rule_type, reason) for reason in finding.reasons]
    found.occurrences += finding.crossings
    found.is_watched |= bool(finding.marks) and spec.looks_back
    if finding.marks is not known.marks:
        found.marks[rule_id] = finding.marks
    if finding.sights is not known.sights:
        found.sights[rule_id] = finding.sights


def _by_reset(found: _Found, rule: Rule, snapshot: Snapshot, begins: dt.datetime, seen: Document) -> None:
    reason = entitlement_reset.judge(snapshot, begins, seen, is_told=rule.id in seen.resets)
    found.reasons.append((rule.type, reason))
    if reason is not Reason.SAME_PERIOD:
        found.resets.add(rule.id)
    if reason is Reason.RESET_MANUAL or reason is Reason.RESET_AUTOMATIC:
        found.occurrences.append(
            Reset(
                rule=rule,
                source=snapshot,
                period_from=begins,
                reason=reason,
                at=snapshot.reset_at if snapshot.reset_at and begins == snapshot.period_from else begins,
                after=_reset_after(seen, begins) if begins != (seen.begins_at or seen.period_from) else None,
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


def _written(before: Document, after: Document, snapshot: Snapshot) -> Document:
    """Return *after* with the trace of a record that changed something; the very *before* where it did not."""
    if after is before:
        return before
    at, known, newest = snapshot.calculated_at, after.known_at, after.newest_at
    newest = max(time for time in (newest, known, at) if time is not None)
    # One that is not judged begins no period: of another one it takes no word from the records of this one.
    if snapshot.period_from in (after.period_from, after.begins_at) and (known is None or at > known):
        known = at
    return replace(after, known_at=known, newest_at=known if newest == known else newest)


def _still_known(rules: Sequence[Rule], document: Document) -> Mapping[RuleId, Mapping[str, int]]:
    """Return the sights of rules that are still about the entitlement: a document must not grow with every rule."""
    if not document.sights:
        return NO_SIGHTS
    return {rule.id: document.sights[rule.id] for rule in rules if rule.id in document.sights}


def _noted(document: Document, snapshot: Snapshot, begins: dt.datetime | None) -> Document:
    """Return *document* with what a record that is not judged says; begun with it, where it is unseen."""
    if document.period_from is None:
        after = replace(document, period_from=snapshot.period_from, period_to=snapshot.period_to)
        return _written(document, _spoken(after, snapshot, begins), snapshot)
    return _written(document, _spoken(document, snapshot, begins), snapshot)


def _nothing(rules: Sequence[Rule], document: Document, reason: Reason) -> Judgement:
    return Judgement(document, (), tuple((rule.type, reason) for rule in rules))
