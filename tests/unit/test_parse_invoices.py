"""Invoices' records, native ones and OpenMeter's: read in both modes, or rejected with words."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from schemas.parse import Ignored, Parsed, Reject, parse
from schemas.sources import Invoice
from tests.support import openmeter_examples as openmeter
from tests.support.records import INVOICE, native_envelope, native_invoice

LATEST = dt.datetime(2026, 11, 22, 10, 20, 30, tzinfo=dt.UTC)
AT = dt.datetime(2026, 11, 22, 10, 15, 30, 123456, tzinfo=dt.UTC)


def parsed(record: bytes, *headers: tuple[str, bytes]) -> Parsed:
    return parse(record, headers, latest=LATEST)


def invoice(record: bytes, *headers: tuple[str, bytes]) -> Invoice:
    found = parsed(record, *headers)
    assert isinstance(found, Invoice), found
    return found


def binary(record: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """A structured record as value and headers in binary mode."""
    envelope = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    names = ("specversion", "id", "source", "type", "time")
    return bytes(envelope.get("data", b"")), [
        (f"ce_{name}", str(msgspec.json.decode(envelope[name])).encode()) for name in names if name in envelope
    ]


@pytest.mark.parametrize(
    ("record", "is_created", "previous"),
    [
        (native_invoice("created"), True, None),
        (native_invoice("updated"), False, None),
        (native_invoice("updated", data={"previousStatus": "gathering"}), False, "gathering"),
        (native_invoice("updated", data={"previousStatus": None}), False, None),
        # a created one has no previous state, whatever it says
        (native_invoice("created", data={"previousStatus": "gathering"}), True, None),
    ],
)
@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_a_native_invoice_is_understood(mode: str, record: bytes, is_created: bool, previous: str | None) -> None:
    value, headers = (record, []) if mode == "structured" else binary(record)

    found = invoice(value, *headers)

    assert (found.namespace, found.invoice_id, found.state) == ("default", "inv-1", "draft.created")
    assert (found.is_created, found.previous) == (is_created, previous)
    assert (found.at, found.source, found.event_id) == (AT, "my-billing", "e-1")


def test_no_more_than_what_is_required_is_required() -> None:
    record = native_envelope(data={"namespace": "acme-eu", "invoice": {"id": "inv-9", "status": "paid"}})

    found = invoice(record)

    assert (found.namespace, found.invoice_id, found.state) == ("acme-eu", "inv-9", "paid")
    assert found.origin.invoice() == {"id": "inv-9", "status": "paid", "statusDetails": {"extendedStatus": "paid"}}


# A value that must never be seen in an error.
CANARY = "hush-hush"


@pytest.mark.parametrize(
    ("record", "reason", "says"),
    [
        # by its time the records of an invoice are put in order
        (native_envelope(time=...), "invalid", "time: is missing"),
        (native_envelope(time=None), "invalid", "time: is missing"),
        (native_envelope(time=""), "invalid", "time: is missing"),
        (native_envelope(time=CANARY), "invalid", "time: is not an RFC 3339 time"),
        (native_envelope(time=5), "not_cloudevent", "time: expected str | null, got int"),
        (native_envelope(time="2026-11-22T10:20:30.000001Z"), "in_future", "time is ahead of the database's clock"),
        (native_envelope(time="0001-01-01T00:00:00Z"), "invalid", "time: time is in the year 1"),
        (native_envelope("updated", time=...), "invalid", "time: is missing"),
        # no data, no invoice
        (native_envelope(data=...), "invalid", "data: is missing"),
        (native_envelope(data=[]), "invalid", "data: expected object, got array"),
        (native_envelope(data={}), "invalid", "data: object missing required field invoice"),
        (native_envelope("updated", data={}), "invalid", "data: object missing required field invoice"),
        (native_envelope(data={"invoice": None}), "invalid", "data.invoice: expected object, got null"),
        # its id and status
        (native_invoice(id=...), "invalid", "data.invoice: object missing required field id"),
        (native_invoice(id=5), "invalid", "data.invoice.id: expected str, got int"),
        (native_invoice(id=""), "invalid", "data.invoice.id: expected str of length >= 1"),
        (native_invoice(id="i" * 257), "invalid", "data.invoice.id: expected str of length <= 256"),
        (native_invoice(id="a\x7fb"), "invalid", "data.invoice.id: has a control character"),
        (native_invoice(status=...), "invalid", "data.invoice: object missing required field status"),
        (native_invoice(status=None), "invalid", "data.invoice.status: expected str, got null"),
        (native_invoice(status=""), "invalid", "data.invoice.status: expected str of length >= 1"),
        (native_invoice(status="s" * 257), "invalid", "data.invoice.status: expected str of length <= 256"),
        (native_invoice(status="paid\n"), "invalid", "data.invoice.status: has a control character"),
        # what it may have
        (native_invoice(number=7), "invalid", "data.invoice.number: expected str | null, got int"),
        (native_invoice(number="a\x00"), "invalid", "data.invoice.number: has a control character"),
        (native_invoice(currency=978), "invalid", "data.invoice.currency: expected str | null, got int"),
        (native_invoice(customer="acme"), "invalid", "data.invoice.customer: expected object | null, got str"),
        (native_invoice(customer={"key": "a" * 257}), "invalid", "data.invoice.customer.key: expected str of"),
        (native_invoice(customer={"id": "a\n"}), "invalid", "data.invoice.customer.id: has a control character"),
        (native_invoice(details=[CANARY]), "invalid", "data.invoice.details: expected object | null, got array"),
        (native_invoice(period=[]), "invalid", "data.invoice.period: expected object | null, got array"),
        (native_invoice(period={"from": "2026-11-01T00:00:00Z"}), "invalid", "data.invoice.period: object missing"),
        (native_invoice(period={"from": CANARY, "to": CANARY}), "invalid", "data.invoice.period.from: is not an RFC"),
        (
            native_invoice(period={"from": "2026-11-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}),
            "invalid",
            "data.invoice.period: does not end after it starts",
        ),
        # money
        (native_invoice(total=True), "invalid", "data.invoice.total: expected decimal | null, got bool"),
        (native_invoice(total={}), "invalid", "data.invoice.total: expected decimal | null, got object"),
        (native_invoice(total="NaN"), "invalid", "data.invoice.total: is a string that is not a JSON number"),
        (native_invoice(total="Infinity"), "invalid", "data.invoice.total: is a string that is not a JSON number"),
        (native_invoice(total="1_000"), "invalid", "data.invoice.total: is a string that is not a JSON number"),
        (native_invoice(total="1,50"), "invalid", "data.invoice.total: invalid decimal string"),
        (native_invoice(total=CANARY), "invalid", "data.invoice.total: invalid decimal string"),
        (native_invoice(total="9" * 39), "invalid", "data.invoice.total: has more than 38 significant digits"),
        (native_invoice(total="1e39"), "invalid", "data.invoice.total: has more than 38 significant digits"),
        (native_invoice(total="1e99999999999999999999"), "invalid", "data.invoice.total: invalid decimal string"),
        # in a member that is not read, but the payload would repeat it
        (native_invoice(color="@").replace(b'"@"', b"9" * 5_000), "invalid", "holds a number too large to be read"),
        (
            native_invoice(details={"a": "@"}).replace(b'"@"', b"9" * 5_000),
            "invalid",
            "details[...]: integer value out of range",
        ),
        (
            native_invoice(details={"a": "@"}).replace(b'"@"', b"1e999999"),
            "invalid",
            "details[...]: number out of range",
        ),
        # whose it is, and what it was
        (native_invoice(data={"namespace": ""}), "invalid", "data.namespace: expected str of length >= 1"),
        (native_invoice(data={"namespace": "n" * 257}), "invalid", "data.namespace: expected str of length <= 256"),
        (native_invoice("updated", data={"namespace": 5}), "invalid", "data.namespace: expected str, got int"),
        (
            native_invoice("updated", data={"previousStatus": 5}),
            "invalid",
            "data.previousStatus: expected str | null, got int",
        ),
        (
            native_invoice("updated", data={"previousStatus": ""}),
            "invalid",
            "data.previousStatus: expected str of length >= 1",
        ),
        (
            native_invoice("updated", data={"previousStatus": "a\x00"}),
            "invalid",
            "data.previousStatus: has a control character",
        ),
    ],
)
def test_a_bad_native_invoice_is_rejected_with_words(record: bytes, reason: str, says: str) -> None:
    found = parsed(record)

    assert isinstance(found, Reject), found
    assert (found.reason, CANARY in found.error) == (reason, False)
    assert says in found.error


@pytest.mark.parametrize(
    ("record", "reason", "says"),
    [
        (native_envelope(time=...), "invalid", "time: is missing"),
        (native_envelope(time=""), "invalid", "time: is missing"),
        (native_envelope(time="a\x00"), "not_cloudevent", "time: has a control character"),
        (native_envelope(time="2099-01-01T00:00:00Z"), "in_future", "time is ahead of the database's clock"),
        (native_envelope("updated", data=[]), "invalid", "data: expected object, got array"),
        (native_invoice(total="NaN"), "invalid", "data.invoice.total: is a string that is not a JSON number"),
        (openmeter.created(time=...), "invalid", "time: is missing"),
        (openmeter.updated(data={}), "invalid", "data: object missing required field new"),
    ],
)
def test_a_bad_binary_invoice_is_rejected_with_the_same_words(record: bytes, reason: str, says: str) -> None:
    value, headers = binary(record)

    found = parsed(value, *headers)

    assert isinstance(found, Reject), found
    assert found.reason == reason
    assert says in found.error


def test_the_last_moment_that_is_not_the_future_is_taken() -> None:
    assert invoice(native_envelope(time="2026-11-22T10:20:30Z")).at == LATEST


def test_an_invoice_may_have_unknown_members() -> None:
    assert invoice(native_invoice(color="red", data={"more": [1]})).state == "draft.created"


@pytest.mark.parametrize("kind", ["deleted", "created.v2", "Created"])
def test_another_type_of_invoice_record_is_passed_over(kind: str) -> None:
    assert isinstance(parsed(native_envelope(kind, data=None)), Ignored)


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_openmeters_created_invoice_is_understood(mode: str) -> None:
    value, headers = (openmeter.created(), []) if mode == "structured" else binary(openmeter.created())

    found = invoice(value, *headers)

    assert (found.namespace, found.invoice_id) == ("default", "01K2Z9S0T1V2W3X4Y5Z6A7B8C9")
    assert (found.state, found.previous, found.is_created) == ("draft.waiting_auto_approval", None, True)
    assert found.at == dt.datetime(2026, 9, 1, 1, 0, 5, tzinfo=dt.UTC)
    assert found.event_id == "01K2Z9T0T1V2W3X4Y5Z6A7B8C9"


@pytest.mark.parametrize(
    ("old", "previous"),
    [
        (..., "draft.created"),
        ({"invoice": {"status": "issued"}}, "issued"),
        # the old one is not always given
        (None, None),
        ({}, None),
        ({"invoice": None}, None),
        ({"invoice": {}}, None),
    ],
)
@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_an_openmeter_update_has_the_new_and_the_old_state(mode: str, old: object, previous: str | None) -> None:
    record = openmeter.updated(old=old)
    value, headers = (record, []) if mode == "structured" else binary(record)

    found = invoice(value, *headers)

    assert (found.state, found.previous, found.is_created) == ("draft.waiting_auto_approval", previous, False)


def wire(**changed: Any) -> bytes:
    return openmeter.created(openmeter.invoice(**changed))


@pytest.mark.parametrize(
    ("record", "reason", "says"),
    [
        (openmeter.created(time=...), "invalid", "time: is missing"),
        (openmeter.updated(time=...), "invalid", "time: is missing"),
        (openmeter.created(time="2099-01-01T00:00:00Z"), "in_future", "time is ahead"),
        (openmeter.created(time="0001-01-01T00:00:00Z"), "invalid", "time is in the year 1"),
        (openmeter.created(data={}), "invalid", "data: object missing required field invoice"),
        (openmeter.updated(data={"invoice": INVOICE}), "invalid", "data: object missing required field new"),
        (openmeter.updated(old=[]), "invalid", "data.old: expected object | null, got array"),
        (openmeter.updated(old={"invoice": {"status": 5}}), "invalid", "data.old.invoice.status: expected str | null"),
        (wire(id=5), "invalid", "data.invoice.id: expected str, got int"),
        (wire(namespace=""), "invalid", "data.invoice.namespace: expected str of length >= 1"),
        (wire(status="a\x00b"), "invalid", "data.invoice.status: has a control character"),
        (openmeter.updated(openmeter.invoice(status=None)), "invalid", "data.new.invoice.status: expected str"),
        # by its customer an event is found again
        (wire(customer=[CANARY]), "invalid", "data.invoice.customer: expected object | null, got array"),
        (wire(customer={"customerId": "a" * 257}), "invalid", "data.invoice.customer.customerId: expected str of"),
        (wire(customer={"id": "a" * 257}), "invalid", "data.invoice.customer.id: expected str of length"),
        (wire(customer={"key": "a" * 4_500}), "invalid", "data.invoice.customer.key: expected str of length"),
        (wire(customer={"key": "a\x00"}), "invalid", "data.invoice.customer.key: has a control character"),
        (wire(customer={"key": 5}), "invalid", "data.invoice.customer.key: expected str | null, got int"),
        # what the payload needs is made at once, so that it cannot fail later
        (wire(supplier=[CANARY]), "invalid", "data.invoice: is not as OpenMeter writes an invoice"),
        (wire(lines=5), "invalid", "data.invoice: is not as OpenMeter writes an invoice (TypeError)"),
        (wire(lines=[CANARY]), "invalid", "data.invoice: is not as OpenMeter writes an invoice (AttributeError)"),
        (wire(workflow=CANARY), "invalid", "data.invoice: is not as OpenMeter writes an invoice (AttributeError)"),
        (wire(statusDetail=[1]), "invalid", "data.invoice: is not as OpenMeter writes an invoice"),
        (wire(validationIssues=[5]), "invalid", "data.invoice: is not as OpenMeter writes an invoice"),
        (
            openmeter.updated(openmeter.invoice(supplier=CANARY)),
            "invalid",
            "data.new.invoice: is not as OpenMeter writes an invoice",
        ),
        (wire(more="@").replace(b'"@"', b"9" * 5_000), "invalid", "holds a number too large to be read"),
    ],
)
def test_a_bad_openmeter_invoice_is_rejected_with_words(record: bytes, reason: str, says: str) -> None:
    found = parsed(record)

    assert isinstance(found, Reject), found
    assert (found.reason, CANARY in found.error) == (reason, False)
    assert says in found.error


@pytest.mark.parametrize(("total", "text"), [("-0.00", "0"), ("0.00", "0.00"), ("-0.01", "-0.01"), ("1e3", "1000")])
def test_a_total_of_nothing_is_not_below_it(total: str, text: str) -> None:
    found = invoice(native_invoice(total=total))

    assert found.origin.invoice()["totals"] == {"total": text}
