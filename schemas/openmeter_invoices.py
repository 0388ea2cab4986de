"""OpenMeter's invoice records: `io.openmeter.billing.v2.invoice.created` and `…v3.invoice.updated`.

Judged are id, namespace and status; the customer's ids and key are checked, because events are found by them. The
payload is the API's Invoice, which the wire's is not: made here member by member, of what the record has. Money is text
already, and passed on as it came.
"""

from typing import Any, Final

import msgspec

from schemas.reading import Rejected, invalid, read, read_all
from schemas.sources import Identifier, Invoice, MaybeEmpty, read_time, short_status

CREATED_TYPE: Final = "io.openmeter.billing.v2.invoice.created"
UPDATED_TYPE: Final = "io.openmeter.billing.v3.invoice.updated"

_INVOICE: Final = (
    "id", "number", "description", "metadata", "currency", "totals", "period", "payment", "preceding", "createdAt",
    "updatedAt", "deletedAt", "issuedAt", "draftUntil", "quantitySnapshotedAt", "collectionAt", "sentToCustomerAt",
    "voidedAt", "externalIds",
)  # fmt: skip
_LINE: Final = (
    "id", "name", "description", "metadata", "managedBy", "currency", "period", "invoiceAt", "totals", "createdAt",
    "updatedAt", "deletedAt", "externalIds",
)  # fmt: skip
_USAGE: Final = (
    "price", "featureKey", "quantity", "meteredQuantity", "preLinePeriodQuantity", "meteredPreLinePeriodQuantity",
)  # fmt: skip
_ISSUE: Final = (
    "id", "severity", "message", "code", "component", "field", "metadata", "createdAt", "updatedAt", "deletedAt",
)  # fmt: skip
_APPS: Final = ("tax", "invoicing", "payment")


class _Customer(msgspec.Struct, frozen=True, rename="camel"):
    customer_id: MaybeEmpty | None = None
    id: MaybeEmpty | None = None
    key: MaybeEmpty | None = None


class _Shown(msgspec.Struct, frozen=True):
    id: Identifier
    namespace: Identifier
    status: Identifier
    customer: _Customer | None = None


class _Created(msgspec.Struct, frozen=True):
    invoice: _Shown


class _Old(msgspec.Struct, frozen=True):
    status: Identifier | None = None


class _OldData(msgspec.Struct, frozen=True):
    invoice: _Old | None = None


class _Updated(msgspec.Struct, frozen=True):
    new: _Created
    old: _OldData | None = None


_created: Final = msgspec.json.Decoder(_Created)
_updated: Final = msgspec.json.Decoder(_Updated)


def read_created(data: bytes, *, source: str, event_id: str, time: str) -> Invoice:
    """Return the source event of an invoice that OpenMeter created; *data* aside, the CloudEvent's attributes.

    Raises:
        Rejected: what is judged is missing or of another type.
    """
    shown = read(_created, data, at="data").invoice
    return Invoice(
        namespace=shown.namespace,
        invoice_id=shown.id,
        is_created=True,
        state=shown.status,
        at=read_time(time, "time"),
        source=source,
        event_id=event_id,
        origin=_origin(data, "invoice"),
    )


def read_updated(data: bytes, *, source: str, event_id: str, time: str) -> Invoice:
    """Return the source event of an invoice that OpenMeter updated: its new state, and the old one.

    Raises:
        Rejected: as `read_created` does.
    """
    record = read(_updated, data, at="data")
    shown = record.new.invoice
    return Invoice(
        namespace=shown.namespace,
        invoice_id=shown.id,
        is_created=False,
        state=shown.status,
        previous=record.old.invoice.status if record.old and record.old.invoice else None,
        at=read_time(time, "time"),
        source=source,
        event_id=event_id,
        origin=_origin(data, "new", "invoice"),
    )


