"""An entitlement's record judged by all rules about it: first where it stands in time, then rule by rule.

```
not judged   a delete, or not active at `calculatedAt`: noted for the clock, nothing more
stale        of a period that is over: makes nothing
same period  judged on the marks of the period
new period   closes the alarms of the one before; arms again: marks empty; itself a reset
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

from consumer.decide import levels
from consumer.decide.model import (
    NO_MARKS,
    NO_RESETS,
    NO_SIGHTS,
    Document,
    Judgement,
    Mark,
    Occurrence,
    Reason,
)
from consumer.decide.rules import ENTITLEMENTS
from consumer.decide.rules.contracts import EntitlementRecord, PeriodClosed
from schemas.events import FeatureRef
from schemas.rules import Rule, RuleId, RuleType
from schemas.sources import PeriodEnd, Snapshot

# A level that falls is written this long after the last change at the earliest: one that goes up and down across a
# multiple of ten is written at most twice in it, not with each record.
FALL_PAUSE: Final = dt.timedelta(minutes=5)


class _Found(Struct):
    """What the rules make of a record, one after the other."""

    occurrences: list[Occurrence] = []
    reasons: list[tuple[RuleType, Reason]] = []
    marks: dict[RuleId, Mapping[str, Mark]] = {}
    sights: dict[RuleId, Mapping[str, int]] = {}
    resets: set[RuleId] = set()
    is_watched: bool = False  # a rule that looks back has a mark


def judge_entitlement(
    rules: Sequence[Rule], snapshot: Snapshot, document: Document, *, tolerance: dt.timedelta
) -> Judgement:
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
    is_late = before.as_of is not None and snapshot.calculated_at <= before.as_of
    reset_after = _reset_after(document, begins)
    _by_rules(found, rules, EntitlementRecord(snapshot, begins, before, document, reset_after, is_late))
    after = _written(document, _remembered(before, found, snapshot), snapshot)
    return Judgement(_leveled(after, snapshot, begins), tuple(found.occurrences), tuple(found.reasons))


def end_period(rules: Sequence[Rule], source: PeriodEnd, document: Document) -> Judgement:
    """Judge that the clock has seen *document*'s period end: a reset by itself, which begins no period."""
    end = document.period_to
    assert end is not None and not document.ended  # noqa: S101, PT018 - that is what the clock looks for
    found = _closed(rules, document, source, at=end)
    begun = document.begins_at or document.period_from
    assert begun is not None  # noqa: S101 - it was shown
    over = PeriodClosed(document, source, end, begun, _reset_after(document, end))
    for rule in rules:
        fired = ENTITLEMENTS[rule.type].ended(rule, over)
        found.occurrences += fired
        found.reasons += [(rule.type, one.reason) for one in fired]
    left = replace(document, ended=True, as_of=None, marks=NO_MARKS, resets=NO_RESETS, level=None, level_at=None)
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

    Of two as new as each other the one that deletes is believed. One that shows an end at or before the start that
    counts never comes here: it is of what ended there (`_current_start`).
    `activeTo` and deletion are the entitlement's: a newer record speaks of them, though it be of another period.
    """
    at, known, to = snapshot.calculated_at, document.known_at, snapshot.period_to
    is_newer = known is None or at > known
    if not is_newer and not snapshot.is_deleted:
        return document
    changed: dict[str, Any] = {}
    if is_newer:
        is_of_it = not document.ended and begins == (document.begins_at or document.period_from)
        if is_of_it and to != document.period_to:
            changed["period_to"] = to
    newest = document.newest_at or document.known_at
    is_newest = newest is None or at > newest
    if is_newest:
        if snapshot.active_to != document.active_to:
            changed["active_to"] = snapshot.active_to
        if (feature := feature_of(document, snapshot)) is not document.feature:
            changed["feature"] = feature
    if is_newest or (at == newest and snapshot.is_deleted):
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
    """Return *document* in a new period, which begins at *begins*: armed again."""
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
        level=None,
        level_at=None,
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
    over = PeriodClosed(document, source, at, start)
    for rule in rules:
        closed = ENTITLEMENTS[rule.type].closed(rule, over)
        found.occurrences += closed
        found.reasons += [(rule.type, one.reason) for one in closed]
    return found


def _by_rules(found: _Found, rules: Sequence[Rule], record: EntitlementRecord) -> None:
    """Evaluate each rule, and add what it finds to *found*."""
    for rule in rules:
        rule_id, rule_type = rule.id, rule.type
        finding = ENTITLEMENTS[rule_type].evaluate(rule, record)
        found.reasons += [(rule_type, reason) for reason in finding.reasons]
        found.occurrences += finding.occurrences
        found.is_watched |= finding.is_watched
        if finding.marks is not None:
            found.marks[rule_id] = finding.marks
        if finding.sights is not None:
            found.sights[rule_id] = finding.sights
        if finding.has_reset:
            found.resets.add(rule_id)


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
    newest = max([time for time in (newest, known, at) if time is not None])
    # One that is not judged begins no period: of another one it takes no word from the records of this one.
    if snapshot.period_from in (after.period_from, after.begins_at) and (known is None or at > known):
        known = at
    return replace(after, known_at=known, newest_at=known if newest == known else newest)


def _leveled(document: Document, snapshot: Snapshot, begins: dt.datetime) -> Document:
    """Return *document* with the coarse level of *snapshot*, where it is of the period."""
    at = snapshot.calculated_at
    return document if at < begins else leveled(document, levels.coarse(snapshot.usage, snapshot.allowance), at)


def leveled(document: Document, level: int | None, at: dt.datetime) -> Document:
    """Return *document* with the coarse level of a record newer than the one that last changed it.

    The judgement does not look at it, nor does it leave any other trace. A record between two that did not change it,
    come late, is taken for the newest; the next one puts that right.

    Args:
        document: in its period.
        level: of the record, as `levels.coarse` has it.
        at: when that was calculated, in the period.
    """
    changed_at = document.level_at
    if changed_at is not None and at <= changed_at:
        return document
    known = document.level
    if level == known:
        return document
    is_fall = known is not None and (level is None or level < known)
    if is_fall and changed_at is not None and at < changed_at + FALL_PAUSE:
        return document
    return replace(document, level=level, level_at=at)


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
