"""Why a record does, or does not, make an event of a rule: the judgement itself, threshold by threshold.

The same function that the consumer calls, on the same memory. Nothing is written, nothing is sent.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from consumer.decide.judge import judge
from consumer.decide.model import TOLERANCE, AnyDocument, Judgement, Reason
from consumer.decide.rules import ENTITLEMENTS
from schemas.rules import Rule
from schemas.sources import SourceEvent
from schemas.thresholds import Threshold


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """One judgement: of a threshold, or, where that is None, of the record as a whole."""

    threshold: Threshold | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """What a record means to one rule."""

    lines: tuple[JudgedLine, ...]
    judgement: Judgement


def explain(
    rule: Rule, source: SourceEvent, document: AnyDocument, *, tolerance: dt.timedelta = TOLERANCE
) -> RuleExplanation:
    """Return what *source* means to *rule* on *document*: first the alarms that a new period closes."""
    made = judge([rule], source, document, tolerance=tolerance)
    closed = [JudgedLine(one.closes, one.reason) for one in made.occurrences if one.closes is not None]
    reasons = [reason for _, reason in made.reasons[len(closed) :]]
    thresholds: Sequence[Threshold] = ()
    if (about := ENTITLEMENTS.get(rule.type)) is not None and not _is_of_the_whole(reasons):
        thresholds = about.thresholds(rule)
    if thresholds:
        lines = tuple(JudgedLine(threshold, reason) for threshold, reason in zip(thresholds, reasons, strict=True))
    else:
        lines = tuple(JudgedLine(None, reason) for reason in reasons)
    return RuleExplanation((*closed, *lines), made)


def _is_of_the_whole(reasons: list[Reason]) -> bool:
    whole = {Reason.STALE_PERIOD, Reason.NOT_METERED, Reason.INACTIVE, Reason.DELETED}
    return not reasons or reasons[0] in whole
