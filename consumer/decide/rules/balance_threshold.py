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
one learns of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

import msgspec

from consumer.decide import levels
from consumer.decide.model import Crossing, Level, Mark, Reason
from schemas.events import Action
from schemas.rules import BalanceThresholdSpec, Rule
from schemas.sources import Snapshot
from schemas.thresholds import Threshold


class Known(NamedTuple):
    """What is remembered of one rule's thresholds, by identity."""

    marks: Mapping[str, Mark]
    sights: Mapping[str, int]


class Finding(NamedTuple):
    """What one rule makes of one snapshot: its marks and sights after it, what is told, and a reason a threshold."""

    marks: Mapping[str, Mark]  # the very mapping given where nothing changed
    sights: Mapping[str, int]  # likewise
    crossings: tuple[Crossing, ...]
    reasons: tuple[Reason, ...]


class _Step(NamedTuple):
    """What becomes of one threshold: why, and its mark where that changed."""

    threshold: Threshold
    reason: Reason
    mark: Mark | None = None
    sight: int | None = None  # the revision under which it is seen, where this is the first time


class _At(NamedTuple):
    """What all thresholds of a rule are judged on."""

    rule: Rule
    spec: BalanceThresholdSpec
    snapshot: Snapshot
    level: Level
    known: Known
    is_late: bool


def judge(
    rule: Rule,
    spec: BalanceThresholdSpec,
    snapshot: Snapshot,
    known: Known,
    *,
    is_late: bool,
) -> Finding:
    """Judge each distinct threshold of *spec*.

    Args:
        rule: whose *spec* it is.
        spec: the thresholds, and how they are told.
        snapshot: of the period of the marks in *known*.
        known: the rule's own.
        is_late: whether a newer record has spoken already: then only what has no mark may fire.
    """
    level = Level(snapshot.usage, snapshot.allowance, snapshot.balance)
    at = _At(rule, spec, snapshot, level, known, is_late)
    steps = [_step(at, threshold) for threshold in spec.distinct.values()]
    seen = {step.threshold.identity: step.sight for step in steps if step.sight is not None}
    sights = {**known.sights, **seen} if seen else known.sights
    changed = {step.threshold.identity: step.mark for step in steps if step.mark is not None}
    if not changed:
        return Finding(known.marks, sights, (), tuple([step.reason for step in steps]))
    risen = [step for step in steps if step.reason in {Reason.FIRST_CROSSING, Reason.REARMED}]
    risen.sort(key=lambda step: levels.advancement(step.threshold, level))
    fallen = [step for step in steps if step.reason is Reason.RECOVERED]
    fallen.sort(key=lambda step: levels.advancement(step.threshold, level), reverse=True)
    told = _highest(rule, snapshot, risen) if spec.emit == "highest" else _each(rule, snapshot, risen)
    recovered = _each(rule, snapshot, fallen, Action.RECOVERED)
    silent = {one.identity for crossing in told for one in crossing.also_crossed}
    reasons = (Reason.ALSO_CROSSED if step.threshold.identity in silent else step.reason for step in steps)
    untold = {identity: msgspec.structs.replace(changed[identity], is_told=False) for identity in silent}
    return Finding({**known.marks, **changed, **untold}, sights, (*told, *recovered), tuple(reasons))


def _step(at: _At, threshold: Threshold) -> _Step:
    rule, spec, snapshot, level, known, is_late = at
    if reason := levels.unknown(threshold, level):
        return _Step(threshold, reason)
    identity = threshold.identity
    mark = known.marks.get(identity)
    is_reached = levels.reached(threshold, level)
    since = rule.ignoring.get(identity)
    sight = None if since is None or known.sights.get(identity) == since.revision else since.revision
    ignores = sight is not None and since is not None and snapshot.period_from < since.at
    if is_reached and ignores and (mark is None or (mark.state == "clear" and spec.rearm == "recovery")):
        episode = mark.episode if mark is not None else 0
        ignored = Mark("ignored", episode, snapshot.calculated_at, _shown(threshold, snapshot), is_told=False)
        step = _Step(threshold, Reason.IGNORED_ON_CREATE, ignored)
    elif mark is not None:
        step = _moved(spec, threshold, snapshot, mark, is_reached=is_reached, is_late=is_late)
    elif not is_reached:
        step = _Step(threshold, Reason.BELOW)
    else:
        step = _Step(threshold, Reason.FIRST_CROSSING, _fired(threshold, snapshot, 1))
    return step if sight is None else step._replace(sight=sight)


def _moved(
    spec: BalanceThresholdSpec,
    threshold: Threshold,
    snapshot: Snapshot,
    mark: Mark,
    *,
    is_reached: bool,
    is_late: bool,
) -> _Step:
    """Return what becomes of a threshold that has fired, or was ignored, in this period before."""
    if is_reached and (mark.state != "clear" or spec.rearm == "period"):
        has_fired = mark.state != "ignored" and mark.episode > 0
        return _Step(threshold, Reason.ALREADY_FIRED if has_fired else Reason.IGNORED_ON_CREATE)
    # What is ignored has no recovery to tell.
    is_followed = spec.rearm == "recovery" if mark.state == "ignored" else spec.looks_back
    if not is_reached and (mark.state == "clear" or not is_followed):
        return _Step(threshold, Reason.BELOW)
    if is_late:
        return _Step(threshold, Reason.LATE)
    if is_reached:
        return _Step(threshold, Reason.REARMED, _fired(threshold, snapshot, mark.episode + 1))
    cleared = Mark("clear", mark.episode, snapshot.calculated_at, _shown(threshold, snapshot))
    is_told = spec.tells_recovery and mark.is_told
    return _Step(threshold, Reason.RECOVERED if is_told else Reason.BELOW, cleared)


def _each(
    rule: Rule,
    snapshot: Snapshot,
    steps: Sequence[_Step],
    action: Action = Action.TRIGGERED,
) -> tuple[Crossing, ...]:
    return tuple(_crossing(rule, snapshot, step, action) for step in steps)


def _highest(rule: Rule, snapshot: Snapshot, risen: Sequence[_Step]) -> tuple[Crossing, ...]:
    """Return the most advanced of each kind, with the others in `also_crossed`; *risen* is in rising order."""
    told: list[Crossing] = []
    for _, kind in groupby(risen, key=lambda step: step.threshold.is_balance):
        *others, top = kind
        also = tuple(step.threshold for step in others)
        told.append(replace(_crossing(rule, snapshot, top, Action.TRIGGERED), also_crossed=also))
    return tuple(told)


def _crossing(rule: Rule, snapshot: Snapshot, step: _Step, action: Action) -> Crossing:
    return Crossing(
        rule=rule,
        threshold=step.threshold,
        episode=_episode(step),
        snapshot=snapshot,
        reason=step.reason,
        action=action,
    )


def _episode(step: _Step) -> int:
    assert step.mark is not None  # noqa: S101 - what is told has changed its mark
    return step.mark.episode


def _fired(threshold: Threshold, snapshot: Snapshot, episode: int) -> Mark:
    return Mark("fired", episode, snapshot.calculated_at, _shown(threshold, snapshot))


def _shown(threshold: Threshold, snapshot: Snapshot) -> Decimal:
    shown = snapshot.balance if threshold.is_balance else snapshot.usage
    assert shown is not None  # noqa: S101 - it was compared
    return shown
