"""The record that an event's frozen data shows, to be explained once more: its amounts with their own digits. Pure.

A native record, whatever the event was made of: what the payload has not, such as a record's id, is the event's.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from consumer.serve.console.summaries import object_of
from schemas import events, native, native_invoices
from schemas.rules import RuleType

_LEVEL: Final = {"usage": "usage", "totalAvailableGrantAmount": "allowance", "balance": "balance", "overage": "overage"}
SOURCE: Final = "tollbell-console"


def record_of(event_id: str, kind: str, payload: bytes, namespace: str) -> str | None:
    """Return the record as JSON by lines; None of an event that shows no amounts, as the clock makes them."""
    event = json.loads(payload, parse_float=Decimal)
    data = object_of(event, "data")
    if kind in {RuleType.INVOICE_CREATED, RuleType.INVOICE_UPDATED}:
        type_, made = _invoice(kind, data)
    else:
        found = _entitlement(kind, str(event.get("timestamp")), data)
        if found is None:
            return None
        type_, made = found
    record = {"specversion": "1.0", "id": event_id, "source": SOURCE, "type": type_, "time": event.get("timestamp")}
    return events.encode(record | {"data": {"namespace": namespace} | made}).decode()


def _entitlement(kind: str, at: str, data: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    value, entitlement = object_of(data, "value"), dict(object_of(data, "entitlement"))
    if "usage" not in value:
        return None
    period = entitlement.pop("currentUsagePeriod", {})
    made = {name: data[name] for name in ("customer", "subject", "feature") if isinstance(data.get(name), dict)}
    made |= {
        "calculatedAt": at,
        "entitlement": entitlement | {"period": period},
        "value": {ours: value[theirs] for theirs, ours in _LEVEL.items() if theirs in value}
        | ({"hasAccess": value["hasAccess"]} if "hasAccess" in value else {}),
    }
    if kind == RuleType.ENTITLEMENT_RESET:
        return native.RESET_TYPE, made | {"resetAt": object_of(data, "reset").get("at", at)}
    return native.SNAPSHOT_TYPE, made


def _invoice(kind: str, data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    status = object_of(data, "statusDetails").get("extendedStatus") or data.get("status")
    invoice = {"id": data.get("id"), "status": status}
    invoice |= {name: data[name] for name in ("number", "currency", "customer", "period") if name in data}
    if total := object_of(data, "totals").get("total"):
        invoice["total"] = total
    if kind == RuleType.INVOICE_CREATED:
        return native_invoices.CREATED_TYPE, {"invoice": invoice}
    previous = data.get("previousStatus")
    return native_invoices.UPDATED_TYPE, {"invoice": invoice} | ({"previousStatus": previous} if previous else {})
