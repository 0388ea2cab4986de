"""Explain: the judgement of one rule, threshold by threshold; and the parties of an event."""

from typing import Any

import pytest

from consumer.decide.explain import JudgedLine, explain
from consumer.decide.judge import judge
from consumer.decide.model import NO_PARTIES, UNSEEN, UNSEEN_INVOICE, Parties, Reason
from consumer.decide.payloads import freeze
from schemas.parse import parse
from schemas.rules import Rule, RuleId, read_spec
from schemas.sources import Invoice, Snapshot
from tests.support.factories import NOW, invoice_record, make_rule, make_snapshot, native_record


def ruled(kind: str, **spec: Any) -> Rule:
    return Rule(
        id=RuleId("r"), namespace="default", name="R", spec=read_spec({"type": kind, **spec}), channels=("channel-1",)
    )


def parsed(record: bytes) -> Any:
    source = parse(record, (), latest=NOW)
    assert isinstance(source, Snapshot | Invoice)
    return source


def test_explain_lists_each_threshold_as_the_consumer_judges() -> None:
    rule, snapshot = make_rule(percents=[100, 80]), make_snapshot(90)

    explained = explain(rule, snapshot, UNSEEN)

    high, low = rule.spec.distinct.values()  # type: ignore[union-attr]
    assert explained.lines == (JudgedLine(high, Reason.BELOW), JudgedLine(low, Reason.FIRST_CROSSING))
    assert explained.judgement == judge([rule], snapshot, UNSEEN)


def test_a_record_that_counts_for_none_of_them_has_one_line() -> None:
    explained = explain(make_rule(percents=[80, 100]), make_snapshot(90, is_deleted=True), UNSEEN)

    assert explained.lines == (JudgedLine(None, Reason.DELETED),)


def test_a_rule_without_thresholds_has_one_line() -> None:
    explained = explain(ruled("entitlements.reset"), make_snapshot(90), UNSEEN)

    assert explained.lines == (JudgedLine(None, Reason.SAME_PERIOD),)


def test_a_record_that_is_nothing_to_the_rules_type_has_none() -> None:
    created = parsed(invoice_record("draft.created", kind="created"))

    assert explain(ruled("invoice.updated"), created, UNSEEN_INVOICE).lines == ()


@pytest.mark.parametrize(
    ("record", "parties"),
    [
        # all of them, as the record names them
        (native_record(90), Parties("acme-prod", "f-1", "llm_tokens", "c-1", "acme")),
        # what is absent, or empty, is None
        (
            native_record(90, customer={"key": "", "name": "x"}, subject=None, feature={"key": "k"}),
            Parties("acme-prod", None, "k", None, None),
        ),
        (native_record(90, customer=None), Parties("acme-prod", "f-1", "llm_tokens", None, None)),
    ],
)
def test_an_event_names_its_customer_and_subject(record: bytes, parties: Parties) -> None:
    (occurrence,) = judge([make_rule(percents=[80])], parsed(record), UNSEEN).occurrences

    assert freeze(occurrence, "e").parties == parties


def test_an_invoices_event_is_about_its_customer() -> None:
    record = invoice_record("draft.created", kind="created", customer={"id": "c-1", "key": "acme"})
    bare = invoice_record("draft.created", kind="created")

    made = [judge([ruled("invoice.created")], parsed(one), UNSEEN_INVOICE).occurrences[0] for one in (record, bare)]

    assert freeze(made[0], "e").parties == Parties(customer_id="c-1", customer_key="acme")
    assert freeze(made[1], "e").parties == NO_PARTIES
