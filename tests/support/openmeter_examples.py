"""OpenMeter's records, member by member as its Go code writes them: each kind that Tollbell reads, whole.

From the reading of OpenMeter's source (its JSON tags); what is elided there, ids mostly, is made up here.
"""

import copy
import json
from typing import Any

from tests.support.factories import OPENMETER_ENTITLEMENT, openmeter_record

TOTALS = {
    "amount": "120",
    "chargesTotal": "0",
    "discountsTotal": "0",
    "taxesInclusiveTotal": "0",
    "taxesExclusiveTotal": "0",
    "taxesTotal": "0",
    "creditsTotal": "0",
    "total": "120",
}
PERIOD = {"from": "2026-08-01T00:00:00Z", "to": "2026-09-01T00:00:00Z"}
LINE: dict[str, Any] = {
    "namespace": "default",
    "id": "01K2ZA5V7X9Z1B3D5F7H9K1M3N",
    "createdAt": "2026-09-01T01:00:00Z",
    "updatedAt": "2026-09-01T01:00:04Z",
    "name": "API requests",
    "managedBy": "subscription",
    "engine": "standard",
    "invoiceID": "01K2Z9S0T1V2W3X4Y5Z6A7B8C9",
    "currency": "USD",
    "period": PERIOD,
    "invoiceAt": "2026-09-01T00:00:00Z",
    "usageBased": {"price": {"type": "unit", "amount": "0.01"}, "featureKey": "api_requests", "quantity": "12000"},
    "totals": TOTALS,
}
INVOICE: dict[str, Any] = {
    "namespace": "default",
    "id": "01K2Z9S0T1V2W3X4Y5Z6A7B8C9",
    "number": "INV-ACME-1",
    "type": "standard",
    "metadata": None,
    "currency": "USD",
    "status": "draft.waiting_auto_approval",
    "statusDetail": {
        "immutable": False,
        "failed": False,
        "availableActions": {"delete": {"resultingState": "deleted"}, "approve": {"resultingState": "paid"}},
    },
    "period": PERIOD,
    "dueDate": "2026-10-01T00:00:00Z",
    "createdAt": "2026-09-01T01:00:00Z",
    "updatedAt": "2026-09-01T01:00:04Z",
    "draftUntil": "2026-09-02T01:00:00Z",
    "collectionAt": "2026-09-01T02:00:00Z",
    "customer": {
        "key": "acme",
        "customerId": "01J5WZ3M2A7Q9R4T6V8X0Y1Z2B",
        "name": "ACME Inc.",
        "usageAttribution": {"id": "01J5WZ3M2A7Q9R4T6V8X0Y1Z2B", "key": "acme", "subjectKeys": ["acme-prod"]},
    },
    "supplier": {"id": "", "name": "My Company", "address": {"country": "US"}},
    "workflow": {
        "appReferences": {
            "tax": {"namespace": "default", "id": "01J5WTAX0A7Q9R4T6V8X0Y1Z2B"},
            "invoicing": {"namespace": "default", "id": "01J5WNV00A7Q9R4T6V8X0Y1Z2B"},
            "payment": {"namespace": "default", "id": "01J5WPAY0A7Q9R4T6V8X0Y1Z2B"},
        },
        "sourceBillingProfileId": "01J5WPRF0A7Q9R4T6V8X0Y1Z2B",
        "config": {
            "collection": {"alignment": "subscription", "period": "PT1H"},
            "invoicing": {},
            "payment": {},
            "tax": {"enabled": True, "enforced": False},
        },
    },
    "externalIds": {},
    "schemaLevel": 2,
    "lines": [LINE],
    "validationIssues": [],
    "totals": TOTALS,
}
APPS = {
    "tax": {
        "namespace": "default",
        "id": "01J5WTAX0A7Q9R4T6V8X0Y1Z2B",
        "name": "Sandbox",
        "type": "sandbox",
        "status": "ready",
        "listing": {},
        "appData": {},
    },
    "payment": {},
    "invoicing": {},
}


def snapshot(operation: object = "update", **data: Any) -> bytes:
    """A snapshot of *operation*, as the balance worker writes it; members of data replaced by *data*, `...` absent."""
    if operation == "reset":
        period = {"from": "2026-08-18T16:05:00Z", "to": "2026-09-01T00:00:00Z"}
        entitlement = OPENMETER_ENTITLEMENT | {"currentUsagePeriod": period, "lastReset": period["from"]}
        value = {"balance": 10_000, "hasAccess": True, "overage": 0, "totalAvailableGrantAmount": 10_000, "usage": 0}
        shown = {"entitlement": entitlement, "calculatedAt": period["from"], "value": value}
        data = shown | {"currentUsagePeriod": period} | data
    elif operation == "delete":
        data = {"entitlement": OPENMETER_ENTITLEMENT | {"deletedAt": "2026-08-18T16:01:50Z"}, "value": ...} | data
    record = json.loads(openmeter_record())
    record["data"] |= {"operation": operation} | data
    record["data"] = {name: member for name, member in record["data"].items() if member is not ...}
    return json.dumps(record).encode()


def invoice(**changed: Any) -> dict[str, Any]:
    """An invoice on the wire, members replaced by *changed*."""
    return copy.deepcopy(INVOICE) | changed


def created(wire: dict[str, Any] | None = None, **envelope: Any) -> bytes:
    """An `invoice.created` of *wire*."""
    return _invoice("io.openmeter.billing.v2.invoice.created", _of(wire or invoice()), envelope)


def updated(wire: dict[str, Any] | None = None, *, old: object = ..., **envelope: Any) -> bytes:
    """An `invoice.updated`: *wire* is the new invoice; *old* the old `{invoice, apps}`, else one just created."""
    data = {"old": _of(invoice(status="draft.created")) if old is ... else old, "new": _of(wire or invoice())}
    return _invoice("io.openmeter.billing.v3.invoice.updated", data, envelope)


def _of(wire: dict[str, Any]) -> dict[str, Any]:
    return {"invoice": wire, "apps": APPS}


def _invoice(kind: str, data: object, envelope: dict[str, Any]) -> bytes:
    record = {
        "specversion": "1.0",
        "id": "01K2Z9T0T1V2W3X4Y5Z6A7B8C9",
        "source": "//openmeter.io/namespace/default/invoice/01K2Z9S0T1V2W3X4Y5Z6A7B8C9",
        "type": kind,
        "subject": "//openmeter.io/namespace/default/customer/01J5WZ3M2A7Q9R4T6V8X0Y1Z2B",
        "datacontenttype": "application/json",
        "time": "2026-09-01T01:00:05Z",
        "data": data,
    }
    return json.dumps({name: part for name, part in (record | envelope).items() if part is not ...}).encode()