class _Origin:
    """The record's data; turned into the API's model on demand."""

    __slots__ = ("_data", "_path")

    def __init__(self, data: bytes, path: tuple[str, ...]) -> None:
        self._data = data
        self._path = path

    def invoice(self) -> dict[str, Any]:
        wire: Any = read_all(self._data)
        for member in self._path:
            wire = wire[member]
        return _invoice(wire)


def _origin(data: bytes, *path: str) -> _Origin:
    """Return the origin; made of it once to see that it can be: a payload must never fail later.

    Raises:
        Rejected: a member that the payload needs is of another type than OpenMeter's.
    """
    origin = _Origin(data, path)
    try:
        origin.invoice()
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise _unlike(path, exc) from None
    return origin


def _unlike(path: tuple[str, ...], exc: Exception) -> Rejected:
    return invalid(f"data.{'.'.join(path)}", f"is not as OpenMeter writes an invoice ({type(exc).__name__})")


def _invoice(wire: dict[str, Any]) -> dict[str, Any]:
    details = wire.get("statusDetail") or {}
    made = _known(wire, _INVOICE) | {
        "type": wire.get("type") or "standard",
        "status": short_status(wire["status"]),
        "statusDetails": {
            "extendedStatus": wire["status"],
            "failed": details.get("failed", False),
            "immutable": details.get("immutable", False),
            "availableActions": _given(details.get("availableActions") or {}),
        },
        "customer": _customer(wire.get("customer") or {}),
        "supplier": _party(wire.get("supplier") or {}),
        "dueAt": wire.get("dueAt") or wire.get("dueDate"),
        "lines": None if wire.get("lines") is None else [_line(line) for line in wire["lines"]],
        "validationIssues": [_known(issue, _ISSUE) for issue in wire.get("validationIssues") or ()] or None,
        "workflow": _workflow(wire["workflow"]) if wire.get("workflow") else None,
    }
    return _given(made)


def _customer(wire: dict[str, Any]) -> dict[str, Any]:
    attribution = wire.get("usageAttribution") or {}
    party = {**wire, "id": wire.get("customerId") or wire.get("id")}
    return {**_party(party), "usageAttribution": {"subjectKeys": attribution.get("subjectKeys") or []}}


def _party(wire: dict[str, Any]) -> dict[str, Any]:
    address = wire.get("address") or wire.get("billingAddress")
    made = _known(wire, ("id", "key", "name", "taxId")) | {"addresses": [_given(address)] if address else None}
    return {name: member for name, member in _given(made).items() if member != ""}


def _line(wire: dict[str, Any]) -> dict[str, Any]:
    usage = wire.get("usageBased") or {}
    taken = _known(usage, _USAGE)
    card = {name: taken[name] for name in ("featureKey", "price") if name in taken}
    made = {**_known(wire, _LINE), **taken, "type": "usage_based", "status": wire.get("status") or "valid"}
    return {**made, "rateCard": card} if "price" in card else made


def _workflow(wire: dict[str, Any]) -> dict[str, Any]:
    """Make the API's workflow: `config` is its `workflow`, apps are references, alignment is an object."""
    config = {name: dict(part) for name, part in (wire.get("config") or {}).items() if isinstance(part, dict)}
    if collection := config.get("collection"):
        alignment = collection.pop("alignment", None)
        interval = collection.pop("period", None) or collection.pop("interval", None)
        collection |= _given(
            {"alignment": {"type": alignment} if isinstance(alignment, str) else alignment, "interval": interval}
        )
    references = wire.get("appReferences") or {}
    has_apps = all((references.get(name) or {}).get("id") for name in _APPS)
    return _given(
        {
            "apps": {name: {"id": references[name]["id"]} for name in _APPS} if has_apps else None,
            "sourceBillingProfileId": wire.get("sourceBillingProfileId"),
            "workflow": config,
        }
    )


def _known(record: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: record[name] for name in names if record.get(name) is not None}


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in members.items() if member is not None}
