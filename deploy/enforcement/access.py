"""What events say of access, and which of them is the newest. Pure: no clock, no I/O.

An `AccessState` is what is known of one entitlement and feature. Two of them join to what both say together (`joined`),
in any order and any number of times with the same result: so webhooks may come shuffled, twice, or days late.

| an event | says |
|---|---|
| of a later period | all before it is over |
| `triggered` of a threshold that cuts off | cut off, until its recovery or the end of its period |
| `recovered` | that threshold is no longer reached; the next episode's `triggered` is newer |
| `entitlements.reset`, or `recovered` by the end of a period | the period is over, or a new one begins: access |
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple

EXACT: Final = Context(prec=100)  # a threshold has 38 digits at most
ALIASES: Final = {"PERCENT": "usage_percentage", "NUMBER": "usage_value"}
NOT_AS_DOCUMENTED: Final = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)
NEVER: Final = datetime.max.replace(tzinfo=UTC)  # the end of a period that has none
BALANCE_TYPES: Final = frozenset({"entitlements.balance.threshold", "entitlements.reset"})


class Unreadable(Exception):
    """It is signed, and not as documented: answer 400."""


class Key(NamedTuple):
    """What is decided about."""

    entitlement: str
    feature: str


class Place(NamedTuple):
    """Whose access to what."""

    customer: str
    feature: str


class ThresholdMark(NamedTuple):
    """The newest that is known of a threshold in its period; a greater one is newer."""

    episode: int
    at: datetime
    is_recovery: bool
    until: datetime
    customer: str


@dataclass(frozen=True, slots=True)
class AccessState:
    """What is known of one entitlement and feature, in the newest period that is known of it.

    Attributes:
        marks: of thresholds that cut off, by rule, type and value.
    """

    period: datetime
    is_over: bool = False
    marks: Mapping[str, ThresholdMark] = field(default_factory=dict)

    def reached(self) -> Iterator[ThresholdMark]:
        """Return the thresholds because of which access is cut off."""
        if not self.is_over:
            yield from (mark for mark in self.marks.values() if not mark.is_recovery)


@dataclass(frozen=True, slots=True)
class Reported:
    """What one event says, and the customer and feature it is about."""

    key: Key
    customer: str
    standing: AccessState


@dataclass(frozen=True, slots=True)
class Policy:
    """Which thresholds cut off, and how customers are named.

    Attributes:
        percent: of the allowance used, from which on a percentage cuts off. An allowance used up to nothing left does.
        names: members of an event's data, the first that is there is what a backend calls the customer.
        features: keys; None: all.
    """

    percent: Decimal = Decimal(100)
    names: tuple[str, ...] = ("customer.key", "subject.key", "customer.id")
    features: frozenset[str] | None = None

    def cuts_off(self, threshold: Mapping[str, Any]) -> bool:
        """Whether access ends where *threshold* is reached."""
        value = Decimal(str(threshold["value"]))
        match _type(threshold):
            case "usage_percentage":
                return value >= self.percent
            case "balance_value":
                return value <= 0
            case _:
                return False

    def customer(self, data: Mapping[str, Any]) -> str:
        """Return what a backend calls the customer of *data*."""
        for name in self.names:
            party, _, member = name.partition(".")
            found = (data.get(party) or {}).get(member)
            if isinstance(found, str) and found:
                return found
        return str(data["entitlement"]["id"])


def joined(one: AccessState | None, other: AccessState) -> AccessState:
    """Return what *one* and *other* say together."""
    if one is None or one.period < other.period:
        return other
    if other.period < one.period:
        return one
    marks = dict(one.marks)
    for threshold, mark in other.marks.items():
        marks[threshold] = max(mark, marks.get(threshold, mark))
    return AccessState(one.period, one.is_over or other.is_over, marks)


def read(body: bytes, policy: Policy) -> Reported | None:
    """Return what a webhook's *body* says of access; None: nothing.

    Raises:
        Unreadable: it is not as documented.
    """
    try:
        event = json.loads(body, parse_float=Decimal)
        if event["type"] not in BALANCE_TYPES:
            return None
        data = event["data"]
        period, at = data["entitlement"]["currentUsagePeriod"], _time(event["timestamp"])
        if not _is_wanted(data["feature"], policy):
            return None
        standing = _reset(period, at) if event["type"] == "entitlements.reset" else _crossing(data, period, at, policy)
        return Reported(_key(data), policy.customer(data), standing)
    except NOT_AS_DOCUMENTED as exc:
        raise Unreadable(f"not an event as documented: {type(exc).__name__}") from None


def read_state(rule: str, item: Mapping[str, Any], policy: Policy) -> Reported | None:
    """Return what an *item* of `GET /rules/{rule}/state` says of access; None: nothing.

    Raises:
        Unreadable: it is not as documented.
    """
    try:
        data = {**item, "entitlement": {"id": item["entitlementId"]}}
        if not _is_wanted(item["feature"], policy):
            return None
        is_recovery = item.get("isReached") is False
        begun, end = _period(item["period"])
        mark = ThresholdMark(item["episode"], _time(item["at"]), is_recovery, end, policy.customer(data))
        marks = {_name(rule, item["threshold"]): mark} if policy.cuts_off(item["threshold"]) else {}
        return Reported(_key(data), mark.customer, AccessState(begun, marks=marks))
    except NOT_AS_DOCUMENTED as exc:
        raise Unreadable(f"not a state as documented: {type(exc).__name__}") from None


def still_has(rule: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Whether *rule*, as Tollbell shows it, is still about the threshold and the feature of an *item* of its state.

    Raises:
        Unreadable: one is not as documented.
    """
    try:
        thresholds = {_name("", one) for one in rule["thresholds"]}
        names = {one[by] for one in rule.get("features") or () for by in ("id", "key")} - {""}
        is_about = not names or not names.isdisjoint({item["feature"].get("id"), item["feature"]["key"]})
        return is_about and _name("", item["threshold"]) in thresholds
    except NOT_AS_DOCUMENTED as exc:
        raise Unreadable(f"not a rule or state as documented: {type(exc).__name__}") from None


