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
one learns of it. The end of the period closes what has fired (`close`): a recovery of what an event told.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from consumer.decide import levels
from consumer.decide.model import Crossing, Level, Mark, Reason
from schemas.events import Action
from schemas.rules import BalanceThresholdSpec, Rule, Since
from schemas.sources import PeriodEnd, Snapshot
from schemas.thresholds import Line


class Known(Struct, frozen=True):
    """What is remembered of one rule's thresholds, by identity."""

    marks: Mapping[str, Mark]
    sights: Mapping[str, int]


class Finding(Struct, frozen=True):
    """What one rule makes of one snapshot: its marks and sights after it, what is told, and a reason a threshold."""

    marks: Mapping[str, Mark]  # the very mapping given where nothing changed
    sights: Mapping[str, int]  # likewise
    crossings: tuple[Crossing, ...]
    reasons: tuple[Reason, ...]


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
    known: Known
    is_late: bool


class _Moved(Struct, frozen=True):
    """A threshold whose mark has changed."""

    line: Line
    reason: Reason
    mark: Mark


_UNKNOWN: Final = Level(None, None, None)
_STAYS: Final = {reason: _Step(reason) for reason in Reason}  # nearly all steps: made once


def judge(
    rule: Rule,
    spec: BalanceThresholdSpec,
    snapshot: Snapshot,
    begins: dt.datetime,
    known: Known,
    *,
    is_late: bool,
) -> Finding:
    """Judge each distinct threshold of *spec*.

    Args:
        rule: whose *spec* it is.
        spec: the thresholds, and how they are told.
        snapshot: of the period of the marks in *known*.
        begins: the start that counts of that period.
        known: the rule's own.
        is_late: whether a newer record has spoken already: then only what has no mark may fire.
    """
    level = Level(snapshot.usage, snapshot.allowance, snapshot.balance)
    at, lines = _At(spec, rule.ignoring, snapshot, begins, level, known, is_late), spec.lines
    places = levels.placed(lines, level)
    steps = [_step(at, line, is_reached=place.is_reached) for line, place in zip(lines, places, strict=True)]
    reasons = tuple([step.reason for step in steps])
    sights = _sights(known, lines, steps) if at.ignoring else known.sights
    stepped = zip(lines, steps, strict=True)
    moved = [_Moved(line, step.reason, step.mark) for line, step in stepped if step.mark is not None]
    if not moved:
        return Finding(known.marks, sights, (), reasons)
    marks = {**known.marks, **{one.line.identity: one.mark for one in moved}}
    if spec.emit == "each":
        return Finding(marks, sights, _each(rule, at, moved), reasons)
    told = _highest(rule, at, moved)
    silent = {one.identity for crossing in told for one in crossing.also_crossed}
    marks |= {identity: replace(marks[identity], is_told=False) for identity in silent}
    said = [
        Reason.ALSO_CROSSED if line.identity in silent else reason for line, reason in zip(lines, reasons, strict=True)
    ]
    return Finding(marks, sights, told, tuple(said))


def close(
    rule: Rule,
    spec: BalanceThresholdSpec,
    marks: Mapping[str, Mark],
    *,
    source: Snapshot | PeriodEnd,
    period: tuple[dt.datetime, dt.datetime | None],
    at: dt.datetime,
) -> tuple[Crossing, ...]:
    """Return a recovery for each threshold of *spec* that an event told of, and none that it is over: its period is.

    Most advanced first, as what falls at once; of the allowance nothing is known, so a percentage counts as a value.
    """
    if not spec.tells_recovery:
        return ()
    known = [(line, marks[line.identity]) for line in spec.lines if line.identity in marks]
    fired = [(line, mark.episode) for line, mark in known if mark.state == "fired" and mark.is_told]
    fired.sort(key=lambda one: levels.advancement(one[0], _UNKNOWN), reverse=True)
    return tuple(
        Crossing(
            rule=rule,
            threshold=line.threshold,
            episode=episode,
            snapshot=source,
            period_from=period[0],
            at=at,
            reason=Reason.RECOVERED,
            action=Action.RECOVERED,
            is_closing=True,
            period_to=period[1],
        )
        for line, episode in fired
    )


