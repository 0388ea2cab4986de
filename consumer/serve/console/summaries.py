"""What an event says, in a line, read from its payload as it is stored: amounts are its own digits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from consumer.serve.console import words
from schemas.rules import RuleType


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What happened, and the customer, subject and feature.

    Attributes:
        what: `usage ≥ 80 %`, `issued → paid`.
        is_recovery: a threshold is no longer reached.
        level: `8100 of 10000 used`.
        customer, subject, feature: as people call them; empty where the event does not say.
        customer_key: by which events are filtered.
    """

    what: str
    is_recovery: bool = False
    level: str = ""
    customer: str = ""
    customer_key: str = ""
    subject: str = ""
    feature: str = ""


def summary(kind: str, payload: bytes) -> Summary:
    """Return what an event of the type *kind* says."""
    data = object_of(json.loads(payload, parse_float=str, parse_int=str), "data")
    customer = object_of(data, "customer")
    found = _happened(kind, data)
    return replace(
        found,
        customer=text_of(customer, "name", "key", "id"),
        customer_key=text_of(customer, "id", "key"),
        subject=text_of(object_of(data, "subject"), "key", "id"),
        feature=text_of(object_of(data, "feature"), "key", "id"),
    )


def _happened(kind: str, data: Mapping[str, Any]) -> Summary:
    match kind:
        case RuleType.BALANCE_THRESHOLD:
            threshold = object_of(data, "threshold")
            return Summary(
                what=words.level(text_of(threshold, "type"), text_of(threshold, "value")),
                is_recovery=data.get("action") == "recovered",
                level=_level(object_of(data, "value")),
            )
        case RuleType.ENTITLEMENT_RESET:
            return Summary(what=f"{text_of(object_of(data, 'reset'), 'kind')} reset".strip())
        case _:
            after = text_of(object_of(data, "statusDetails"), "extendedStatus") or text_of(data, "status")
            before = text_of(data, "previousStatus")
            number = text_of(data, "number", "id")
            return Summary(what=f"{before} → {after}" if before else after, level=f"invoice {number}")


def _level(value: Mapping[str, Any]) -> str:
    usage, allowance = text_of(value, "usage"), text_of(value, "totalAvailableGrantAmount")
    if usage and allowance:
        return f"{usage} of {allowance} used"
    balance = text_of(value, "balance")
    return f"{usage} used" if usage else f"balance {balance}" if balance else ""


def object_of(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the member *name* where it is an object; an empty one where it is not."""
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def text_of(of: Mapping[str, Any], *names: str) -> str:
    """Return the first of these members that is a text, and not empty."""
    return next((value for name in names if isinstance(value := of.get(name), str) and value), "")
