"""OpenMeter's invoices: the API's model, made member by member of the wire's."""

import datetime as dt
from typing import Any

import pytest

from schemas.parse import parse
from schemas.sources import Invoice, short_status
from tests.support.openmeter_examples import INVOICE, LINE, PERIOD, TOTALS, created, invoice, updated

LATEST = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)


def shown(record: bytes) -> dict[str, Any]:
    found = parse(record, (), latest=LATEST)
    assert isinstance(found, Invoice), found
    return found.origin.invoice()


def made(**changed: Any) -> dict[str, Any]:
    return shown(created(invoice(**changed)))


def without(of: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: member for name, member in of.items() if name not in names}


MADE = {
    "id": "01K2Z9S0T1V2W3X4Y5Z6A7B8C9",
    "number": "INV-ACME-1",
    "type": "standard",
    "currency": "USD",
    "status": "draft",
    "statusDetails": {
        "extendedStatus": "draft.waiting_auto_approval",
        "failed": False,
        "immutable": False,
        "availableActions": {"delete": {"resultingState": "deleted"}, "approve": {"resultingState": "paid"}},
    },
    "period": PERIOD,
    "dueAt": "2026-10-01T00:00:00Z",
    "createdAt": "2026-09-01T01:00:00Z",
    "updatedAt": "2026-09-01T01:00:04Z",
    "draftUntil": "2026-09-02T01:00:00Z",
    "collectionAt": "2026-09-01T02:00:00Z",
    "customer": {
        "id": "01J5WZ3M2A7Q9R4T6V8X0Y1Z2B",
        "key": "acme",
        "name": "ACME Inc.",
        "usageAttribution": {"subjectKeys": ["acme-prod"]},
    },
    "supplier": {"name": "My Company", "addresses": [{"country": "US"}]},
    "totals": TOTALS,
    "externalIds": {},
    "lines": [
        {
            "id": LINE["id"],
            "type": "usage_based",
            "status": "valid",
            "name": "API requests",
            "managedBy": "subscription",
            "currency": "USD",
            "period": PERIOD,
            "invoiceAt": "2026-09-01T00:00:00Z",
            "createdAt": "2026-09-01T01:00:00Z",
            "updatedAt": "2026-09-01T01:00:04Z",
            "featureKey": "api_requests",
            "quantity": "12000",
            "price": {"type": "unit", "amount": "0.01"},
            "rateCard": {"featureKey": "api_requests", "price": {"type": "unit", "amount": "0.01"}},
            "totals": TOTALS,
        }
    ],
    "workflow": {
        "apps": {
            "tax": {"id": "01J5WTAX0A7Q9R4T6V8X0Y1Z2B"},
            "invoicing": {"id": "01J5WNV00A7Q9R4T6V8X0Y1Z2B"},
            "payment": {"id": "01J5WPAY0A7Q9R4T6V8X0Y1Z2B"},
        },
        "sourceBillingProfileId": "01J5WPRF0A7Q9R4T6V8X0Y1Z2B",
        "workflow": {
            "collection": {"alignment": {"type": "subscription"}, "interval": "PT1H"},
            "invoicing": {},
            "payment": {},
            "tax": {"enabled": True, "enforced": False},
        },
    },
}


@pytest.mark.parametrize("record", [created(), updated(), updated(old=None)], ids=["created", "updated", "no old one"])
def test_the_invoice_is_the_apis_model(record: bytes) -> None:
    assert shown(record) == MADE


def test_what_the_wire_need_not_have_stays_out() -> None:
    bare = {name: INVOICE[name] for name in ("namespace", "id", "status")}

    assert shown(created(bare)) == {
        "id": INVOICE["id"],
        "type": "standard",
        "status": "draft",
        "statusDetails": {
            "extendedStatus": "draft.waiting_auto_approval",
            "failed": False,
            "immutable": False,
            "availableActions": {},
        },
        "customer": {"usageAttribution": {"subjectKeys": []}},
        "supplier": {},
    }


