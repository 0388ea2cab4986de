"""Tollbell's native records of entitlements: usage snapshots and resets."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

from schemas.amounts import EXACT, Amount
from schemas.reading import invalid, read, read_all, read_amounts
from schemas.sources import (
    MAX_IDENTIFIER,
    About,
    Identifier,
    MaybeEmpty,
    OpenPeriod,
    Party,
    Snapshot,
    SourceEvent,
    Unmetered,
    check_consistent,
    read_optional_time,
    read_period,
    read_time,
)
from schemas.times import Time

SNAPSHOT_TYPE: Final = "tollbell.usage.snapshot"
RESET_TYPE: Final = "tollbell.entitlement.reset"
ZERO: Final = Decimal(0)
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]
Subject = Annotated[MaybeEmpty, msgspec.Meta(description="The subject's key, where `data.subject` is absent.")]


class Feature(msgspec.Struct, frozen=True):
    """The feature, by which rules find the record. Further fields reach the payload as they are."""

    key: Identifier
    id: Identifier | None = None


class NativeEntitlement(msgspec.Struct, frozen=True, rename="camel"):
    """The entitlement; only metered ones are judged, while they are active. Further fields reach the payload."""

    id: Identifier
    period: OpenPeriod
    type: Literal["metered", "static", "boolean"] = "metered"
    active_from: Time | None = None
    active_to: Time | None = None


class NativeValue(msgspec.Struct, frozen=True, rename="camel"):
    """The level. What is absent is derived where that leaves one answer, and never refused for it."""

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


class NativeReset(NativeSnapshot[ValueT], Generic[ValueT], frozen=True, kw_only=True, rename="camel"):
    """`data` of a `tollbell.entitlement.reset`: period and value as they are after the reset."""

    reset_at: Time


class NativeSnapshotEvent(msgspec.Struct, frozen=True):
    """A `tollbell.usage.snapshot`: a CloudEvent 1.0 in structured mode."""

    specversion: Literal["1.0"]
    id: NonEmpty
    source: NonEmpty
    type: Literal["tollbell.usage.snapshot"]
    data: NativeSnapshot[NativeValue]
    subject: Subject | None = None
    time: Time | None = None


class NativeResetEvent(msgspec.Struct, frozen=True):
    """A `tollbell.entitlement.reset`: a CloudEvent 1.0 in structured mode."""

    specversion: Literal["1.0"]
    id: NonEmpty
    source: NonEmpty
    type: Literal["tollbell.entitlement.reset"]
    data: NativeReset[NativeValue]
    subject: Subject | None = None
    time: Time | None = None


_snapshot: Final = msgspec.json.Decoder(NativeSnapshot[msgspec.Raw])
_reset: Final = msgspec.json.Decoder(NativeReset[msgspec.Raw])
_value: Final = msgspec.json.Decoder(NativeValue)


def read_native_snapshot(data: bytes, *, subject: str | None) -> SourceEvent:
    """Return the source event of a native snapshot's *data*; *subject* is the CloudEvent's.

    Raises:
        Rejected: a field is missing, of another type, or breaks a rule of the contract; names the field.
    """
    return _read(read(_snapshot, data, at="data"), data, subject, reset_at=None)


def read_native_reset(data: bytes, *, subject: str | None) -> SourceEvent:
    """Return the source event of a native reset's *data*; *subject* is the CloudEvent's.

    Raises:
        Rejected: as `read_native_snapshot` does.
    """
    record = read(_reset, data, at="data")
    return _read(record, data, subject, reset_at=read_time(record.reset_at, "data.resetAt"))


def _read(
    record: NativeSnapshot[msgspec.Raw], data: bytes, subject: str | None, *, reset_at: dt.datetime | None
) -> SourceEvent:
    entitlement = record.entitlement
    if subject is not None and len(subject) > MAX_IDENTIFIER:  # it may be a key; its characters were checked before
        raise invalid("subject", f"has more than {MAX_IDENTIFIER} characters")
    period_from, period_to = read_period(entitlement.period, "data.entitlement.period")
    if entitlement.type != "metered":
        return Unmetered(record.namespace, entitlement.id, record.feature.id or "", record.feature.key)
    given = read_amounts(_value, record.value, at="data.value")
    check_consistent(given.balance, given.overage)
    value = derived(given)
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
        reset_at=reset_at,
        origin=_NativeOrigin(data, subject=subject, value=value),
    )


def derived(value: NativeValue) -> NativeValue:
    """Return *value* with what is absent derived from what is given; None where that leaves more than one answer.

    What is given is neither changed nor doubted: a top-up and a rounded balance do not add up, and no overage is made
    of the difference. So by derivation balance and overage are never both above 0, nor is an overage below.
    """
    usage, allowance, balance, overage = value.usage, value.allowance, value.balance, value.overage
    if allowance is not None:
        rest = EXACT.subtract(allowance, usage)
        if value.balance is None:
            balance = ZERO if overage is not None and overage > 0 else max(rest, ZERO)
        if value.overage is None:
            overage = ZERO if value.balance is not None and value.balance > 0 else max(EXACT.minus(rest), ZERO)
    elif balance is not None:
        if overage is None and balance != 0:
            allowance, overage = EXACT.add(usage, balance), max(EXACT.minus(balance), ZERO)
        elif overage is not None:
            allowance = EXACT.subtract(EXACT.add(usage, balance), overage)
    elif overage is not None and overage > 0:
        balance, allowance = ZERO, EXACT.subtract(usage, overage)
    return msgspec.structs.replace(value, allowance=allowance, balance=balance, overage=overage)


class _NativeOrigin:
    """A native record's data and its derived value; the payload's parts are made on demand."""

    __slots__ = ("_about", "_data", "_subject", "_value")

    def __init__(self, data: bytes, *, subject: str | None, value: NativeValue) -> None:
        self._data = data
        self._subject = subject
        self._value = value
        self._about: About | None = None

    def about(self) -> About:
        if self._about is None:
            self._about = self._read()
        return self._about

    def _read(self) -> About:
        data = read_all(self._data)
        feature = data["feature"]
        subject = data.get("subject") or ({"key": self._subject} if self._subject else {})
        repeated = {"featureId": feature.get("id"), "featureKey": feature["key"], "subjectKey": subject.get("key")}
        entitlement = {"type": "metered", **repeated, **data["entitlement"]}
        entitlement["currentUsagePeriod"] = _given(entitlement.pop("period"))
        return About(
            feature=_given(feature),
            entitlement=_given(entitlement),
            value=_payload_value(self._value),
            subject=_given(subject) or None,
            customer=_given(data.get("customer") or {}) or None,
        )


def _given(members: dict[str, Any]) -> dict[str, Any]:
    """Return *members* without its nulls: what is absent stays out of a payload."""
    if None not in members.values():
        return members
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
