"""What codes of the API are called on pages, and how they look: a word and a tone each, never a colour alone."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, assert_never

from consumer.decide.model import Reason
from schemas.events import DeliveryState, ThresholdPart
from schemas.rules import RuleType


def _rule_type(kind: RuleType) -> str:
    match kind:
        case RuleType.BALANCE_THRESHOLD:
            return "Balance threshold"
        case RuleType.ENTITLEMENT_RESET:
            return "Entitlement reset"
        case RuleType.INVOICE_CREATED:
            return "Invoice created"
        case RuleType.INVOICE_UPDATED:
            return "Invoice updated"
        case _:
            assert_never(kind)


TYPES: Final[Mapping[str, str]] = {kind: _rule_type(kind) for kind in RuleType}
# Tone: good, bad, busy, idle.
STATES: Final[Mapping[str, tuple[str, str]]] = {
    DeliveryState.PENDING: ("pending", "idle"),
    DeliveryState.SENDING: ("sending", "busy"),
    DeliveryState.RESENDING: ("resending", "busy"),
    DeliveryState.SUCCESS: ("success", "good"),
    DeliveryState.FAILED: ("failed", "bad"),
    "WAITING": ("waiting", "idle"),
    "RUNNING": ("running", "busy"),
    "DONE": ("done", "good"),
    "STOPPED": ("stopped", "bad"),
}
JOBS: Final[Mapping[str, str]] = {"resend": "Resend", "resend_many": "Resend of many", "recover": "Recovery"}
REASONS: Final[Mapping[str, str]] = {
    Reason.FIRST_CROSSING: "Reached for the first time in this usage period: it fires.",
    Reason.REARMED: "Reached again after a recovery: it fires, as the next episode.",
    Reason.RECOVERED: "No longer reached: the recovery is notified.",
    Reason.ALREADY_FIRED: "Reached, but it has fired in this usage period already.",
    Reason.ALSO_CROSSED: "Reached, and named in the event of a more advanced threshold (emit: highest).",
    Reason.BELOW: "Not reached.",
    Reason.IGNORED_ON_CREATE: "Reached before the rule or threshold was there: silent in this period.",
    Reason.NO_ALLOWANCE: "A percentage needs an allowance above zero, and the record has none.",
    Reason.NO_BALANCE: "The record has no balance, and none can be derived.",
    Reason.LATE: "The record is older than one that was judged before it.",
    Reason.STALE_PERIOD: "The record is of an earlier usage period than the current one.",
    Reason.NOT_METERED: "The entitlement is not metered.",
    Reason.INACTIVE: "The entitlement is not active at that time.",
    Reason.DELETED: "The entitlement is deleted.",
    Reason.RESET_MANUAL: "A new usage period began before the old one's end: it fires as a manual reset.",
    Reason.RESET_AUTOMATIC: "A new usage period began at the old one's end: it fires as an automatic reset.",
    Reason.ALREADY_RESET: "This period's reset has been notified already.",
    Reason.SAME_PERIOD: "The usage period is the one that was known: nothing was reset.",
    Reason.INVOICE_CREATED: "The invoice is new: it fires.",
    Reason.STATE_CHANGED: "The invoice's status changed: it fires.",
    Reason.SAME_STATE: "The invoice's status is what it was.",
    Reason.STATUS_NOT_WANTED: "The rule does not name this status.",
    Reason.GATHERING: "Gathering invoices never notify.",
    Reason.DUPLICATE: "The event was made already.",
    Reason.RULE_GONE: "The rule was deleted or disabled meanwhile.",
}
FIRING: Final = frozenset(
    {
        Reason.FIRST_CROSSING,
        Reason.REARMED,
        Reason.RECOVERED,
        Reason.RESET_MANUAL,
        Reason.RESET_AUTOMATIC,
        Reason.INVOICE_CREATED,
        Reason.STATE_CHANGED,
    }
)
_UNITS: Final[Mapping[str, tuple[str, str]]] = {
    "usage_percentage": ("usage ≥ ", " %"),
    "PERCENT": ("usage ≥ ", " %"),
    "usage_value": ("usage ≥ ", ""),
    "NUMBER": ("usage ≥ ", ""),
    "balance_value": ("balance ≤ ", ""),
}
ENDS: Final[Mapping[str, str]] = {
    "channel_disabled": "the channel was disabled",
    "channel_deleted": "the channel was deleted",
    "expired": "not sent within the channel's expireAfter",
    "too_old": "not delivered within the longest time of a round",
}
OUTCOMES: Final[Mapping[str, str]] = {
    "status": "answered",
    "timeout": "timed out",
    "dns": "name not found",
    "address": "address refused",
    "connect": "no connection",
    "tls": "TLS failed",
    "reset": "connection ended",
    "protocol": "not HTTP",
    "request": "request not possible",
    "rendering": "format failed",
    "shortage": "no resources",
    "interrupted": "interrupted",
}


def threshold(part: ThresholdPart) -> str:
    """Return a threshold as people write it: `usage ≥ 80 %`."""
    return level(part.type, part.value)


def level(kind: str, value: Decimal | str) -> str:
    """Return the same of its parts."""
    before, after = _UNITS.get(kind, (f"{kind} ", ""))
    return f"{before}{value if isinstance(value, str) else format(value, 'f')}{after}".strip()
