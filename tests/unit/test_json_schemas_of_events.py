"""The JSON Schemas of resets and invoices: records and payloads, what we take and send and what we do not."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, UNSEEN_INVOICE, Document
from consumer.decide.payloads import payload
from schemas import export
from schemas.parse import Reject, parse
from schemas.sources import Invoice, PeriodEnd, Snapshot, SourceEvent
from tests.support import openmeter_examples as openmeter
from tests.support.factories import PERIOD
from tests.support.records import make_period_end, native_envelope, native_invoice, native_reset
from tests.support.rules import reset_rule, rule_of

LATEST = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
RESET = "tollbell.entitlement.reset"
CREATED = "tollbell.invoice.created"
UPDATED = "tollbell.invoice.updated"
RULES = [
    reset_rule(features=["llm_tokens", "other"]),
    rule_of("invoice.created"),
    rule_of("invoice.updated", statuses=["draft", "draft.waiting_auto_approval"]),
]


def errors(name: str, instance: object) -> list[str]:
    """Return what is wrong with *instance* by the schema *name*: the path of each mistake."""
    schema = json.loads((export.DIRECTORY / f"{name}.json").read_text())
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(instance)]


def sent(source: SourceEvent | bytes, document: Document = UNSEEN) -> dict[str, Any]:
    """The body that a receiver gets of *source*."""
    found = parse(source, (), latest=LATEST) if isinstance(source, bytes) else source
    is_invoice = isinstance(found, Invoice)
    rules = [rule for rule in RULES if rule.type.startswith("invoice") is is_invoice]
    (one,) = judge(rules, found, UNSEEN_INVOICE if is_invoice else document).occurrences
    made: dict[str, Any] = json.loads(payload(one, "01K9ZBC3K9YJ4M2V7Q8R5T6W1X"), parse_float=Decimal)
    return made


def clocks_end() -> PeriodEnd:
    """The clock's end of a period, of what a record left."""
    found = parse(native_reset(), (), latest=LATEST)
    assert isinstance(found, Snapshot)
    return make_period_end(origin=found.origin)


@pytest.mark.parametrize(
    ("name", "record"),
    [
        (RESET, native_reset()),
        (
            RESET,
            native_reset(resetAt="2026-11-22T10:00:00.123456789+01:00", value={"usage": "1e-3", "allowance": None}),
        ),
        (RESET, native_reset(customer=..., subject=..., feature={"key": "k"}, namespace="acme-eu")),
        (CREATED, native_invoice()),
        (CREATED, native_invoice(total=120, color="red")),
        (CREATED, native_envelope(data={"invoice": {"id": "i", "status": "paid"}})),
        (CREATED, native_invoice(number=None, currency=None, customer=None, total=None, period=None, details=None)),
        (UPDATED, native_invoice("updated", data={"previousStatus": "gathering"})),
        (UPDATED, native_invoice("updated", data={"previousStatus": None, "namespace": "acme-eu"})),
        (UPDATED, native_envelope("updated", subject=None)),
    ],
)
def test_a_native_record_that_we_take_is_valid(name: str, record: bytes) -> None:
    assert not isinstance(parse(record, (), latest=LATEST), Reject)
    assert errors(name, json.loads(record, parse_float=Decimal)) == []


@pytest.mark.parametrize(
    ("name", "record", "path"),
    [
        (RESET, native_reset(resetAt=...), "$.data"),
        (RESET, native_reset(resetAt=5), "$.data.resetAt"),
        (RESET, native_reset(value={"usage": "1_000"}), "$.data.value.usage"),
        (RESET, native_reset(feature={"key": ""}), "$.data.feature.key"),
        (RESET, native_reset(entitlement={"id": "e"}), "$.data.entitlement"),
        (CREATED, native_envelope(time=...), "$"),
        (CREATED, native_envelope(data={}), "$.data"),
        (CREATED, native_invoice(id=...), "$.data.invoice"),
        (CREATED, native_invoice(id="a\x00b"), "$.data.invoice.id"),
        (CREATED, native_invoice(status="s" * 257), "$.data.invoice.status"),
        (CREATED, native_invoice(total="NaN"), "$.data.invoice.total"),
        (CREATED, native_invoice(total=True), "$.data.invoice.total"),
        (CREATED, native_invoice(details=[]), "$.data.invoice.details"),
        (UPDATED, native_envelope("updated", time=None), "$.time"),
        (UPDATED, native_invoice("updated", data={"previousStatus": 5}), "$.data.previousStatus"),
        (UPDATED, native_invoice("updated", period={"from": "2026-11-01T00:00:00Z"}), "$.data.invoice.period"),
        (UPDATED, native_invoice("updated", data={"namespace": ""}), "$.data.namespace"),
    ],
)
def test_a_native_record_that_we_reject_is_invalid(name: str, record: bytes, path: str) -> None:
    assert isinstance(parse(record, (), latest=LATEST), Reject)
    assert errors(name, json.loads(record)) == [path]


