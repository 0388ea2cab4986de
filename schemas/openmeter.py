"""OpenMeter's own records, parsed into the same source events as the native ones.

Facts of the wire: `io.openmeter.entitlement.v2.entitlement.snapshot` as its balance worker publishes it (Go's tags).
Amounts are binary floats: judged rounded (`amounts.judged_float`), passed on as they came. Of absent members: no
`hasAccess` means false (Go's omitempty), no `totalAvailableGrantAmount` means not known, and is not derived.
"""

import re
from decimal import Decimal
from typing import Any, Final

import msgspec

from schemas.amounts import Amount, judged_float
from schemas.reading import invalid, read, read_all, read_amounts
from schemas.sources import (
    About,
    Identifier,
    Party,
    Period,
    Snapshot,
    SourceEvent,
    Unmetered,
    check_consistent,
    read_optional_time,
    read_period,
    read_time,
)
from schemas.times import Time

SNAPSHOT_TYPE: Final = "io.openmeter.entitlement.v2.entitlement.snapshot"
_ENTITLEMENT: Final = (
    "id", "type", "featureId", "featureKey", "createdAt", "updatedAt", "deletedAt", "activeTo", "metadata",
    "isSoftLimit", "issueAfterReset", "issueAfterResetPriority", "preserveOverageAtReset", "lastReset",
    "measureUsageFrom", "currentUsagePeriod",
)  # fmt: skip
_CUSTOMER: Final = (
    "id", "key", "name", "description", "metadata", "annotations", "createdAt", "updatedAt", "deletedAt",
    "usageAttribution", "primaryEmail", "currency", "billingAddress",
)  # fmt: skip
_FEATURE: Final = (
    "id", "key", "name", "meterSlug", "meterGroupByFilters", "unitCost", "metadata", "createdAt", "updatedAt",
    "archivedAt",
)  # fmt: skip
_SUBJECT: Final = ("id", "key", "displayName", "metadata", "createdAt", "updatedAt", "deletedAt")
_VALUE: Final = ("balance", "usage", "overage", "totalAvailableGrantAmount")
# What the reference's enum calls an ISO 8601 interval; others are given as the interval itself.
_INTERVALS: Final = {"P1D": "DAY", "P1W": "WEEK", "P7D": "WEEK", "P1M": "MONTH", "P1Y": "YEAR"}
_INTERVAL: Final = re.compile(r"P[0-9A-Z.]+")


class OpenMeterEntitlement(msgspec.Struct, frozen=True, rename="camel"):
    """What is judged of the entitlement; only a metered one has a period."""

    id: Identifier
    feature_id: Identifier
    feature_key: Identifier
    type: str
    current_usage_period: Period | None = None
    created_at: Time | None = None
    active_from: Time | None = None
    active_to: Time | None = None
    deleted_at: Time | None = None


class Recurrence(msgspec.Struct, frozen=True):
    """What repeats: an ISO 8601 interval, counted from the anchor."""

    anchor: Time
    interval: str


class RecurrenceSince(msgspec.Struct, frozen=True):
    """The recurrence since some time."""

    value: Recurrence


class UsagePeriod(msgspec.Struct, frozen=True):
    """The entitlement's recurrences, the latest last. Read for the payload alone."""

    recurrences: list[RecurrenceSince]


class OpenMeterNamespace(msgspec.Struct, frozen=True):
    """The namespace, as an object."""

    id: Identifier


class Value(msgspec.Struct, frozen=True, rename="camel"):
    """The level: binary floats."""

    balance: Amount | None = None
    usage: Amount | None = None
    overage: Amount | None = None
    total_available_grant_amount: Amount | None = None
    has_access: bool | None = None


class SnapshotData(msgspec.Struct, frozen=True, rename="camel"):
    """`data` of the snapshot."""

    entitlement: OpenMeterEntitlement
    namespace: OpenMeterNamespace
    operation: str
    calculated_at: Time | None = None
    value: msgspec.Raw = msgspec.Raw(b"")
    feature: Party | None = None
    customer: Party | None = None
    subject: Party | None = None


_snapshot: Final = msgspec.json.Decoder(SnapshotData)
_value: Final = msgspec.json.Decoder(Value)


