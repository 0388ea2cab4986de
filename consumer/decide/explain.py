"""Why a record does, or does not, make an event of a rule: the judgement itself, threshold by threshold.

The same function that the consumer calls, on the same memory. Nothing is written, nothing is sent.
"""

import datetime as dt
from dataclasses import dataclass

from consumer.decide.judge import judge
from consumer.decide.model import TOLERANCE, AnyDocument, Crossing, Judgement, Reason
from schemas.rules import BalanceThresholdSpec, Rule
from schemas.sources import SourceEvent
from schemas.thresholds import Threshold


@dataclass(frozen=True, slots=True)
class Line:
    """One judgement: of a threshold, or, where that is None, of the record as a whole."""

    threshold: Threshold | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a record means to one rule."""

    lines: tuple[Line, ...]
    judgement: Judgement


def explain(
    rule: Rule, source: SourceEvent, document: AnyDocument, *, tolerance: dt.timedelta = TOLERANCE
) -> Explanation:
    """Return what *source* means to *rule* on *document*: first the alarms that a new period closes."""
    made = judge([rule], source, document, tolerance=tolerance)
    closed = [one for one in made.occurrences if isinstance(one, Crossing) and one.is_closing]
    reasons = [reason for _, reason in made.reasons[len(closed) :]]
    thresholds: list[Threshold] = []
    if isinstance(rule.spec, BalanceThresholdSpec) and not _is_of_the_whole(reasons):
        thresholds = list(rule.spec.distinct.values())
    if thresholds:
        lines = tuple(Line(threshold, reason) for threshold, reason in zip(thresholds, reasons, strict=True))
    else:
        lines = tuple(Line(None, reason) for reason in reasons)
    return Explanation((*(Line(one.threshold, one.reason) for one in closed), *lines), made)


def _is_of_the_whole(reasons: list[Reason]) -> bool:
    whole = {Reason.STALE_PERIOD, Reason.NOT_METERED, Reason.INACTIVE, Reason.DELETED}
    return not reasons or reasons[0] in whole
