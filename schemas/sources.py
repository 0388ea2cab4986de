"""What comes in, parsed: the source events that the judgement reads, and Tollbell's native records.

A native record is decoded twice at the most. Always: the few fields that are judged (`NativeSnapshot`). Only when an
event is made of it: the whole of it, for the payload (`Snapshot.about()`).
"""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, Literal, Protocol, TypeVar

import msgspec

from schemas import times
from schemas.amounts import EXACT, Amount
from schemas.reading import Rejected, RejectReason, invalid, read, read_all, read_amounts
from schemas.times import Time

SNAPSHOT_TYPE: Final = "tollbell.usage.snapshot"
ZERO: Final = Decimal(0)
_CONTRADICTION: Final = Decimal("1e-9")  # OpenMeter's own tolerance for "both above zero"

# Python's `$` also matches before a last line break: hence what follows must not be one.
_NO_CONTROL: Final = "^[^\\x00-\\x1f\\x7f-\\x9f]*(?!\\n)$"
Identifier = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=256, pattern=_NO_CONTROL),
]
Loose = Annotated[str, msgspec.Meta(pattern=_NO_CONTROL, description="May be empty.")]


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a payload repeats of its record, in the reference product's form. Amounts are Decimals, as they came."""

    feature: dict[str, Any]
    entitlement: dict[str, Any]
    value: dict[str, Any]
    subject: dict[str, Any] | None = None
    customer: dict[str, Any] | None = None