def _is_wanted(feature: Mapping[str, Any], policy: Policy) -> bool:
    return policy.features is None or feature["key"] in policy.features


def _key(data: Mapping[str, Any]) -> Key:
    return Key(str(data["entitlement"]["id"]), str(data["feature"]["key"]))


def _reset(period: Mapping[str, Any], at: datetime) -> AccessState:
    """Of a new period its start. Where the clock has ended one, the event shows the one that ended, and when."""
    begun, _ = _period(period)
    return AccessState(begun, is_over=begun < at)


def _crossing(data: Mapping[str, Any], period: Mapping[str, Any], at: datetime, policy: Policy) -> AccessState:
    begun, end = _period(period)
    crossing = data.get("crossing") or {}
    is_recovery = data["action"] == "recovered"
    mark = ThresholdMark(int(crossing.get("episode", 1)), at, is_recovery, end, policy.customer(data))
    thresholds = [data["threshold"], *crossing.get("alsoCrossed", ())]
    marks = {_name(data["rule"]["id"], one): mark for one in thresholds if policy.cuts_off(one)}
    return AccessState(begun, is_recovery and crossing.get("cause") == "period_end", marks)


def _name(rule: str, threshold: Mapping[str, Any]) -> str:
    """Return the same text for a threshold however it is written: 100, 100.0 and 1e2 are one."""
    value = Decimal(str(threshold["value"])).normalize(EXACT)
    return f"{rule}/{_type(threshold)}/{value}"


def _type(threshold: Mapping[str, Any]) -> str:
    written = str(threshold["type"])
    return ALIASES.get(written, written)


def _period(period: Mapping[str, Any]) -> tuple[datetime, datetime]:
    end = period.get("to")
    return _time(period["from"]), NEVER if end is None else _time(end)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without its offset")
    return found.astimezone(UTC)
