"""The nouns of the judgement: frozen values, no behaviour."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from schemas.events import Action, FeatureRef
from schemas.rules import Rule, RuleId, RuleType
from schemas.thresholds import Threshold


class Reason(StrEnum):
    """Why a judgement came out as it did: the same word in metric, log and explain."""

    __hash__ = str.__hash__  # Enum's own is ten times as slow: a batch counts thousands

    FIRST_CROSSING = "first_crossing"
    REARMED = "rearmed"
    RECOVERED = "recovered"
    ALREADY_FIRED = "already_fired"
    ALSO_CROSSED = "also_crossed"
    BELOW = "below"
    IGNORED_ON_CREATE = "ignored_on_create"
    NO_ALLOWANCE = "no_allowance"
    NO_BALANCE = "no_balance"
    LATE = "late"
    STALE_PERIOD = "stale_period"
    NOT_METERED = "not_metered"
    INACTIVE = "inactive"
    DELETED = "deleted"
    RESET_MANUAL = "reset_manual"
    RESET_AUTOMATIC = "reset_automatic"
    ALREADY_RESET = "already_reset"
    SAME_PERIOD = "same_period"
    INVOICE_CREATED = "invoice_created"
    STATE_CHANGED = "state_changed"
    SAME_STATE = "same_state"
    STATUS_NOT_WANTED = "status_not_wanted"
    GATHERING = "gathering"
    DUPLICATE = "duplicate"
    RULE_GONE = "rule_gone"


class Level(msgspec.Struct, frozen=True, gc=False):
    """What a snapshot says of usage. None: missing, and not derivable; never 0 for "not known"."""

    usage: Decimal | None
    allowance: Decimal | None
    balance: Decimal | None


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of one threshold in the current period.

    `fired`: its episode was notified, and not seen to end. `clear`: the level was seen below it since. `ignored`: it
    was reached when its rule came to it, and is silent (`onCreate: ignore`).
    """

    state: Literal["fired", "clear", "ignored"]
    episode: int  # 1 for the first crossing of the period; 0: none was notified, what was reached was ignored
    at: dt.datetime  # calculatedAt of the record that made it
    level: Decimal  # usage or balance at that record
    # By an event for this threshold: only then is its recovery notified. Stored as `told`, where it was not.
    is_notified: bool = msgspec.field(name="told", default=True)


Marks = Mapping[RuleId, Mapping[str, Mark]]  # rule → Threshold.identity → mark
NO_MARKS: Marks = {}
Sights = Mapping[
    RuleId, Mapping[str, int]
]  # rule → Threshold.identity → catalog revision under which it was first seen
NO_SIGHTS: Sights = {}
NO_RESETS: frozenset[RuleId] = frozenset()  # one object: an empty one has 216 bytes, and nearly every document has it


class Document(msgspec.Struct, frozen=True, gc=False):
    """The memory of one entitlement; written by compare-and-set on `version`.

    Attributes:
        version: of the row it came from; 0: no row yet.
        period_from: start of the current period as its records show it; None only where nothing was seen.
        period_to: its end, as the newest record has it; None: it never ends.
        begins_at: the start that counts, where that is another one: an anchor moved back, or an ended period goes on.
        ended: the clock has ended that period: its records are of the past, the next one begins a new one.
        reset_until: the latest start of a period that a reset was made of, where the current period begins before it: a
            manual reset that came late, or an anchor that moved back. What fires in it is not closed by that reset.
        known_at: the newest record of the period that wrote the row, deletes included: only a newer one speaks of the
            end, of `active_to` and of deletion. None where there is none.
        newest_at: the newest record of the entitlement that wrote the row, of whatever period.
        as_of: the newest record of the period that changed a mark, or, once a rule that looks back has a mark, the
            newest record of the period; None where there is none. Re-arm and recovery look at newer records only.
        deleted_at: of the delete, while no record calculated after it was seen.
        active_to: as the newest record has it.
        feature: likewise; its id is empty where no record says one. None of a row that an older release wrote.
        marks: of this period only: records of older ones make nothing, so nothing of them is needed.
        resets: rules that have notified of this period's start.
        sights: which thresholds that ignore what is reached already have seen the entitlement; kept over periods.
        level: in the period, coarse (`levels.coarse`); for people, never judged on. None where it is not known.
        level_at: the record that changed it; None where none has.
    """

    version: int = 0
    period_from: dt.datetime | None = None
    period_to: dt.datetime | None = None
    begins_at: dt.datetime | None = None
    ended: bool = False
    reset_until: dt.datetime | None = None
    known_at: dt.datetime | None = None
    newest_at: dt.datetime | None = None
    as_of: dt.datetime | None = None
    deleted_at: dt.datetime | None = None
    active_to: dt.datetime | None = None
    feature: FeatureRef | None = None
    marks: Marks = msgspec.field(default_factory=lambda: NO_MARKS)
    resets: frozenset[RuleId] = NO_RESETS
    sights: Sights = msgspec.field(default_factory=lambda: NO_SIGHTS)
    level: int | None = None
    level_at: dt.datetime | None = None


