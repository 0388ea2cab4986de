"""What is made of OpenMeter's own records is what its OpenAPI document promises to receivers."""

import datetime as dt
import json
from typing import Any

import pytest

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, UNSEEN_INVOICE
from consumer.decide.payloads import payload
from schemas.parse import parse
from schemas.rules import Rule
from schemas.sources import Invoice, Snapshot
from tests.support import openmeter_examples as openmeter
from tests.support.factories import make_rule
from tests.support.openapi import problems
from tests.support.rules import reset_rule, rule_of

LATEST = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
THRESHOLD = "NotificationEventBalanceThresholdPayload"
RESET = "NotificationEventResetPayload"
CREATED = "NotificationEventInvoiceCreatedPayload"
UPDATED = "NotificationEventInvoiceUpdatedPayload"
RULES = {
    THRESHOLD: make_rule(percents=[80], features=["llm_tokens", "other"]),
    RESET: reset_rule(features=["llm_tokens"]),
    CREATED: rule_of("invoice.created"),
    UPDATED: rule_of("invoice.updated", statuses=["draft.waiting_auto_approval"]),
}


def sent(record: bytes, rule: Rule) -> dict[str, Any]:
    """The body that a receiver gets of *record*."""
    source = parse(record, (), latest=LATEST)
    assert isinstance(source, Snapshot | Invoice), source
    document = UNSEEN_INVOICE if isinstance(source, Invoice) else UNSEEN
    (occurrence,) = judge([rule], source, document).occurrences
    body: dict[str, Any] = json.loads(payload(occurrence, "01K9ZBC3K9YJ4M2V7Q8R5T6W1X"))
    return body


@pytest.mark.parametrize(
    ("model", "record"),
    [
        (THRESHOLD, openmeter.snapshot()),
        # amounts as Go writes floats, and a hasAccess that it leaves out
        (THRESHOLD, openmeter.snapshot(value={"balance": 0, "overage": 1e-12, "usage": 1e21})),
        # optional members that the wire may have
        (THRESHOLD, openmeter.snapshot(entitlement=openmeter.OPENMETER_ENTITLEMENT | {"metadata": {"a": "b"}})),
        (RESET, openmeter.snapshot("reset")),
        (CREATED, openmeter.created()),
        # what an invoice may lack, or have empty
        (CREATED, openmeter.created(openmeter.invoice(lines=None, validationIssues=None, externalIds=None))),
        (CREATED, openmeter.created(openmeter.invoice(description="for August", metadata={"a": "b"}))),
        (UPDATED, openmeter.updated()),
        (UPDATED, openmeter.updated(old=None)),
    ],
)
def test_a_payload_of_openmeters_record_is_the_references_model(model: str, record: bytes) -> None:
    rule = RULES[model] if b'"usage": 1e+21' not in record else make_rule(("usage_value", 1))

    assert problems(model, sent(record, rule)) == []


def test_a_delete_of_openmeter_makes_no_payload() -> None:
    source = parse(openmeter.snapshot("delete"), (), latest=LATEST)

    assert isinstance(source, Snapshot)
    assert judge([RULES[THRESHOLD], RULES[RESET]], source, UNSEEN).occurrences == ()


@pytest.mark.parametrize(
    ("model", "path", "change"),
    [
        # the envelope
        (THRESHOLD, "$.id", {"id": "event-1"}),
        (THRESHOLD, "$.type", {"type": "entitlements.reset"}),
        (RESET, "$.timestamp", {"timestamp": "2026-08-18"}),
        # a member is missing
        (RESET, "$.data.value", {"value": {}}),
        (THRESHOLD, "$.data.feature", {"feature": {"id": "f", "key": "k"}}),
        # another type, a null that is not allowed, a value that is none
        (THRESHOLD, "$.data.threshold.value", {"threshold": {"type": "PERCENT", "value": "80"}}),
        (THRESHOLD, "$.data.customer", {"customer": None}),
        (CREATED, "$.data.status", {"status": "draft.created"}),
        (UPDATED, "$.data.currency", {"currency": "dollar"}),
        # money that is no text
        (UPDATED, "$.data.totals.total", {"totals": openmeter.TOTALS | {"total": 120}}),
    ],
)
def test_the_models_refuse_what_is_not_theirs(model: str, path: str, change: dict[str, Any]) -> None:
    records = {
        THRESHOLD: openmeter.snapshot(),
        RESET: openmeter.snapshot("reset"),
        CREATED: openmeter.created(),
        UPDATED: openmeter.updated(),
    }
    body = sent(records[model], RULES[model])
    (body if change.keys() <= body.keys() else body["data"]).update(change)

    assert {problem.partition(": ")[0] for problem in problems(model, body)} == {path}


@pytest.mark.parametrize("member", ["metadata", "displayName", "stripeCustomerId"])
def test_what_the_document_calls_nullable_may_be_null(member: str) -> None:
    body = sent(openmeter.snapshot(), RULES[THRESHOLD])
    body["data"]["subject"][member] = None

    assert problems(THRESHOLD, body) == []
