"""What makes it the same invoice event, and its body."""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN_INVOICE, Reason
from consumer.decide.payloads import identity, payload, preceding
from consumer.decide.rules.invoice_change import InvoiceChange
from schemas import events
from schemas.parse import parse
from schemas.sources import Invoice
from tests.support.records import INVOICE, make_invoice, native_invoice
from tests.support.rules import rule_of

LATEST = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)


def created(rule: str = "rule-1", **invoice: Any) -> InvoiceChange:
    made = make_invoice(is_created=True, **invoice)
    return InvoiceChange(
        rule=rule_of("invoice.created", rule), invoice=made, previous=None, reason=Reason.INVOICE_CREATED
    )


def updated(rule: str = "rule-1", **invoice: Any) -> InvoiceChange:
    made = make_invoice(**invoice)
    return InvoiceChange(
        rule=rule_of("invoice.updated", rule), invoice=made, previous="issued", reason=Reason.STATE_CHANGED
    )


@pytest.mark.parametrize(
    ("one", "same"),
    [
        # created: once for rule and invoice, whichever record shows it
        (created(), created(minute=5, state="paid", event_id="other", source="other")),
        (created(), replace(created(), previous="gathering")),
        # updated: the record that comes again, whatever was before it and whatever the rule says
        (updated(), replace(updated(), previous=None)),
        (updated(), replace(updated(), rule=rule_of("invoice.updated", statuses=["draft"]))),
        (updated(), updated(minute=5, event_id="e-0")),
    ],
)
def test_the_same_event_has_the_same_identity(one: InvoiceChange, same: InvoiceChange) -> None:
    assert identity(one) == identity(same)


def test_every_part_of_an_identity_makes_another_event() -> None:
    others = [
        created(),
        created(rule="rule-2"),
        created(namespace="elsewhere"),
        created(invoice_id="inv-2"),
        # an updated one is none that was created
        updated(),
        updated(rule="rule-2"),
        updated(namespace="elsewhere"),
        updated(invoice_id="inv-2"),
        # the new state, and the CloudEvent: going back to a state is another change
        updated(state="draft.syncing"),
        updated(source="elsewhere"),
        updated(event_id="e-1"),
        # what stands together in one is apart in the other
        updated(source="billinge", event_id="-0"),
        created(namespace="default1", rule="rule-"),
    ]

    assert len({identity(one) for one in others}) == len(others)


def test_identities_are_32_bytes_and_stay_what_they_are() -> None:
    # Written to databases: another value would make every invoice fire again.
    assert identity(created()).hex() == "270243e629910fbac19bcb22868f6a2823854cdd0890d378f998b56ddbd86b08"
    assert identity(updated()).hex() == "a50b3030854551bd79db17f5b679fceefb34a46262b9f067d51400f4ef64483d"


def test_no_event_must_precede_that_of_an_invoice() -> None:
    assert preceding(created()) is None
    assert preceding(updated()) is None


def test_an_invoice_event_is_of_its_records_time() -> None:
    one = updated(minute=5)

    assert one.occurred_at == one.invoice.at


def body(record: bytes, **config: Any) -> dict[str, Any]:
    source = parse(record, (), latest=LATEST)
    assert isinstance(source, Invoice)
    rules = [rule_of("invoice.created"), rule_of("invoice.updated", **config)]
    (one,) = judge(rules, source, UNSEEN_INVOICE).occurrences
    made = payload(one, "event-1")
    assert msgspec.json.decode(made, type=events.InvoiceEvent).id == "event-1"
    said: dict[str, Any] = json.loads(made, parse_float=str)
    return said


def test_a_created_invoices_body_is_the_references_plus_ours() -> None:
    assert body(native_invoice()) == {
        "id": "event-1",
        "type": "invoice.created",
        "timestamp": "2026-11-22T10:15:30.123456Z",
        "data": {
            "id": "inv-1",
            "number": "INV-ACME-1",
            "currency": "EUR",
            "status": "draft",
            "statusDetails": {"extendedStatus": "draft.created"},
            "customer": {"id": "c-1", "key": "acme", "name": "ACME Inc."},
            "totals": {"total": "120.50"},
            "period": {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"},
            "details": {"lines": [{"sku": "a", "price": "1.5"}]},
            "action": "triggered",
            "rule": {"id": "rule-1", "name": "Rule", "type": "invoice.created"},
            "previousStatus": None,
        },
    }


@pytest.mark.parametrize(
    ("config", "data", "rule", "previous"),
    [
        # the statuses that the rule wants, where it says; what was before, where it is known
        ({}, {}, {"id": "rule-1", "name": "Rule", "type": "invoice.updated"}, None),
        (
            {"statuses": ["paid", "draft"]},
            {"previousStatus": "gathering"},
            {"id": "rule-1", "name": "Rule", "type": "invoice.updated", "statuses": ["paid", "draft"]},
            "gathering",
        ),
    ],
)
def test_the_body_of_an_updated_one_says_what_was_before(
    config: dict[str, Any], data: dict[str, Any], rule: dict[str, Any], previous: str | None
) -> None:
    said = body(native_invoice("updated", data=data), **config)

    assert said["type"] == "invoice.updated"
    assert said["data"]["rule"] == rule
    assert said["data"]["previousStatus"] == previous
    assert said["data"]["id"] == INVOICE["id"]


@pytest.mark.parametrize(
    ("total", "text"),
    [
        # money is a decimal string, with all its digits and no exponent
        ("120.50", "120.50"),
        (120, "120"),
        ("1E+3", "1000"),
        ("1e-9", "0.000000001"),
        ("-0.10", "-0.10"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
    ],
)
def test_a_total_leaves_as_a_decimal_string(total: object, text: str) -> None:
    assert body(native_invoice(total=total))["data"]["totals"] == {"total": text}


def test_no_member_of_the_invoice_takes_the_place_of_ours() -> None:
    said = body(native_invoice(action="x", rule="x", previousStatus="x"))

    assert said["data"]["action"] == "triggered"
    assert said["data"]["previousStatus"] is None


@pytest.mark.parametrize("absent", [..., None])
def test_what_is_absent_or_null_stays_out(absent: object) -> None:
    names = ("number", "currency", "customer", "total", "period", "details")

    said = body(native_invoice(**dict.fromkeys(names, absent)))

    assert said["data"].keys() == {"id", "status", "statusDetails", "action", "rule", "previousStatus"}