@pytest.mark.parametrize(
    ("changed", "member", "expected"),
    [
        # what the wire calls otherwise; its own name wins
        ({"dueAt": "2026-10-02T00:00:00Z"}, "dueAt", "2026-10-02T00:00:00Z"),
        ({"dueDate": None}, "dueAt", None),
        ({"type": "credit_note"}, "type", "credit_note"),
        ({"status": "paid"}, "status", "paid"),
        # lists: none, empty, one that says something
        ({"lines": None}, "lines", None),
        ({"lines": []}, "lines", []),
        ({"validationIssues": None}, "validationIssues", None),
        (
            {"validationIssues": [{"id": "i", "severity": "critical", "message": "m", "path": "/lines", "code": None}]},
            "validationIssues",
            [{"id": "i", "severity": "critical", "message": "m"}],
        ),
        # text and metadata of a person
        ({"description": "for August", "metadata": {"a": "b"}}, "description", "for August"),
        ({"metadata": {"a": "b"}}, "metadata", {"a": "b"}),
        # the customer: its id under either name, an address, no attribution
        (
            {"customer": {"id": "c", "name": "N", "billingAddress": {"city": "X", "line1": None}}},
            "customer",
            {"id": "c", "name": "N", "addresses": [{"city": "X"}], "usageAttribution": {"subjectKeys": []}},
        ),
        (
            {"customer": {"usageAttribution": {"subjectKeys": None}}},
            "customer",
            {"usageAttribution": {"subjectKeys": []}},
        ),
        # an empty text is none; an empty address neither
        ({"supplier": {"id": "", "key": "", "name": "S", "address": {}}}, "supplier", {"name": "S"}),
        ({"supplier": {"taxId": {"code": "DE1"}}}, "supplier", {"taxId": {"code": "DE1"}}),
        # the workflow
        ({"workflow": None}, "workflow", None),
        ({"workflow": {"config": None}}, "workflow", {"workflow": {}}),
        (
            {"workflow": {"config": {"collection": {"interval": "P1D", "alignment": {"type": "anchored"}}, "x": 5}}},
            "workflow",
            {"workflow": {"collection": {"interval": "P1D", "alignment": {"type": "anchored"}}}},
        ),
        ({"workflow": {"config": {"collection": {}}}}, "workflow", {"workflow": {"collection": {}}}),
        # references to apps: all three, or none
        (
            {"workflow": {"appReferences": {"tax": {"id": "t"}, "invoicing": None, "payment": {"id": ""}}}},
            "workflow",
            {"workflow": {}},
        ),
    ],
)
def test_a_member_of_the_invoice(changed: dict[str, Any], member: str, expected: object) -> None:
    assert made(**changed).get(member) == expected


@pytest.mark.parametrize(
    ("line", "absent"),
    [
        # a line without a price has no rate card; one without usage neither price nor feature
        (LINE | {"usageBased": {"featureKey": "k"}}, {"rateCard", "price", "quantity"}),
        (without(LINE, "usageBased"), {"rateCard", "price", "quantity", "featureKey"}),
        (LINE | {"totals": None, "description": None}, {"totals", "description"}),
    ],
)
def test_of_a_line_what_is_absent_stays_out(line: dict[str, Any], absent: set[str]) -> None:
    (shown_line,) = made(lines=[line])["lines"]

    assert not absent & shown_line.keys()
    assert shown_line["type"] == "usage_based"


def test_a_line_keeps_its_status_and_invents_no_feature() -> None:
    (line,) = made(lines=[LINE | {"status": "split", "usageBased": {"price": {"type": "flat"}}}])["lines"]

    assert (line["status"], line["rateCard"]) == ("split", {"price": {"type": "flat"}})


def test_money_and_its_digits_are_passed_on_as_they_came() -> None:
    totals = TOTALS | {"total": "12345678901234567890.123456789"}

    assert made(totals=totals)["totals"] == totals


@pytest.mark.parametrize(
    ("state", "short"),
    [
        ("draft.waiting_auto_approval", "draft"),
        ("paid", "paid"),
        ("payment_processing.booking_authorized", "payment_processing"),
        ("a.b.c", "a"),
    ],
)
def test_a_short_status_is_what_stands_before_the_first_dot(state: str, short: str) -> None:
    assert short_status(state) == short