def read_snapshot(data: bytes) -> SourceEvent:
    """Return the source event of OpenMeter's snapshot *data*.

    Raises:
        Rejected: a field that is judged is missing, of another type, or breaks a rule of the contract.
    """
    record = read(_snapshot, data, at="data")
    entitlement = record.entitlement
    common = (record.namespace.id, entitlement.id, entitlement.feature_id, entitlement.feature_key)
    if entitlement.type != "metered":
        return Unmetered(*common)
    if record.calculated_at is None or entitlement.current_usage_period is None:
        absent = "data.calculatedAt" if record.calculated_at is None else "data.entitlement.currentUsagePeriod"
        raise invalid(absent, "is missing")
    period_from, period_to = read_period(entitlement.current_usage_period, "data.entitlement.currentUsagePeriod")
    is_given = _is_given(record.value)
    value = read_amounts(_value, record.value, at="data.value") if is_given else Value()
    judged = _judged(value)
    check_consistent(judged.balance, judged.overage)
    ends = [
        read_time(end, f"data.entitlement.{name}")
        for name, end in (("activeTo", entitlement.active_to), ("deletedAt", entitlement.deleted_at))
        if end is not None
    ]
    made = Snapshot(
        namespace=common[0],
        entitlement_id=common[1],
        feature_id=common[2],
        feature_key=common[3],
        calculated_at=read_time(record.calculated_at, "data.calculatedAt"),
        period_from=period_from,
        period_to=period_to,
        usage=judged.usage,
        allowance=judged.total_available_grant_amount,
        balance=judged.balance,
        active_from=read_optional_time(entitlement.active_from, "data.entitlement.activeFrom"),
        active_to=min(ends, default=None),
        reset_at=period_from if record.operation == "reset" else None,  # its period begins where it was reset
        is_deleted=record.operation == "delete",
        origin=_OpenMeterOrigin(data),
    )
    if record.operation == "update" and not is_given and _is_active(made):
        raise invalid("data.value", "is missing: an update of an active entitlement cannot be judged without it")
    return made


def _is_active(snapshot: Snapshot) -> bool:
    at, since, until = snapshot.calculated_at, snapshot.active_from, snapshot.active_to
    return (since is None or at >= since) and (until is None or at < until)


def _is_given(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in {b"", b"null"}


def _judged(value: Value) -> Value:
    def rounded(amount: Decimal | None) -> Decimal | None:
        return None if amount is None else judged_float(amount)

    return Value(
        balance=rounded(value.balance),
        usage=rounded(value.usage),
        overage=rounded(value.overage),
        total_available_grant_amount=rounded(value.total_available_grant_amount),
    )


class _OpenMeterOrigin:
    """The record's data; turned into the API's models on demand."""

    __slots__ = ("_about", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._about: About | None = None

    def about(self) -> About:
        if self._about is None:
            self._about = self._read()
        return self._about

    def _read(self) -> About:
        data = read_all(self._data)
        subject, customer = data.get("subject"), data.get("customer")
        feature = _known(data.get("feature") or {}, _FEATURE)
        return About(
            feature={
                "id": data["entitlement"]["featureId"],
                "key": data["entitlement"]["featureKey"],
                **feature,
            },
            entitlement=_entitlement(data["entitlement"], subject),
            value=_known(data.get("value") or {}, _VALUE)
            | {"hasAccess": bool((data.get("value") or {}).get("hasAccess", False))},
            subject=None if subject is None else _known(subject, _SUBJECT),
            customer=None if customer is None else _known(customer, _CUSTOMER),
        )


def _known(record: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: record[name] for name in names if record.get(name) is not None}


def _entitlement(record: dict[str, Any], subject: dict[str, Any] | None) -> dict[str, Any]:
    """Make the API's EntitlementMetered of the wire's entitlement."""
    made = _known(record, _ENTITLEMENT)
    made["activeFrom"] = record.get("activeFrom") or record.get("createdAt")
    made["isUnlimited"] = False  # as the reference product fills it in
    made["subjectKey"] = (subject or {}).get("key") or ""
    if recurrence := _recurrence(record):
        made["usagePeriod"] = recurrence
    return {name: value for name, value in made.items() if value is not None}


def _recurrence(record: dict[str, Any]) -> dict[str, Any] | None:
    """Make `{anchor, interval, intervalISO}` of the latest recurrence; None where the record has no such thing."""
    try:
        latest = msgspec.convert(record.get("usagePeriod"), UsagePeriod).recurrences[-1].value
    except (msgspec.ValidationError, IndexError):
        return None
    if not _INTERVAL.fullmatch(latest.interval):
        return None
    return {
        "anchor": latest.anchor,
        "interval": _INTERVALS.get(latest.interval, latest.interval),
        "intervalISO": latest.interval,
    }
