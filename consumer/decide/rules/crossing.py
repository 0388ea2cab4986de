"""A threshold that fires or recovers, and the event of it."""

import datetime as dt
from typing import Any, Literal

import msgspec

from consumer.decide.model import Payload, Reason
from consumer.decide.payloads import in_period, parties_of
from schemas.events import (
    Action,
    BalanceThresholdData,
    BalanceThresholdEvent,
    CrossingPart,
    RulePart,
    feature_refs,
    threshold_part,
)
from schemas.rules import BalanceThresholdSpec, Rule
from schemas.sources import About, PeriodEnd, Snapshot
from schemas.thresholds import Threshold


class Crossing(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold that fires or recovers: what an event is made of, before it has an id.

    Attributes:
        snapshot: what showed it; of a closing what ended the period: a record of the next one, or the clock.
        period_from: the start that counts of the threshold's period.
        at: when it was crossed; of a closing when the next period begins.
        also_crossed: fired at the same record, and named in this event alone.
        is_closing: a recovery because the period has ended, not by the level.
        period_to: of a closing the end of that period, where one was known.
    """

    rule: Rule
    threshold: Threshold
    episode: int
    snapshot: Snapshot | PeriodEnd
    period_from: dt.datetime
    at: dt.datetime
    reason: Reason
    action: Action = Action.TRIGGERED
    also_crossed: tuple[Threshold, ...] = ()
    is_closing: bool = False
    period_to: dt.datetime | None = None

    @property
    def occurred_at(self) -> dt.datetime:
        """When it was crossed."""
        return self.at

    @property
    def made_before(self) -> Reason:
        """The event is a duplicate."""
        return Reason.DUPLICATE

    @property
    def fired_in(self) -> dt.datetime | None:
        """The period in which the threshold fires."""
        return self.period_from if self.action is Action.TRIGGERED else None

    @property
    def closes(self) -> Threshold | None:
        """The threshold, of a closing."""
        return self.threshold if self.is_closing else None

    def identity(self) -> tuple[str, ...]:
        """Return rule, entitlement, period start, threshold type and value, episode and action.

        Not the rule's other settings, the subject or the wall clock.
        """
        return self._identity(self.episode, self.action)

    def preceding(self) -> tuple[str, ...] | None:
        """A recovery comes after what it recovers from, the next episode after that recovery."""
        if self.action is Action.RECOVERED:
            return self._identity(self.episode, Action.TRIGGERED)
        if self.episode > 1:
            return self._identity(self.episode - 1, Action.RECOVERED)
        return None

    def payload(self, event_id: str, timestamp: str) -> Payload:
        """Return `entitlements.balance.threshold`."""
        about = self.snapshot.origin.about()
        event = BalanceThresholdEvent(event_id, "entitlements.balance.threshold", timestamp, self._data(about))
        return Payload(event, parties_of(about))

    def _identity(self, episode: int, action: Action) -> tuple[str, ...]:
        snapshot = self.snapshot
        return (
            "crossing",
            snapshot.namespace,
            self.rule.id,
            snapshot.entitlement_id,
            self.period_from.isoformat(),
            self.threshold.identity,
            str(episode),
            action.value,
        )

    def _data(self, about: About) -> BalanceThresholdData:
        rule, spec = self.rule, self.rule.spec
        # isinstance asks pydantic's metaclass, which is slow
        assert type(spec) is BalanceThresholdSpec  # noqa: S101 - only such a rule has crossings
        return BalanceThresholdData(
            action=self.action.value,
            rule=RulePart(
                id=rule.id,
                name=rule.name,
                type=rule.type.value,
                thresholds=spec.parts,
                features=feature_refs(spec.features, about),
            ),
            threshold=threshold_part(self.threshold),
            feature=about.feature,
            entitlement=self._entitlement(about),
            value={"hasAccess": True} if self.is_closing else about.value,
            crossing=CrossingPart(self.episode, [threshold_part(one) for one in self.also_crossed], self._cause()),
            subject=about.subject,
            customer=about.customer,
        )

    def _entitlement(self, about: About) -> dict[str, Any]:
        """Return the entitlement with the period that the event is of, where its record shows another one."""
        snapshot, start = self.snapshot, self.period_from
        if self.is_closing:
            return in_period(about.entitlement, start, self.period_to)
        if isinstance(snapshot, Snapshot) and snapshot.period_from != start:
            return in_period(about.entitlement, start, snapshot.period_to)
        return about.entitlement

    def _cause(self) -> Literal["level", "period_end"] | None:
        if self.action is not Action.RECOVERED:
            return None
        return "period_end" if self.is_closing else "level"
