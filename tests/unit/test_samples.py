"""A sample of a rule's webhook is the reference product's model, and reaches what it says it reached."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from consumer.decide.levels import placed
from consumer.decide.model import Level, Occurrence
from consumer.decide.payloads import payload
from consumer.decide.rules import sample
from consumer.decide.rules.crossing import Crossing
from consumer.decide.sample_records import UNNAMED
from schemas.events import FeatureRef
from schemas.rules import Rule
from tests.support.factories import make_rule
from tests.support.openapi import problems
from tests.support.rules import reset_rule, rule_of

AT = dt.datetime(2026, 12, 31, 23, 59, 30, 123456, tzinfo=dt.UTC)
EVENT = "01K9ZBC3K9YJ4M2V7Q8R5T6W1X"
THRESHOLD = "NotificationEventBalanceThresholdPayload"


def body(occurrence: Occurrence) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(payload(occurrence, EVENT), parse_float=Decimal)
    return read


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (THRESHOLD, make_rule(percents=[80])),
        ("NotificationEventResetPayload", reset_rule()),
        ("NotificationEventInvoiceCreatedPayload", rule_of("invoice.created")),
        ("NotificationEventInvoiceUpdatedPayload", rule_of("invoice.updated")),
        ("NotificationEventInvoiceUpdatedPayload", rule_of("invoice.updated", statuses=["draft.manual_approval"])),
    ],
)
def test_a_sample_is_the_references_model(model: str, rule: Rule) -> None:
    made = json.loads(payload(sample(rule, UNNAMED, AT), EVENT))

    assert problems(model, made) == []
    assert made["data"]["rule"]["id"] == rule.id


@pytest.mark.parametrize(
    "threshold",
    [
        ("usage_percentage", 80),
        ("PERCENT", 100),
        ("usage_percentage", 250),
        ("usage_value", 12),
        ("NUMBER", "12345678901234567890123456789012345678"),
        ("balance_value", 0),
        ("balance_value", "0.00000000000000000000000000000000000001"),
        ("usage_percentage", "0.00000000000000000000000000000000000001"),
        ("usage_value", "1e38"),
        ("balance_value", "1e38"),
        # the largest of 38 digits: what is rounded up from it is no amount any more
        ("balance_value", "99999999999999999999999999999999999999e1"),
        ("usage_percentage", "99999999999999999999999999999999999999e1"),
    ],
)
def test_a_samples_level_reaches_the_first_threshold(threshold: tuple[str, object]) -> None:
    occurrence = sample(make_rule(threshold, ("usage_value", 7)), UNNAMED, AT)

    assert isinstance(occurrence, Crossing)
    value = body(occurrence)["data"]["value"]
    amounts = [Decimal(value[name]) for name in ("usage", "totalAvailableGrantAmount", "balance")]
    assert [is_reached for _, is_reached in placed([occurrence.threshold.line], Level(*amounts))] == [True]
    assert min(value["balance"], value["overage"]) == 0


def test_a_sample_has_the_given_feature_and_month() -> None:
    data = body(sample(make_rule(percents=[80], features=["f-1"]), FeatureRef("f-1", "llm_tokens"), AT))["data"]

    assert (data["feature"]["id"], data["feature"]["key"]) == ("f-1", "llm_tokens")
    assert data["rule"]["features"] == [{"id": "f-1", "key": "llm_tokens"}]
    assert data["entitlement"]["currentUsagePeriod"] == {"from": "2026-12-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
