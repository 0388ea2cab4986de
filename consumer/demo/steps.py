"""The vocabulary of the story: what a step may be, and what must come of each kind."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from consumer.decide.model import Reason
from consumer.demo.webhooks import InvoiceIs, NewPeriod, StoryCrossing, Webhook
from schemas.reading import RejectReason
from schemas.rules import RuleType

OK: Final = 200
BUSY: Final = 503
_EPISODES: Final = {Reason.FIRST_CROSSING: 1, Reason.RECOVERED: 1, Reason.REARMED: 2}
_KINDS: Final[dict[Reason, Literal["manual", "automatic"]]] = {
    Reason.RESET_MANUAL: "manual",
    Reason.RESET_AUTOMATIC: "automatic",
}

Reasons = Mapping[RuleType, tuple[Reason, ...]]  # by the rule that judged, for each of its thresholds where it has some


class Topic(StrEnum):
    """Where records are produced to."""

    USAGE = "usage"
    RESETS = "resets"
    INVOICES = "invoices"


@dataclass(frozen=True, slots=True)
class StoryFeature:
    """What is used, and which rules of deploy/demo/rules.yaml are about it.

    Attributes:
        percents: the thresholds of its rule.
        notifies_of_resets: whether a rule notifies of its new periods as well.
    """

    key: str
    percents: tuple[Decimal, ...]
    notifies_of_resets: bool


REQUESTS: Final = StoryFeature("api_requests", (Decimal(80), Decimal(100), Decimal(120)), notifies_of_resets=True)
STORAGE: Final = StoryFeature("storage", (Decimal(100),), notifies_of_resets=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A record of a level to produce, and what must come of it.

    Attributes:
        usage: of *allowance*, as it stands in the record.
        period: 1, or 2 for the one after.
        lasts: how long after the record its period ends; None for one that outlives the story.
        is_reset: a reset record, which begins *period*.
        is_repeat: the very bytes of the record before, once more.
        levels: how each threshold is judged, in their order; one alone where the record as a whole decides.
        renewal: how the rule about resets judges it, where there is one.
        reject: why it goes to the dead letters, in place of *levels* and *renewal*.
        busy: whether the receiver answers the first webhook of this step 503 once.
        note: what a person should notice.
    """

    customer: str
    usage: int | str
    allowance: int = 100
    feature: StoryFeature = REQUESTS
    period: int = 1
    lasts: dt.timedelta | None = None
    is_reset: bool = False
    is_repeat: bool = False
    levels: tuple[Reason, ...] = ()
    renewal: Reason = Reason.SAME_PERIOD
    reject: RejectReason | None = None
    busy: bool = False
    note: str = ""

    @property
    def topic(self) -> Topic:
        """Where it is produced to."""
        return Topic.RESETS if self.is_reset else Topic.USAGE

    @property
    def reasons(self) -> Reasons:
        """How each rule must judge it."""
        if self.reject:
            return {}
        renewal = {RuleType.ENTITLEMENT_RESET: (self.renewal,)} if self.feature.notifies_of_resets else {}
        return {RuleType.BALANCE_THRESHOLD: self.levels} | renewal

    @property
    def webhooks(self) -> tuple[Webhook, ...]:
        """What must come of it."""
        crossed = [
            StoryCrossing(
                self.customer, percent, self.period, _EPISODES[reason], is_recovery=reason is Reason.RECOVERED
            )
            for percent, reason in zip(self.feature.percents, self.levels, strict=False)
            if reason in _EPISODES
        ]
        kind = _KINDS.get(self.renewal)
        return (*crossed, NewPeriod(self.customer, kind, self.period)) if kind else tuple(crossed)

    def __str__(self) -> str:
        return f"{self.customer} at {self.usage} of {self.allowance}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceStep:
    """A record of an invoice to produce, and how the rule about its kind must judge it."""

    customer: str
    number: str
    state: str
    reason: Reason
    is_created: bool = False
    note: str = ""

    @property
    def topic(self) -> Topic:
        """Where it is produced to."""
        return Topic.INVOICES

    @property
    def reasons(self) -> Reasons:
        """How each rule must judge it."""
        return {RuleType.INVOICE_CREATED if self.is_created else RuleType.INVOICE_UPDATED: (self.reason,)}

    @property
    def webhooks(self) -> tuple[Webhook, ...]:
        """What must come of it."""
        if self.reason in {Reason.INVOICE_CREATED, Reason.STATE_CHANGED}:
            return (InvoiceIs(self.customer, self.number, self.state, self.is_created),)
        return ()

    def __str__(self) -> str:
        return f"{self.customer} with {self.number} {self.state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """No record: the short period of a customer ends, and that alone begins the next one."""

    customer: str

    @property
    def webhooks(self) -> tuple[Webhook, ...]:
        """What must come of it."""
        return (NewPeriod(self.customer, "automatic", 2),)


Record = Usage | InvoiceStep
Step = Record | Clock


@dataclass(frozen=True, slots=True)
class Act:
    """A part of the story: its title, what it shows, its steps."""

    title: str
    shows: str
    steps: tuple[Step, ...]


def answers(step: Step) -> dict[Webhook, tuple[int, ...]]:
    """Return the webhooks that must come of *step*, and how the receiver answers each of their attempts."""
    busy = step.webhooks[:1] if isinstance(step, Usage) and step.busy else ()
    return {webhook: (BUSY, OK) if webhook in busy else (OK,) for webhook in step.webhooks}
