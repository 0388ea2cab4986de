"""What goes out: the reference product's envelope, so that existing handlers keep working.

Structs rather than pydantic models: amounts are written as JSON numbers with all their digits.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas.sources import About
from schemas.thresholds import Threshold
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
    RECOVERED = "recovered"  # no longer reached within its period, or that has ended


_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}  # a record may say null; it is repeated as it came
_NUMBER: Final = {"type": "number"}
_PERIOD: Final = {"type": "object", "properties": {"from": _TEXT, "to": _TEXT}, "required": ["from"]}
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
        description="The entitlement and its current usage period: `from` inclusive, `to` exclusive, absent where it"
        " never ends.",
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


# The reference product's Invoice, of which JSON Schema names what is ours and what is always there.
InvoiceData = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="The invoice, with `action`, `rule` and `previousStatus` beside its fields. Money is text.",
        extra_json_schema={
            "properties": {
                "id": _TEXT,
                "status": {"type": "string", "description": "The short status."},
                "statusDetails": {
                    "type": "object",
                    "properties": {"extendedStatus": _TEXT},
                    "required": ["extendedStatus"],
                },
                "previousStatus": {
                    "type": ["string", "null"],
                    "description": "The extended status before; null: none seen.",
                },
                "action": {"enum": ["triggered"]},
                "rule": {
                    "type": "object",
                    "properties": {
                        "id": _TEXT,
                        "name": _TEXT,
                        "type": _TEXT,
                        "statuses": {"type": "array", "items": _TEXT},
                    },
                    "required": ["id", "name", "type"],
                },
            },
            "required": ["id", "status", "statusDetails", "previousStatus", "action", "rule"],
        },
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


class ResetRulePart(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rule as it was judged."""

    id: str
    name: str
    type: str
    features: list[FeatureRef] | None = None


class InvoiceRulePart(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rule as it was judged."""

    id: str
    name: str
    type: str
    statuses: list[str] | None = None


class CrossingPart(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Which time in its period, and which others it stands for; of a recovery alone, what it came by."""

    episode: int
    also_crossed: list[ThresholdPart]
    cause: Literal["level", "period_end"] | None = None


class ResetPart(msgspec.Struct, frozen=True):
    """How the new period came: at its time (`automatic`), or by a manual reset; `at`: when."""

    kind: Literal["manual", "automatic"]
    at: Time


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


class ResetData(msgspec.Struct, frozen=True, omit_defaults=True):
    """`data` of `entitlements.reset`. The clock's own knows no amounts: its value is `hasAccess` alone."""

    action: Literal["triggered"]
    rule: ResetRulePart
    reset: ResetPart
    feature: FeatureData
    entitlement: EntitlementData
    value: ValueData
    subject: PartyData | None = None
    customer: PartyData | None = None


class BalanceThresholdEvent(msgspec.Struct, frozen=True):
    """The body of a webhook. `id`: the event's, the same on every retry. `timestamp`: when it was crossed."""

    id: str
    type: Literal["entitlements.balance.threshold"]
    timestamp: Time
    data: BalanceThresholdData


class ResetEvent(msgspec.Struct, frozen=True):
    """The body of a webhook. `timestamp`: the start of the new usage period."""

    id: str
    type: Literal["entitlements.reset"]
    timestamp: Time
    data: ResetData


class InvoiceEvent(msgspec.Struct, frozen=True):
    """The body of a webhook. `timestamp`: the record's."""

    id: str
    type: Literal["invoice.created", "invoice.updated"]
    timestamp: Time
    data: InvoiceData


# Each type's, by the name of its JSON Schema, with its title.
PAYLOADS: Final[Mapping[str, tuple[type[msgspec.Struct], str]]] = {
    "entitlements.balance.threshold": (BalanceThresholdEvent, "Balance threshold (a webhook's body)"),
    "entitlements.reset": (ResetEvent, "Entitlement reset (a webhook's body)"),
    "invoice": (InvoiceEvent, "Invoice created or updated (a webhook's body)"),
}


def encode(value: object) -> bytes:
    """Return *value* as JSON, UTF-8, decimals as numbers with all their digits."""
    return _encoder.encode(value)


def threshold_part(threshold: Threshold) -> ThresholdPart:
    """Return the payload's form of *threshold*: aliases as written."""
    return ThresholdPart(threshold.type.value, threshold.value)


def feature_refs(features: Sequence[str] | None, about: About) -> list[FeatureRef] | None:
    """Return a rule's *features*; the one that *about* is of is completed with id and key."""
    if features is None:
        return None
    id_, key = about.feature.get("id"), about.feature["key"]
    known = FeatureRef(id_ or key, key)
    return [known if name in (id_, key) else FeatureRef(name, name) for name in features]
