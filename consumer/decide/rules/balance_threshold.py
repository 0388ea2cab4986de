"""`entitlements.balance.threshold`: each threshold, once for each episode, however often it is shown.

A threshold's mark in its period, and what moves it:

```
(none) ──reached──► fired ──no longer reached──► clear ──reached again──► fired, next episode
   │                     (rules that look back)      (rearm: recovery)
   └──reached at first sight──► ignored ──no longer reached──► clear ──reached again──► fired, episode 1
      (onCreate: ignore)                (rearm: recovery)
```
A `clear` one too is ignored where it would fire at first sight (its rule was enabled again); its episodes go on.
Only what happens at first sight, and the arrows from (none), are open to a late record: the level was reached, whenever
one learns of it. The end of the period closes what has fired (`closed`): a recovery of what was notified.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from consumer.decide import levels
from consumer.decide.model import Level, Mark, Reason
from consumer.decide.rules.contracts import OF_ENTITLEMENTS, EntitlementRecord, Finding, PeriodClosed
from consumer.decide.rules.crossing import Crossing
from consumer.decide.sample_records import level_of, month_of, sample_snapshot
from schemas.events import Action, FeatureRef
from schemas.rules import BalanceThresholdSpec, Rule, Since, Spec
from schemas.sources import Snapshot
from schemas.thresholds import Line, Threshold

REASONS: Final = (
    Reason.FIRST_CROSSING,
    Reason.REARMED,
    Reason.RECOVERED,
    Reason.ALREADY_FIRED,
    Reason.ALSO_CROSSED,
    Reason.BELOW,
    Reason.IGNORED_ON_CREATE,
    Reason.NO_ALLOWANCE,
    Reason.NO_BALANCE,
    Reason.LATE,
    *OF_ENTITLEMENTS,
)
ACTIONS: Final = (Action.TRIGGERED, Action.RECOVERED)
SAMPLE: Final[Mapping[str, Any]] = {"thresholds": [{"type": "usage_percentage", "value": 80}]}
_NONE: Final[Mapping[str, Mark]] = {}
_UNSEEN: Final[Mapping[str, int]] = {}
_IGNORING_NOTHING: Final[Mapping[str, Since]] = {}


class _Step(Struct, frozen=True):
    """What becomes of one threshold: why, and its mark where that changed."""

    reason: Reason
    mark: Mark | None = None
    sight: int | None = None  # the revision under which it is seen, where this is the first time


class _At(Struct, frozen=True):
    """What all thresholds of a rule are judged on."""

    spec: BalanceThresholdSpec
    ignoring: Mapping[str, Since]
    snapshot: Snapshot
    begins: dt.datetime
    level: Level
    marks: Mapping[str, Mark]  # of the rule, by identity
    sights: Mapping[str, int]  # likewise
    is_late: bool


class _Moved(Struct, frozen=True):
    """A threshold whose mark has changed."""

    line: Line
    reason: Reason
    mark: Mark


_UNKNOWN: Final = Level(None, None, None)
_STAYS: Final = {reason: _Step(reason) for reason in Reason}  # nearly all steps: made once
_BELOW: Final = _STAYS[Reason.BELOW]


def features(spec: Spec) -> tuple[str, ...] | None:
    """Return the features that it is about."""
    return _its(spec).features


def thresholds(rule: Rule) -> Sequence[Threshold]:
    """Return the distinct thresholds."""
    return list(_its(rule.spec).distinct.values())


def lines(rule: Rule) -> Sequence[Line]:
    """Return the same, to be judged by."""
    return _its(rule.spec).lines


def looks_back(rule: Rule) -> bool:
    """Whether it re-arms, or notifies of recoveries."""
    return _its(rule.spec).looks_back


def evaluate(rule: Rule, record: EntitlementRecord) -> Finding:
    """Judge each distinct threshold of *rule* on the marks of the snapshot's period."""
    spec, snapshot, rule_id = _its(rule.spec), record.snapshot, rule.id
    marks = record.period.marks.get(rule_id, _NONE)
    sights = record.period.sights.get(rule_id, _UNSEEN)
    level = Level(snapshot.usage, snapshot.allowance, snapshot.balance)
    at = _At(spec, rule.ignoring, snapshot, record.begins, level, marks, sights, record.is_late)
    lines = spec.lines
    places = levels.placed(lines, level)
    stepped = [(line, _step(at, line, is_reached=reached)) for line, (_, reached) in zip(lines, places, strict=True)]
    reasons = tuple([step.reason for _, step in stepped])
    seen = _first_seen(sights, stepped) if at.ignoring else None
    moved = [_Moved(line, step.reason, step.mark) for line, step in stepped if step.mark is not None]
    if not moved:
        return Finding((), reasons, sights=seen, is_watched=bool(marks) and spec.looks_back)
    marks = {**marks, **{one.line.identity: one.mark for one in moved}}
    if spec.emit == "each":
        return Finding(_each(rule, at, moved), reasons, marks, seen, is_watched=spec.looks_back)
    crossings = _highest(rule, at, moved)
    silent = {one.identity for crossing in crossings for one in crossing.also_crossed}
    marks |= {identity: replace(marks[identity], is_notified=False) for identity in silent}
    said = [
        Reason.ALSO_CROSSED if line.identity in silent else reason for line, reason in zip(lines, reasons, strict=True)
    ]
    return Finding(crossings, tuple(said), marks, seen, is_watched=spec.looks_back)


