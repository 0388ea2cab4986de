"""`entitlements.reset`: each new usage period, once, whatever shows it first.

| shown by | of the period that is known | of a later one | where none is known |
|---|---|---|---|
| a reset record | manual, or already notified | manual or automatic | manual |
| a usage snapshot | nothing new | manual or automatic | nothing new: the first sight of an entitlement |
| a record of the very period that the clock notified of | | already notified | |

A period begins at its start that counts: the shown one, or the moment at which an anchor moved back, or at which an
ended period goes on.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from consumer.decide.model import Document, Payload, Reason
from consumer.decide.payloads import in_period, parties_of
from consumer.decide.rules.contracts import OF_ENTITLEMENTS, EntitlementRecord, Finding, PeriodClosed
from consumer.decide.sample_records import full_level, sample_snapshot
from schemas import times
from schemas.events import Action, FeatureRef, ResetData, ResetEvent, ResetPart, ResetRulePart, feature_refs
from schemas.rules import ResetSpec, Rule, Spec
from schemas.sources import PeriodEnd, Snapshot
from schemas.thresholds import Line, Threshold

REASONS: Final = (
    Reason.RESET_MANUAL,
    Reason.RESET_AUTOMATIC,
    Reason.ALREADY_RESET,
    Reason.SAME_PERIOD,
    *OF_ENTITLEMENTS,
)
ACTIONS: Final = (Action.TRIGGERED,)
SAMPLE: Final[Mapping[str, Any]] = {}


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """A new usage period, shown by a record or by the clock.

    Attributes:
        period_from: the new period's start: what makes it the same reset.
        after: the start of the period that it ends, where that is part of what makes it the same reset: a threshold has
            fired there, and a reset of the same new start may have been made before that.
    """

    rule: Rule
    source: Snapshot | PeriodEnd
    period_from: dt.datetime
    reason: Literal[Reason.RESET_MANUAL, Reason.RESET_AUTOMATIC]
    at: dt.datetime  # when it was reset
    after: dt.datetime | None = None
    action: Action = Action.TRIGGERED

    @property
    def occurred_at(self) -> dt.datetime:
        """When the new period began."""
        return self.period_from

    @property
    def made_before(self) -> Reason:
        """The period's reset has been notified."""
        return Reason.ALREADY_RESET

    @property
    def fired_in(self) -> None:
        """It leaves nothing for the period's end."""

    @property
    def closes(self) -> None:
        """It is about no threshold."""

    def identity(self) -> tuple[str, ...]:
        """Return rule, entitlement and start of the new period, and *after* where that counts."""
        source = self.source
        about = ("reset", source.namespace, self.rule.id, source.entitlement_id, self.period_from.isoformat())
        return about if self.after is None else (*about, self.after.isoformat())

    def preceding(self) -> None:
        """No event has to come before it."""

    def payload(self, event_id: str, timestamp: str) -> Payload:
        """Return `entitlements.reset`."""
        about, rule, spec = self.source.origin.about(), self.rule, self.rule.spec
        assert isinstance(spec, ResetSpec)  # noqa: S101 - only such a rule has resets
        entitlement, source = about.entitlement, self.source
        if isinstance(source, Snapshot) and source.period_from != self.period_from:
            entitlement = in_period(entitlement, self.period_from, source.period_to)
        data = ResetData(
            action="triggered",
            rule=ResetRulePart(rule.id, rule.name, rule.type.value, feature_refs(spec.features, about)),
            reset=ResetPart("manual" if self.reason is Reason.RESET_MANUAL else "automatic", times.text(self.at)),
            feature=about.feature,
            entitlement=entitlement,
            value=about.value,
            subject=about.subject,
            customer=about.customer,
        )
        return Payload(ResetEvent(event_id, "entitlements.reset", timestamp, data), parties_of(about))


def features(spec: Spec) -> tuple[str, ...] | None:
    """Return the features that it is about."""
    assert isinstance(spec, ResetSpec)  # noqa: S101 - found by its type
    return spec.features


def thresholds(_rule: Rule) -> Sequence[Threshold]:
    """Return none."""
    return ()


def lines(_rule: Rule) -> Sequence[Line]:
    """Return none: the period alone decides."""
    return ()


def looks_back(_rule: Rule) -> bool:
    """Return that the level changes nothing."""
    return False


def evaluate(rule: Rule, record: EntitlementRecord) -> Finding:
    """Return the reset that the snapshot shows, if it shows one."""
    snapshot, begins, before = record.snapshot, record.begins, record.before
    reason = _why(snapshot, begins, before, is_notified=rule.id in before.resets)
    if reason is not Reason.RESET_MANUAL and reason is not Reason.RESET_AUTOMATIC:
        return Finding((), (reason,), has_reset=reason is not Reason.SAME_PERIOD)
    reset = Reset(
        rule=rule,
        source=snapshot,
        period_from=begins,
        reason=reason,
        at=snapshot.reset_at if snapshot.reset_at and begins == snapshot.period_from else begins,
        after=record.reset_after if begins != (before.begins_at or before.period_from) else None,
    )
    return Finding((reset,), (reason,), has_reset=True)


def closed(_rule: Rule, _over: PeriodClosed) -> Sequence[Reset]:
    """Return nothing: a reset does not recover."""
    return ()


def ended(rule: Rule, over: PeriodClosed) -> Sequence[Reset]:
    """Return the reset that the clock makes."""
    reset = Reset(
        rule=rule,
        source=over.source,
        period_from=over.at,
        reason=Reason.RESET_AUTOMATIC,
        at=over.at,
        after=over.reset_after,
    )
    return (reset,)


def sample(rule: Rule, feature: FeatureRef, at: dt.datetime) -> Reset:
    """Return a reset at *at*."""
    source = sample_snapshot(rule.namespace, feature, at, at, full_level())
    return Reset(rule=rule, source=source, period_from=at, reason=Reason.RESET_MANUAL, at=at)


def _why(snapshot: Snapshot, begins: dt.datetime, seen: Document, *, is_notified: bool) -> Reason:
    """Return whether *snapshot* shows a reset, and which kind; or why it does not.

    Args:
        snapshot: of no period that is over.
        begins: the start that counts of its period.
        seen: the memory before the snapshot.
        is_notified: whether the rule has notified of the start of the period that *seen* is in.
    """
    is_reset_record = snapshot.reset_at is not None
    if seen.period_from is None:
        return Reason.RESET_MANUAL if is_reset_record else Reason.SAME_PERIOD
    end = seen.period_to
    if begins == (seen.begins_at or seen.period_from):
        if not is_reset_record:
            return Reason.SAME_PERIOD
        return Reason.ALREADY_RESET if is_notified else Reason.RESET_MANUAL
    if seen.ended and begins == end:
        return Reason.ALREADY_RESET
    return Reason.RESET_AUTOMATIC if end is not None and snapshot.period_from >= end else Reason.RESET_MANUAL
