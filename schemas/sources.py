"""What comes in, parsed: the source events that the judgement reads, from whatever family of records.

A record is decoded twice at the most. Always: the few fields that are judged. Only when an event is made of it: the
whole of it, for the payload (`RecordData.about()`, `InvoiceOrigin.invoice()`).
"""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Final, Protocol

import msgspec

from schemas import times
from schemas.reading import Rejected, RejectReason, invalid
from schemas.times import Time

_CONTRADICTION: Final = Decimal("1e-9")  # OpenMeter's own tolerance for "both above zero"

# Of an id or key, in characters. They are indexed, at most two in one index. Postgres takes 2,704 bytes in a row of an
# index; two of these are 2,048 bytes of UTF-8 at most. A longer text fails its whole statement (54000).
MAX_IDENTIFIER: Final = 256
# Python's `$` also matches before a last line break: hence what follows must not be one.
_NO_CONTROL: Final = "^[^\\x00-\\x1f\\x7f-\\x9f]*(?!\\n)$"
Identifier = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=MAX_IDENTIFIER, pattern=_NO_CONTROL),
]
# An id or key of a customer, subject or feature, which the producer may not have: OpenMeter sends empty ones.
MaybeEmpty = Annotated[
    str,
    msgspec.Meta(max_length=MAX_IDENTIFIER, pattern=_NO_CONTROL, description="May be empty."),
]
Loose = Annotated[str, msgspec.Meta(pattern=_NO_CONTROL, description="May be empty.")]


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a payload repeats of its record, in the reference product's form. Amounts are Decimals, as they came."""

    feature: dict[str, Any]
    entitlement: dict[str, Any]
    value: dict[str, Any]
    subject: dict[str, Any] | None = None
    customer: dict[str, Any] | None = None


class RecordData(Protocol):
    """The record's data, as its producer wrote it."""

    def about(self) -> About:
        """Return what a payload repeats. Never fails for a record that was parsed."""
        ...


class Unmetered(msgspec.Struct, frozen=True):
    """A snapshot of a static or boolean entitlement: nothing to measure."""

    namespace: str
    entitlement_id: str
    feature_id: str
    feature_key: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A usage snapshot of a metered entitlement, from whatever family of records.

    Attributes:
        usage, allowance, balance: as judged; None where missing and not derivable, never 0 for "not known".
        reset_at: when the period was reset; None for a usage snapshot.
        is_deleted: a delete: it says nothing of usage.
        origin: the whole record, for payloads.
    """

    namespace: str
    entitlement_id: str
    feature_id: str
    feature_key: str
    calculated_at: dt.datetime
    period_from: dt.datetime
    period_to: dt.datetime | None  # None: it never ends
    origin: RecordData
    usage: Decimal | None = None
    allowance: Decimal | None = None
    balance: Decimal | None = None
    active_from: dt.datetime | None = None
    active_to: dt.datetime | None = None
    reset_at: dt.datetime | None = None
    is_deleted: bool = False


class PeriodEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The clock's: a usage period has ended, and no record has shown a later one.

    Attributes:
        origin: what was last written of the entitlement; its value is `{"hasAccess": true}` alone.
    """

    namespace: str
    entitlement_id: str
    feature_id: str
    feature_key: str
    origin: RecordData


class InvoiceOrigin(Protocol):
    """An invoice's record, as its producer wrote it."""

    def invoice(self) -> dict[str, Any]:
        """Return the invoice in the reference product's form. Never fails for a record that was parsed."""
        ...


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that was created or updated.

    Attributes:
        is_created: else updated.
        state: the extended status, such as `draft.waiting_auto_approval`.
        previous: the state before, where the record says so.
        at: the CloudEvent's time.
        source, event_id: the CloudEvent's.
    """

    namespace: str
    invoice_id: str
    is_created: bool
    state: str
    at: dt.datetime
    source: str
    event_id: str
    origin: InvoiceOrigin
    previous: str | None = None


def short_status(state: str) -> str:
    """Return the short status of an extended one: `draft` of `draft.waiting_auto_approval`, `paid` of `paid`."""
    return state.partition(".")[0]


EntitlementEvent = Snapshot | Unmetered | PeriodEnd
SourceEvent = EntitlementEvent | Invoice


class Period(msgspec.Struct, frozen=True):
    """From (inclusive) and to (exclusive) of a period."""

    from_: Time = msgspec.field(name="from")
    to: Time


class OpenPeriod(msgspec.Struct, frozen=True):
    """From (inclusive) and to (exclusive) of a usage period; without `to` it never ends."""

    from_: Time = msgspec.field(name="from")
    to: Time | None = None


class Party(msgspec.Struct, frozen=True):
    """A customer or subject; further fields reach the payload as they are."""

    key: MaybeEmpty | None = None
    id: MaybeEmpty | None = None


def check_consistent(balance: Decimal | None, overage: Decimal | None) -> None:
    """Check that balance and overage are not both above zero (with OpenMeter's tolerance of 1e-9).

    Raises:
        Rejected: they are; a customer cannot have something left and be over.
    """
    if balance is not None and overage is not None and min(balance, overage) > _CONTRADICTION:
        raise Rejected(RejectReason.CONTRADICTORY, "data.value: balance and overage are both above 0")


def read_time(text: str, at: str) -> dt.datetime:
    """Return the time of *text*.

    Raises:
        Rejected: it is none; names *at*.
    """
    try:
        return times.parse(text)
    except ValueError as exc:
        raise invalid(at, str(exc)) from None


def read_optional_time(text: str | None, at: str) -> dt.datetime | None:
    """Return the time of *text*, None for None; raises as `read_time` does."""
    return None if text is None else read_time(text, at)


def read_period(period: Period | OpenPeriod, at: str) -> tuple[dt.datetime, dt.datetime | None]:
    """Return a period's from and to; None for one that never ends.

    Raises:
        Rejected: no times, or it does not end after it starts.
    """
    start, end = read_time(period.from_, f"{at}.from"), read_optional_time(period.to, f"{at}.to")
    if end is not None and end <= start:
        raise invalid(at, "does not end after it starts")
    return start, end
