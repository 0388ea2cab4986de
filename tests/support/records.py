"""Native records of resets and invoices, and source events of them, with what a test does not care about filled in."""

import datetime as dt
import json
from typing import Any

from schemas.sources import Invoice, PeriodEnd
from tests.support.factories import NOW, NoOrigin, native_record

INVOICE: dict[str, Any] = {
    "id": "inv-1",
    "number": "INV-ACME-1",
    "status": "draft.created",
    "currency": "EUR",
    "customer": {"id": "c-1", "key": "acme", "name": "ACME Inc."},
    "total": "120.50",
    "period": {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"},
    "details": {"lines": [{"sku": "a", "price": 1.50}]},
}


class NoInvoice:
    """An invoice made in a test: there is no record behind it."""

    def invoice(self) -> dict[str, Any]:
        return {"id": "inv-1", "status": "draft", "statusDetails": {"extendedStatus": "draft.created"}}


def make_invoice(
    state: str = "draft.created", *, minute: int = 0, is_created: bool = False, previous: str | None = None, **more: Any
) -> Invoice:
    """An invoice in *state*, *minute* minutes after NOW."""
    fields: dict[str, Any] = {
        "namespace": "default",
        "invoice_id": "inv-1",
        "is_created": is_created,
        "state": state,
        "previous": previous,
        "at": NOW + dt.timedelta(minutes=minute),
        "source": "billing",
        "event_id": f"e-{minute}",
        "origin": NoInvoice(),
    }
    return Invoice(**(fields | more))


def make_period_end(**more: Any) -> PeriodEnd:
    """The clock's: the period of `ent-1` has ended."""
    fields = {"namespace": "default", "entitlement_id": "ent-1", "feature_id": "f-1", "feature_key": "llm_tokens"}
    return PeriodEnd(**(fields | {"origin": NoOrigin()} | more))


def native_reset(**data: Any) -> bytes:
    """The bytes of a native reset; members of its data replaced by *data*, or taken away by `...`."""
    record = json.loads(native_record(0))
    made = record["data"] | {"resetAt": "2026-11-22T10:00:00Z"} | data
    record |= {"type": "tollbell.entitlement.reset", "data": _given(made)}
    return json.dumps(record).encode()


def native_invoice(kind: str = "created", *, data: dict[str, Any] | None = None, **invoice: Any) -> bytes:
    """The bytes of a native `tollbell.invoice.*`; members of the invoice and of *data* replaced, or away by `...`."""
    return native_envelope(kind, data={"invoice": _given(INVOICE | invoice)} | (data or {}))


def native_envelope(kind: str = "created", **changed: Any) -> bytes:
    """The same; members of the envelope replaced."""
    record = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "my-billing",
        "type": f"tollbell.invoice.{kind}",
        "time": "2026-11-22T10:15:30.123456Z",
        "data": {"invoice": INVOICE},
    }
    return json.dumps(_given(record | changed)).encode()


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in members.items() if member is not ...}
