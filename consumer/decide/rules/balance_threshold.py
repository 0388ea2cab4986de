"""`entitlements.balance.threshold`: each threshold, once for each usage period, however often it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass

from consumer.decide import levels
from consumer.decide.model import Crossing, Level, Mark, Reason
from schemas.rules import BalanceThresholdSpec, Rule, Threshold
from schemas.sources import Snapshot


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule makes of one snapshot: its marks after it, what fires, and a reason a threshold."""

    marks: Mapping[str, Mark]
    crossings: tuple[Crossing, ...]
    reasons: tuple[Reason, ...]


def judge(rule: Rule, spec: BalanceThresholdSpec, snapshot: Snapshot, marks: Mapping[str, Mark]) -> Finding:
    """Judge each distinct threshold of *spec*; *marks* are the rule's own of the snapshot's period.

    A late record is judged like any other: it still fires what has no mark, since the level was reached.
    """
    level = Level(snapshot.usage, snapshot.allowance, snapshot.balance)
    reasons: list[Reason] = []
    firing: list[Threshold] = []
    for identity, threshold in spec.distinct.items():
        reason = _reason(threshold, level, marks.get(identity))
        reasons.append(reason)
        if reason is Reason.FIRST_CROSSING:
            firing.append(threshold)
    if not firing:
        return Finding(marks, (), tuple(reasons))
    firing.sort(key=lambda threshold: levels.advancement(threshold, level))
    made = {threshold.identity: _mark(threshold, snapshot) for threshold in firing}
    crossings = tuple(Crossing(rule, threshold, 1, snapshot) for threshold in firing)
    return Finding({**marks, **made}, crossings, tuple(reasons))


def _reason(threshold: Threshold, level: Level, mark: Mark | None) -> Reason:
    if reason := levels.unknown(threshold, level):
        return reason
    if not levels.reached(threshold, level):
        return Reason.BELOW
    return Reason.ALREADY_FIRED if mark else Reason.FIRST_CROSSING


def _mark(threshold: Threshold, snapshot: Snapshot) -> Mark:
    level = snapshot.balance if threshold.type.canonical == "balance_value" else snapshot.usage
    assert level is not None  # noqa: S101 - it was reached
    return Mark("fired", 1, snapshot.calculated_at, level)
