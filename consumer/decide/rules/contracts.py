"""What a module of a rule type has to have; `decide/rules/__init__.py` names the modules."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from consumer.decide.model import Document, InvoiceDocument, Mark, Occurrence, Reason
from schemas.events import Action, FeatureRef
from schemas.rules import Rule, Spec
from schemas.sources import Invoice, PeriodEnd, Snapshot
from schemas.thresholds import Line, Threshold

FOUND_AT_WRITE: Final = (Reason.DUPLICATE, Reason.RULE_GONE)  # by the store, whatever the rule
OF_ENTITLEMENTS: Final = (Reason.STALE_PERIOD, Reason.NOT_METERED, Reason.INACTIVE, Reason.DELETED, *FOUND_AT_WRITE)


class EntitlementRecord(Struct, frozen=True):
    """What a rule about entitlements is evaluated on.

    Attributes:
        snapshot: of no period that is over.
        begins: the start that counts of its period.
        period: the memory in the snapshot's period: empty marks where that is new.
        before: the memory before the snapshot.
        reset_after: what `Reset.after` of a new period is.
        is_late: whether a newer record has been judged before: then only what has no mark may fire.
    """

    snapshot: Snapshot
    begins: dt.datetime
    period: Document
    before: Document
    reset_after: dt.datetime | None
    is_late: bool


class Finding(Struct, frozen=True):
    """What one rule about entitlements makes of one record.

    Attributes:
        reasons: one for each threshold, or one for the rule.
        marks: after the record; None where they are as they were.
        sights: likewise.
        is_watched: the rule looks back, and has a mark: newer records count as such.
        has_reset: the rule has notified of the period's start.
    """

    occurrences: Sequence[Occurrence]
    reasons: Sequence[Reason]
    marks: Mapping[str, Mark] | None = None
    sights: Mapping[str, int] | None = None
    is_watched: bool = False
    has_reset: bool = False


class PeriodClosed(Struct, frozen=True):
    """A usage period that is over: *source* shows it, the next one begins at *at*; the others are of *document*."""

    document: Document
    source: Snapshot | PeriodEnd
    at: dt.datetime
    period_from: dt.datetime
    reset_after: dt.datetime | None = None


class _AnyRule(Protocol):
    """What every rule type has."""

    @property
    def REASONS(self) -> tuple[Reason, ...]:  # noqa: N802 - a module's constant
        """The reasons that it can give: a metric has a series for each."""

    @property
    def ACTIONS(self) -> tuple[Action, ...]:  # noqa: N802 - likewise
        """The actions of its events."""

    @property
    def SAMPLE(self) -> Mapping[str, Any]:  # noqa: N802 - likewise
        """What a spec of it needs beside its type, for a sample."""

    def sample(self, rule: Rule, feature: FeatureRef, at: dt.datetime, /) -> Occurrence:
        """Return an event that *rule* could make of *feature* at *at*."""


class EntitlementRule(_AnyRule, Protocol):
    """A rule type about entitlements."""

    def features(self, spec: Spec, /) -> tuple[str, ...] | None:
        """Return the ids or keys of the features that it is about; None: all of them."""

    def thresholds(self, rule: Rule, /) -> Sequence[Threshold]:
        """Return what its reasons are of, in order; empty where the rule has one reason alone."""

    def lines(self, rule: Rule, /) -> Sequence[Line] | None:
        """Return the lines that decide: between two of them every record is judged alike, for the same reasons.

        Then such records are passed over unread. None where more decides than the side of a line, and the period.
        """

    def looks_back(self, rule: Rule, /) -> bool:
        """Whether a level that is no longer reached changes something: then the order of records counts."""

    def evaluate(self, rule: Rule, at: EntitlementRecord, /) -> Finding:
        """Return what *rule* makes of a record."""

    def closed(self, rule: Rule, over: PeriodClosed, /) -> Sequence[Occurrence]:
        """Return the recoveries of what fired in the period that is over."""

    def ended(self, rule: Rule, over: PeriodClosed, /) -> Sequence[Occurrence]:
        """Return what fires where the clock sees the period's end, after the recoveries."""


class InvoiceRule(_AnyRule, Protocol):
    """A rule type about invoices."""

    def evaluate(self, rule: Rule, invoice: Invoice, before: InvoiceDocument, /) -> tuple[Reason, Occurrence | None]:
        """Return what *rule* makes of a record that it is about; *before* is the memory before it."""

    def is_about(self, invoice: Invoice, /) -> bool:
        """Whether it is about such a record."""
