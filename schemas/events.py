"""What goes out: the reference product's envelope, so that existing handlers keep working.

Structs rather than pydantic models: amounts are written as JSON numbers with all their digits.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas.rules import Rule, Threshold
from schemas.sources import About
from schemas.times import Time

_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class DeliveryState(StrEnum):
    """The state of one event for one channel."""

    PENDING = "PENDING"  # sending has not started
    SENDING = "SENDING"  # in flight, or between attempts
    RESENDING = "RESENDING"  # from a resend until the first attempt of its round
    SUCCESS = "SUCCESS"  # the receiver answered 2xx
    FAILED = "FAILED"  # given up: the last attempt, or `reason`, says why


class Action(StrEnum):
    """What happened to the threshold."""

    TRIGGERED = "triggered"  # reached
    RECOVERED = "recovered"  # no longer reached, within the same period


_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}  # a record may say null; it is repeated as it came
_NUMBER: Final = {"type": "number"}
_PERIOD: Final = {"type": "object", "properties": {"from": _TEXT, "to": _TEXT}, "required": ["from", "to"]}
# What the record has, in the reference product's form: open objects, of which JSON Schema names what is always there.
FeatureData = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="The feature: id, key and what else the record says.",
        extra_json_schema={"properties": {"id": _MAYBE_TEXT, "key": _TEXT}, "required": ["key"]},
    ),
]
EntitlementData = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="The entitlement and its current usage period (`from` inclusive, `to` exclusive).",
        extra_json_schema={
            "properties": {"id": _TEXT, "type": {"enum": ["metered"]}, "currentUsagePeriod": _PERIOD},
            "required": ["id", "type", "currentUsagePeriod"],
        },
    ),
]
ValueData = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="The level at that moment, exact. `totalAvailableGrantAmount` is the allowance.",
        extra_json_schema={
            "properties": {
                "usage": _NUMBER,
                "balance": _NUMBER,
                "overage": _NUMBER,
                "totalAvailableGrantAmount": _NUMBER,
                "hasAccess": {"type": "boolean"},
            },
            "required": ["hasAccess"],
        },
    ),
]
PartyData = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="As the record has it.",
        extra_json_schema={"properties": {"id": _MAYBE_TEXT, "key": _MAYBE_TEXT}},
    ),
]


class ThresholdPart(msgspec.Struct, frozen=True):
    """A threshold, as the rule writes it."""

    type: str
    value: Decimal


class FeatureRef(msgspec.Struct, frozen=True):
    """A feature of a rule: the one not known repeats what the rule says."""

    id: str
    key: str


class RulePart(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rule as it was judged."""

    id: str
    name: str
    type: str
    thresholds: list[ThresholdPart]
    features: list[FeatureRef] | None = None


class CrossingPart(msgspec.Struct, frozen=True, rename="camel"):
    """Which time in its period, and which others it stands for."""

    episode: int
    also_crossed: list[ThresholdPart]


class BalanceThresholdData(msgspec.Struct, frozen=True, omit_defaults=True):
    """`data` of `entitlements.balance.threshold`. Absent members are not known."""

    action: Literal["triggered", "recovered"]
    rule: RulePart
    threshold: ThresholdPart
    feature: FeatureData
    entitlement: EntitlementData
    value: ValueData
    crossing: CrossingPart
    subject: PartyData | None = None
    customer: PartyData | None = None


class BalanceThresholdEvent(msgspec.Struct, frozen=True):
    """The body of a webhook. `id`: the event's, the same on every retry. `timestamp`: when it was crossed."""

    id: str
    type: Literal["entitlements.balance.threshold"]
    timestamp: Time
    data: BalanceThresholdData


def encode(value: object) -> bytes:
    """Return *value* as JSON, UTF-8, decimals as numbers with all their digits."""
    return _encoder.encode(value)


def threshold_part(threshold: Threshold) -> ThresholdPart:
    """Return the payload's form of *threshold*: aliases as written."""
    return ThresholdPart(threshold.type.value, threshold.value)


def rule_part(rule: Rule, about: About) -> RulePart:
    """Return the payload's form of *rule*; the feature of *about* is completed with id and key."""
    features = rule.spec.features
    seen = {str(name) for name in (about.feature.get("id"), about.feature.get("key")) if name}
    refs = [
        FeatureRef(str(about.feature.get("id") or name), str(about.feature["key"]))
        if name in seen
        else FeatureRef(name, name)
        for name in features or ()
    ]
    return RulePart(
        id=rule.id,
        name=rule.name,
        type=rule.type.value,
        thresholds=[threshold_part(threshold) for threshold in rule.spec.thresholds],
        features=refs if features is not None else None,
    )
