"""Tollbell's native records of invoices."""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas.amounts import Amount
from schemas.reading import read, read_all, read_amounts
from schemas.sources import Identifier, Invoice, Loose, Party, Period, read_period, read_time, short_status
from schemas.times import Time

CREATED_TYPE: Final = "tollbell.invoice.created"
UPDATED_TYPE: Final = "tollbell.invoice.updated"
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class NativeInvoice(msgspec.Struct, frozen=True):
    """The invoice as it is now. `status` is the extended one where there are two, such as `draft.created`."""

    id: Identifier
    status: Identifier
    number: Loose | None = None
    currency: Loose | None = None
    customer: Party | None = None
    total: Amount | None = None
    period: Period | None = None
    details: dict[str, Any] | None = None  # free: reaches the payload as it is


class NativeCreated(msgspec.Struct, frozen=True):
    """`data` of a `tollbell.invoice.created`."""

    invoice: NativeInvoice
    namespace: Identifier = "default"


class NativeUpdated(msgspec.Struct, frozen=True, rename="camel"):
    """`data` of a `tollbell.invoice.updated`."""

    invoice: NativeInvoice
    previous_status: Identifier | None = None
    namespace: Identifier = "default"


class NativeCreatedEvent(msgspec.Struct, frozen=True):
    """A `tollbell.invoice.created`: a CloudEvent 1.0 in structured mode."""

    specversion: Literal["1.0"]
    id: NonEmpty
    source: NonEmpty
    type: Literal["tollbell.invoice.created"]
    time: Time
    data: NativeCreated
    subject: Loose | None = None


class NativeUpdatedEvent(msgspec.Struct, frozen=True):
    """A `tollbell.invoice.updated`: a CloudEvent 1.0 in structured mode."""

    specversion: Literal["1.0"]
    id: NonEmpty
    source: NonEmpty
    type: Literal["tollbell.invoice.updated"]
    time: Time
    data: NativeUpdated
    subject: Loose | None = None


class _Amounts(msgspec.Struct, frozen=True):
    total: Amount | None = None


class _Whole(msgspec.Struct, frozen=True):
    invoice: msgspec.Raw


_created: Final = msgspec.json.Decoder(NativeCreated)
_updated: Final = msgspec.json.Decoder(NativeUpdated)
_whole: Final = msgspec.json.Decoder(_Whole)
_amounts: Final = msgspec.json.Decoder(_Amounts)


def read_native_created(data: bytes, *, source: str, event_id: str, time: str) -> Invoice:
    """Return the source event of a `tollbell.invoice.created`'s *data*; the rest is the CloudEvent's.

    Raises:
        Rejected: a field is missing, of another type, or breaks a rule of the contract; names the field.
    """
    record = read(_created, data, at="data")
    return _read(record, data, source=source, event_id=event_id, time=time, previous=None, is_created=True)


def read_native_updated(data: bytes, *, source: str, event_id: str, time: str) -> Invoice:
    """Return the source event of a `tollbell.invoice.updated`'s *data*; the rest is the CloudEvent's.

    Raises:
        Rejected: as `read_native_created` does.
    """
    record = read(_updated, data, at="data")
    previous = record.previous_status
    return _read(record, data, source=source, event_id=event_id, time=time, previous=previous, is_created=False)


def _read(
    record: NativeCreated | NativeUpdated,
    data: bytes,
    *,
    source: str,
    event_id: str,
    time: str,
    previous: str | None,
    is_created: bool,
) -> Invoice:
    invoice = record.invoice
    if invoice.period is not None:
        read_period(invoice.period, "data.invoice.period")
    amounts = read_amounts(_amounts, read(_whole, data).invoice, at="data.invoice")
    return Invoice(
        namespace=record.namespace,
        invoice_id=invoice.id,
        is_created=is_created,
        state=invoice.status,
        previous=previous,
        at=read_time(time, "time"),
        source=source,
        event_id=event_id,
        origin=_NativeOrigin(data, amounts.total),
    )


class _NativeOrigin:
    """A native record's data; the payload's invoice is made on demand."""

    __slots__ = ("_data", "_total")

    def __init__(self, data: bytes, total: Decimal | None) -> None:
        self._data = data
        self._total = total

    def invoice(self) -> dict[str, Any]:
        given = read_all(self._data)["invoice"]
        made = {
            "id": given["id"],
            "number": given.get("number"),
            "currency": given.get("currency"),
            "status": short_status(given["status"]),
            "statusDetails": {"extendedStatus": given["status"]},
            "customer": given.get("customer"),
            # Money is text in the reference product: a decimal without exponent.
            "totals": None if self._total is None else {"total": _text(self._total)},
            "period": given.get("period"),
            "details": given.get("details"),
        }
        return {name: member for name, member in made.items() if member is not None}


def _text(total: Decimal) -> str:
    return "0" if total.is_zero() and total.is_signed() else f"{total:f}"  # -0.00 is nothing, not less