def closed(rule: Rule, over: PeriodClosed) -> Sequence[Crossing]:
    """Return a recovery for each threshold that was notified and has not recovered: its period is over.

    Most advanced first, as what falls at once; of the allowance nothing is known, so a percentage counts as a value.
    """
    spec, marks = _its(rule.spec), over.document.marks.get(rule.id, _NONE)
    if not spec.notifies_recovery:
        return ()
    known = [(line, marks[line.identity]) for line in spec.lines if line.identity in marks]
    fired = [(line, mark.episode) for line, mark in known if mark.state == "fired" and mark.is_notified]
    fired.sort(key=lambda one: levels.advancement(one[0], _UNKNOWN), reverse=True)
    return tuple(
        Crossing(
            rule=rule,
            threshold=line.threshold,
            episode=episode,
            snapshot=over.source,
            period_from=over.period_from,
            at=over.at,
            reason=Reason.RECOVERED,
            action=Action.RECOVERED,
            is_closing=True,
            period_to=over.document.period_to,
        )
        for line, episode in fired
    )


def ended(_rule: Rule, _over: PeriodClosed) -> Sequence[Crossing]:
    """Return nothing: only what has fired ends with its period."""
    return ()


def sample(rule: Rule, feature: FeatureRef, at: dt.datetime) -> Crossing:
    """Return the first threshold, reached."""
    first = _its(rule.spec).thresholds[0]
    snapshot = sample_snapshot(rule.namespace, feature, at, month_of(at), level_of(first))
    return Crossing(
        rule=rule,
        threshold=first,
        episode=1,
        snapshot=snapshot,
        period_from=month_of(at),
        at=at,
        reason=Reason.FIRST_CROSSING,
    )


def _its(spec: Spec) -> BalanceThresholdSpec:
    # isinstance asks pydantic's metaclass, which is slow
    assert type(spec) is BalanceThresholdSpec  # noqa: S101 - found by its type
    return spec


def _first_seen(sights: Mapping[str, int], stepped: Sequence[tuple[Line, _Step]]) -> Mapping[str, int] | None:
    seen = {line.identity: step.sight for line, step in stepped if step.sight is not None}
    return {**sights, **seen} if seen else None


def _step(at: _At, line: Line, *, is_reached: bool | None) -> _Step:
    if is_reached is None:
        return _STAYS[levels.lacks(line)]
    mark = at.marks.get(line.identity)
    if at.ignoring:
        since = at.ignoring.get(line.identity)
        if since is not None and at.sights.get(line.identity) != since.revision:
            return _at_first_sight(at, line, mark, since, is_reached=is_reached)
    if mark is not None:
        return _followed(at, line, mark, is_reached=is_reached)
    return _Step(Reason.FIRST_CROSSING, _fired(at, line, 1)) if is_reached else _BELOW