def _sights(known: Known, lines: Sequence[Line], steps: Sequence[_Step]) -> Mapping[str, int]:
    stepped = zip(lines, steps, strict=True)
    seen = {line.identity: step.sight for line, step in stepped if step.sight is not None}
    return {**known.sights, **seen} if seen else known.sights


def _step(at: _At, line: Line, *, is_reached: bool | None) -> _Step:
    if is_reached is None:
        return _STAYS[levels.lacks(line)]
    identity, known = line.identity, at.known
    mark = known.marks.get(identity)
    since = at.ignoring.get(identity)
    sight = None if since is None or known.sights.get(identity) == since.revision else since.revision
    ignores = sight is not None and since is not None and at.begins < since.at
    if is_reached and ignores and (mark is None or (mark.state == "clear" and at.spec.rearm == "recovery")):
        episode = mark.episode if mark is not None else 0
        ignored = Mark("ignored", episode, at.snapshot.calculated_at, _shown(line, at.level), is_told=False)
        step = _Step(Reason.IGNORED_ON_CREATE, ignored)
    elif mark is not None:
        step = _followed(at, line, mark, is_reached=is_reached)
    elif not is_reached:
        step = _STAYS[Reason.BELOW]
    else:
        step = _Step(Reason.FIRST_CROSSING, _fired(at, line, 1))
    return step if sight is None else replace(step, sight=sight)


def _followed(at: _At, line: Line, mark: Mark, *, is_reached: bool) -> _Step:
    """Return what becomes of a threshold that has fired, or was ignored, in this period before."""
    spec = at.spec
    if is_reached and (mark.state != "clear" or spec.rearm == "period"):
        has_fired = mark.state != "ignored" and mark.episode > 0
        return _STAYS[Reason.ALREADY_FIRED if has_fired else Reason.IGNORED_ON_CREATE]
    # What is ignored has no recovery to tell.
    is_followed = spec.rearm == "recovery" if mark.state == "ignored" else spec.looks_back
    if not is_reached and (mark.state == "clear" or not is_followed):
        return _STAYS[Reason.BELOW]
    if at.is_late:
        return _STAYS[Reason.LATE]
    if is_reached:
        return _Step(Reason.REARMED, _fired(at, line, mark.episode + 1))
    cleared = Mark("clear", mark.episode, at.snapshot.calculated_at, _shown(line, at.level))
    is_told = spec.tells_recovery and mark.is_told
    return _Step(Reason.RECOVERED if is_told else Reason.BELOW, cleared)


def _each(rule: Rule, at: _At, moved: Sequence[_Moved]) -> tuple[Crossing, ...]:
    """Return a crossing for each that is told: first what has risen, in rising order, then what has fallen."""
    risen, fallen = _risen(at, moved), [one for one in moved if one.reason is Reason.RECOVERED]
    if len(fallen) > 1:
        fallen.sort(key=lambda one: levels.advancement(one.line, at.level), reverse=True)
    return (
        *[_crossing(rule, at, one, Action.TRIGGERED) for one in risen],
        *[_crossing(rule, at, one, Action.RECOVERED) for one in fallen],
    )


def _highest(rule: Rule, at: _At, moved: Sequence[_Moved]) -> tuple[Crossing, ...]:
    """Return the most advanced of each kind, with the others in `also_crossed`."""
    told: list[Crossing] = []
    for _, kind in groupby(_risen(at, moved), key=lambda one: one.line.is_balance):
        *others, top = kind
        also = tuple(one.line.threshold for one in others)
        told.append(replace(_crossing(rule, at, top, Action.TRIGGERED), also_crossed=also))
    return tuple(told)


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
