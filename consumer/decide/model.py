"""The nouns of the judgement: frozen values, no behaviour."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from schemas.events import Action
from schemas.rules import Rule, RuleId, RuleType, Threshold
from schemas.sources import Snapshot


class Reason(StrEnum):
    """Why a judgement came out as it did: the same word in metric, log and explain."""

    FIRST_CROSSING = "first_crossing"
    REARMED = "rearmed"
    RECOVERED = "recovered"
    ALREADY_FIRED = "already_fired"
    ALSO_CROSSED = "also_crossed"
    BELOW = "below"
    NO_ALLOWANCE = "no_allowance"
    NO_BALANCE = "no_balance"
    LATE = "late"
    STALE_PERIOD = "stale_period"
    NOT_METERED = "not_metered"
    INACTIVE = "inactive"
    DELETED = "deleted"
    DUPLICATE = "duplicate"
    RULE_GONE = "rule_gone"


@dataclass(frozen=True, slots=True)
class Level:
    """What a snapshot says of usage. None: missing, and not derivable; never 0 for "not known"."""

    usage: Decimal | None
    allowance: Decimal | None
    balance: Decimal | None


@dataclass(frozen=True, slots=True)
class Mark:
    """What is remembered of one threshold in the current period.

    `fired`: its episode has been told, and not seen to end. `clear`: the level was seen below it since.
    """

    state: Literal["fired", "clear"]
    episode: int  # 1 for the first crossing of the period
    at: dt.datetime  # calculatedAt of the record that made it
    level: Decimal  # usage or balance at that record
    is_told: bool = True  # by an event of its own: only then can a recovery be told


Marks = Mapping[RuleId, Mapping[str, Mark]]  # rule → Threshold.identity → mark
NO_MARKS: Marks = {}


@dataclass(frozen=True, slots=True)
class Document:
    """The memory of one entitlement; written by compare-and-set on `version`.

    Attributes:
        version: of the row it came from; 0: no row yet.
        period_from: start of the newest period seen; None only where `version` is 0 and nothing was seen.
        period_to: its end, as last shown.
        as_of: the newest record of the period that changed a mark, or, once a rule that looks back has a mark, the
            newest record of the period; None where there is none. Re-arm and recovery look at newer records only.
        marks: of this period only: records of older ones make nothing, so nothing of them is needed.
    """

    version: int = 0
    period_from: dt.datetime | None = None
    period_to: dt.datetime | None = None
    as_of: dt.datetime | None = None
    marks: Marks = field(default_factory=lambda: NO_MARKS)


UNSEEN = Document()


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold that fires or recovers: what an event is made of, before it has an id."""

    rule: Rule
    threshold: Threshold
    episode: int
    snapshot: Snapshot
    action: Action = Action.TRIGGERED
    also_crossed: tuple[Threshold, ...] = ()  # fired at the same record, and told by this event alone


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a record means.

    Attributes:
        document: the memory after it; the very object given where nothing changed.
        crossings: what fires, in the order in which the events are created.
        reasons: one for each threshold of each rule, or one for each rule where the record as a whole decides.
    """

    document: Document
    crossings: tuple[Crossing, ...]
    reasons: tuple[tuple[RuleType, Reason], ...]