def _at_first_sight(at: _At, line: Line, mark: Mark | None, since: Since, *, is_reached: bool) -> _Step:
    """Return what becomes of a threshold that ignores what was reached before it saw it: it does now."""
    is_ignored = is_reached and at.begins < since.at
    if is_ignored and (mark is None or (mark.state == "clear" and at.spec.rearm == "recovery")):
        episode = mark.episode if mark is not None else 0
        ignored = Mark("ignored", episode, at.snapshot.calculated_at, _shown(line, at.level), is_notified=False)
        return _Step(Reason.IGNORED_ON_CREATE, ignored, since.revision)
    step = _step(replace(at, ignoring=_IGNORING_NOTHING), line, is_reached=is_reached)
    return replace(step, sight=since.revision)


def _followed(at: _At, line: Line, mark: Mark, *, is_reached: bool) -> _Step:
    """Return what becomes of a threshold that has fired, or was ignored, in this period before."""
    spec = at.spec
    if is_reached and (mark.state != "clear" or spec.rearm == "period"):
        has_fired = mark.state != "ignored" and mark.episode > 0
        return _STAYS[Reason.ALREADY_FIRED if has_fired else Reason.IGNORED_ON_CREATE]
    # What was ignored has no recovery to notify.
    is_followed = spec.rearm == "recovery" if mark.state == "ignored" else spec.looks_back
    if not is_reached and (mark.state == "clear" or not is_followed):
        return _BELOW
    if at.is_late:
        return _STAYS[Reason.LATE]
    if is_reached:
        return _Step(Reason.REARMED, _fired(at, line, mark.episode + 1))
    cleared = Mark("clear", mark.episode, at.snapshot.calculated_at, _shown(line, at.level))
    is_notified = spec.notifies_recovery and mark.is_notified
    return _Step(Reason.RECOVERED if is_notified else Reason.BELOW, cleared)


def _each(rule: Rule, at: _At, moved: Sequence[_Moved]) -> tuple[Crossing, ...]:
    """Return a crossing for each that is notified: first what has risen, in rising order, then what has fallen."""
    risen, fallen = _risen(at, moved), [one for one in moved if one.reason is Reason.RECOVERED]
    if len(fallen) > 1:
        fallen.sort(key=lambda one: levels.advancement(one.line, at.level), reverse=True)
    return (
        *[_crossing(rule, at, one, Action.TRIGGERED) for one in risen],
        *[_crossing(rule, at, one, Action.RECOVERED) for one in fallen],
    )


def _highest(rule: Rule, at: _At, moved: Sequence[_Moved]) -> tuple[Crossing, ...]:
    """Return the most advanced of each kind, with the others in `also_crossed`."""
    crossings: list[Crossing] = []
    for _, kind in groupby(_risen(at, moved), key=lambda one: one.line.is_balance):
        *others, top = kind
        also = tuple(one.line.threshold for one in others)
        crossings.append(replace(_crossing(rule, at, top, Action.TRIGGERED), also_crossed=also))
    return tuple(crossings)


def _risen(at: _At, moved: Sequence[_Moved]) -> list[_Moved]:
    risen = [one for one in moved if one.reason is Reason.FIRST_CROSSING or one.reason is Reason.REARMED]
    if len(risen) > 1:
        risen.sort(key=lambda one: levels.advancement(one.line, at.level))
    return risen


def _crossing(rule: Rule, at: _At, moved: _Moved, action: Action) -> Crossing:
    return Crossing(
        rule=rule,
        threshold=moved.line.threshold,
        episode=moved.mark.episode,
        snapshot=at.snapshot,
        period_from=at.begins,
        at=at.snapshot.calculated_at,
        reason=moved.reason,
        action=action,
    )


def _fired(at: _At, line: Line, episode: int) -> Mark:
    return Mark("fired", episode, at.snapshot.calculated_at, _shown(line, at.level))


def _shown(line: Line, level: Level) -> Decimal:
    shown = level.balance if line.is_balance else level.usage
    assert shown is not None  # noqa: S101 - it was compared
    return shown