class InvoiceDocument(msgspec.Struct, frozen=True, gc=False):
    """The memory of one invoice; written by compare-and-set on `version`.

    Attributes:
        version: of the row it came from; 0: no row yet.
        state: of the newest record seen; None only where nothing was seen.
        as_of: that record's time.
    """

    version: int = 0
    state: str | None = None
    as_of: dt.datetime | None = None


AnyDocument = Document | InvoiceDocument
UNSEEN = Document()
# How far clocks may be apart; a setting (TOLLBELL_CONSUME_FUTURE_TOLERANCE), this is its default.
TOLERANCE: Final = dt.timedelta(minutes=5)
UNSEEN_INVOICE = InvoiceDocument()


class Occurrence(Protocol):
    """What fires: one event, before it has an id. Each rule type has its own (`decide/rules`)."""

    @property
    def rule(self) -> Rule:
        """The rule as it was judged."""

    @property
    def reason(self) -> Reason:
        """Why it fires."""

    @property
    def action(self) -> Action:
        """Whether it fires or recovers."""

    @property
    def occurred_at(self) -> dt.datetime:
        """The payload's timestamp."""

    @property
    def made_before(self) -> Reason:
        """The reason in place of `reason`, where an earlier record has made the same event."""

    @property
    def fired_in(self) -> dt.datetime | None:
        """The start of the usage period that must be ended by the clock, since this fired in it; None for none."""

    @property
    def closes(self) -> Threshold | None:
        """The threshold that recovers because its period has ended; None where it is not that."""

    def identity(self) -> Sequence[str]:
        """Return texts that are equal for two occurrences if and only if they are one event."""

    def preceding(self) -> Sequence[str] | None:
        """Return the identity of the event that a receiver must have had before this one, or None."""

    def payload(self, event_id: str, timestamp: str) -> "Payload":
        """Return the event as it is sent, and the parties by which it is found."""


class Parties(msgspec.Struct, frozen=True):
    """The subject, feature and customer by which an event is found again; None for what its record does not say."""

    subject_key: str | None = None
    feature_id: str | None = None
    feature_key: str | None = None
    customer_id: str | None = None
    customer_key: str | None = None


NO_PARTIES: Final = Parties()


class Payload(msgspec.Struct, frozen=True):
    """An event in the reference product's envelope, not encoded yet."""

    event: msgspec.Struct
    parties: Parties


class Judgement(NamedTuple):
    """What a record means.

    Attributes:
        document: the memory after it; the very object given where nothing changed.
        occurrences: what fires, in the order in which the events are created.
        reasons: one for each threshold of each rule, or one for each rule where the record as a whole decides.
    """

    document: AnyDocument
    occurrences: tuple[Occurrence, ...]
    reasons: tuple[tuple[RuleType, Reason], ...]