@pytest.mark.parametrize("name", [RESET, CREATED, UPDATED])
def test_a_record_of_another_type_is_invalid(name: str) -> None:
    record = json.loads(native_reset()) | {"type": "tollbell.usage.snapshot"}

    assert "$.type" in errors(name, record)


@pytest.mark.parametrize(
    ("name", "source", "document"),
    [
        ("entitlements.reset", native_reset(), UNSEEN),
        ("entitlements.reset", native_reset(customer=None, subject=None, feature={"key": "k", "id": None}), UNSEEN),
        ("entitlements.reset", openmeter.snapshot("reset"), UNSEEN),
        ("entitlements.reset", openmeter.snapshot("reset", customer=None, subject=None, feature=None), UNSEEN),
        # the clock's, of what a record left
        (
            "entitlements.reset",
            clocks_end(),
            Document(period_from=PERIOD[0], period_to=PERIOD[1]),
        ),
        ("invoice", native_invoice(), UNSEEN),
        ("invoice", native_envelope(data={"invoice": {"id": "i", "status": "paid"}}), UNSEEN),
        ("invoice", native_invoice("updated", data={"previousStatus": "gathering"}), UNSEEN),
        ("invoice", native_invoice("updated"), UNSEEN),
        ("invoice", openmeter.created(), UNSEEN),
        ("invoice", openmeter.updated(), UNSEEN),
        ("invoice", openmeter.updated(old=None), UNSEEN),
    ],
)
def test_what_we_send_is_valid(name: str, source: SourceEvent | bytes, document: Document) -> None:
    assert errors(name, sent(source, document)) == []


@pytest.mark.parametrize(
    ("name", "record", "change", "path"),
    [
        ("entitlements.reset", native_reset(), {"action": "recovered"}, "$.data.action"),
        ("entitlements.reset", native_reset(), {"reset": {"kind": "manual"}}, "$.data.reset"),
        ("entitlements.reset", native_reset(), {"reset": {"kind": "by hand", "at": "x"}}, "$.data.reset.kind"),
        ("entitlements.reset", native_reset(), {"value": {"usage": 1}}, "$.data.value"),
        ("entitlements.reset", native_reset(), {"value": {"hasAccess": True, "usage": "1"}}, "$.data.value.usage"),
        ("entitlements.reset", native_reset(), {"feature": {"id": "f"}}, "$.data.feature"),
        ("entitlements.reset", native_reset(), {"rule": {"id": "r", "name": "R"}}, "$.data.rule"),
        ("entitlements.reset", native_reset(), {"customer": None}, "$.data.customer"),
        ("invoice", native_invoice(), {"action": "recovered"}, "$.data.action"),
        ("invoice", native_invoice(), {"previousStatus": 5}, "$.data.previousStatus"),
        ("invoice", native_invoice(), {"statusDetails": {}}, "$.data.statusDetails"),
        ("invoice", native_invoice(), {"status": None}, "$.data.status"),
        ("invoice", native_invoice(), {"rule": {"id": "r", "name": "R"}}, "$.data.rule"),
        (
            "invoice",
            native_invoice("updated"),
            {"rule": {"id": "r", "name": "R", "type": "invoice.updated", "statuses": None}},
            "$.data.rule.statuses",
        ),
    ],
)
def test_what_we_never_send_is_invalid(name: str, record: bytes, change: dict[str, Any], path: str) -> None:
    body = sent(record)
    body["data"] |= change

    assert errors(name, body) == [path]


@pytest.mark.parametrize("name", ["action", "rule", "previousStatus", "statusDetails", "id"])
def test_an_invoice_without_what_is_always_there_is_invalid(name: str) -> None:
    body = sent(native_invoice())
    del body["data"][name]

    assert errors("invoice", body) == ["$.data"]


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"type": "entitlements.reset"}, None),
        ({"type": "entitlements.reset", "features": ["f"]}, None),
        ({"type": "entitlements.reset", "features": []}, "$.rules[0].features"),
        ({"type": "entitlements.reset", "statuses": ["paid"]}, "$.rules[0]"),
        ({"type": "entitlements.reset", "thresholds": []}, "$.rules[0]"),
        ({"type": "invoice.created"}, None),
        ({"type": "invoice.created", "features": ["f"]}, "$.rules[0]"),
        ({"type": "invoice.updated"}, None),
        ({"type": "invoice.updated", "statuses": ["paid", "draft.syncing"]}, None),
        ({"type": "invoice.updated", "statuses": ["Paid"]}, "$.rules[0].statuses[0]"),
        ({"type": "invoice.updated", "statuses": []}, "$.rules[0].statuses"),
        ({"type": "invoice.updated", "features": None}, "$.rules[0]"),
        ({"type": "quota"}, "$.rules[0].type"),
        ({}, "$.rules[0]"),
    ],
)
def test_a_rules_file_has_the_fields_of_each_type(config: dict[str, Any], path: str | None) -> None:
    rule = {"key": "quota", "name": "Quota", "channels": ["hook"], **config}

    assert errors("rules-file", {"rules": [rule]}) == ([path] if path else [])