class Origin(Protocol):
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
        is_deleted: a delete: it says nothing of usage.
        origin: the whole record, for payloads.
    """

    namespace: str
    entitlement_id: str
    feature_id: str
    feature_key: str
    calculated_at: dt.datetime
    period_from: dt.datetime
    period_to: dt.datetime
    origin: Origin
    usage: Decimal | None = None
    allowance: Decimal | None = None
    balance: Decimal | None = None
    active_from: dt.datetime | None = None
    active_to: dt.datetime | None = None
    is_deleted: bool = False


SourceEvent = Snapshot | Unmetered


class Period(msgspec.Struct, frozen=True):
    """From (inclusive) and to (exclusive) of a usage period."""

    from_: Time = msgspec.field(name="from")
    to: Time


class Feature(msgspec.Struct, frozen=True):
    """The feature, by which rules find the record. Further fields reach the payload as they are."""

    key: Identifier
    id: Identifier | None = None


class Party(msgspec.Struct, frozen=True):
    """A customer or subject; further fields reach the payload as they are."""

    key: Loose | None = None
    id: Loose | None = None


class NativeEntitlement(msgspec.Struct, frozen=True, rename="camel"):
    """The entitlement; only metered ones are judged, while they are active. Further fields reach the payload."""

    id: Identifier
    period: Period
    type: Literal["metered", "static", "boolean"] = "metered"
    active_from: Time | None = None
    active_to: Time | None = None


class NativeValue(msgspec.Struct, frozen=True, rename="camel"):
    """The level. allowance = usage + balance - overage; what is absent is derived where that leaves one answer."""

    usage: Amount
    allowance: Amount | None = None
    balance: Amount | None = None
    overage: Amount | None = None
    has_access: bool | None = None


ValueT = TypeVar("ValueT")


class NativeSnapshot(msgspec.Struct, Generic[ValueT], frozen=True, rename="camel"):
    """`data` of a `tollbell.usage.snapshot`."""

    calculated_at: Time
    entitlement: NativeEntitlement
    feature: Feature
    value: ValueT
    namespace: Identifier = "default"
    customer: Party | None = None
    subject: Party | None = None


class NativeSnapshotEvent(msgspec.Struct, frozen=True):
    """A `tollbell.usage.snapshot`: a CloudEvent 1.0 in structured mode."""

    specversion: Literal["1.0"]
    id: Annotated[str, msgspec.Meta(min_length=1)]
    source: Annotated[str, msgspec.Meta(min_length=1)]
    type: Literal["tollbell.usage.snapshot"]
    data: NativeSnapshot[NativeValue]
    subject: str | None = None
    time: Time | None = None


_snapshot: Final = msgspec.json.Decoder(NativeSnapshot[msgspec.Raw])
_value: Final = msgspec.json.Decoder(NativeValue)


def read_native_snapshot(data: bytes, *, subject: str | None) -> SourceEvent:
    """Return the source event of a native snapshot's *data*; *subject* is the CloudEvent's.

    Raises:
        Rejected: a field is missing, of another type, or breaks a rule of the contract; names the field.
    """
    record = read(_snapshot, data, at="data")
    entitlement = record.entitlement
    period_from, period_to = read_period(entitlement.period, "data.entitlement.period")
    if entitlement.type != "metered":
        return Unmetered(record.namespace, entitlement.id, record.feature.id or "", record.feature.key)
    value = derived(read_amounts(_value, record.value, at="data.value"))
    check_consistent(value.balance, value.overage)
    return Snapshot(
        namespace=record.namespace,
        entitlement_id=entitlement.id,
        feature_id=record.feature.id or "",
        feature_key=record.feature.key,
        calculated_at=read_time(record.calculated_at, "data.calculatedAt"),
        period_from=period_from,
        period_to=period_to,
        usage=value.usage,
        allowance=value.allowance,
        balance=value.balance,
        active_from=read_optional_time(entitlement.active_from, "data.entitlement.activeFrom"),
        active_to=read_optional_time(entitlement.active_to, "data.entitlement.activeTo"),
        origin=_NativeOrigin(data, subject=subject, value=value),
    )


def derived(value: NativeValue) -> NativeValue:
    """Return *value* with what is absent filled in, where allowance = usage + balance - overage leaves one answer.

    Balance and overage are never both above 0, so usage and allowance alone give both.
    """
    usage, allowance, balance, overage = value.usage, value.allowance, value.balance, value.overage
    if allowance is not None:
        rest = EXACT.subtract(allowance, usage)  # balance - overage
        if balance is None and overage is None:
            balance, overage = max(rest, ZERO), max(EXACT.minus(rest), ZERO)
        elif balance is None and overage is not None:
            balance = EXACT.add(rest, overage)
        elif overage is None and balance is not None:
            overage = EXACT.subtract(balance, rest)
    else:
        if balance is None and overage is not None and overage > 0:
            balance = ZERO
        if overage is None and balance is not None and balance > 0:
            overage = ZERO
        if balance is not None and overage is not None:
            allowance = EXACT.subtract(EXACT.add(usage, balance), overage)
    return msgspec.structs.replace(value, allowance=allowance, balance=balance, overage=overage)


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


def read_period(period: Period, at: str) -> tuple[dt.datetime, dt.datetime]:
    """Return a period's from and to.

    Raises:
        Rejected: no times, or it does not end after it starts.
    """
    start, end = read_time(period.from_, f"{at}.from"), read_time(period.to, f"{at}.to")
    if end <= start:
        raise invalid(at, "does not end after it starts")
    return start, end


class _NativeOrigin:
    """A native record's data and its derived value; the payload's parts are made on demand."""

    __slots__ = ("_data", "_subject", "_value")

    def __init__(self, data: bytes, *, subject: str | None, value: NativeValue) -> None:
        self._data = data
        self._subject = subject
        self._value = value

    def about(self) -> About:
        data = read_all(self._data)
        feature = data["feature"]
        subject = data.get("subject") or ({"key": self._subject} if self._subject else {})
        repeated = {"featureId": feature.get("id"), "featureKey": feature["key"], "subjectKey": subject.get("key")}
        entitlement = {"type": "metered", **repeated, **data["entitlement"]}
        entitlement["currentUsagePeriod"] = entitlement.pop("period")
        return About(
            feature=_given(feature),
            entitlement=_given(entitlement),
            value=_payload_value(self._value),
            subject=_given(subject) or None,
            customer=_given(data.get("customer") or {}) or None,
        )


def _given(members: dict[str, Any]) -> dict[str, Any]:
    """Return *members* without its nulls: what is absent stays out of a payload."""
    return {name: member for name, member in members.items() if member is not None}


def _payload_value(value: NativeValue) -> dict[str, Any]:
    """Name the amounts as the reference product does; what is not known stays out, but for the required `hasAccess`."""
    known = {
        "balance": value.balance,
        "usage": value.usage,
        "overage": value.overage,
        "totalAvailableGrantAmount": value.allowance,
    }
    # Filled in where absent, as OpenMeter computes it for a hard limit: access while something is left.
    has_access = value.has_access if value.has_access is not None else (value.balance is None or value.balance > 0)
    return {name: amount for name, amount in known.items() if amount is not None} | {"hasAccess": has_access}
