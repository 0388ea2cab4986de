"""A template is tried on every type of event before it is taken."""

import json

import pytest

from consumer.formats.examples import examples
from consumer.formats.seen import see
from consumer.formats.template_check import check_template
from schemas.rules import RuleType
from tests.support.openapi import problems

ENTITLEMENTS = [RuleType.BALANCE_THRESHOLD, RuleType.ENTITLEMENT_RESET]
SLACK = {
    "text": "{{ message.title }}",
    "blocks": [
        {"type": "header", "text": {"type": "plain_text", "text": "{{ message.title|truncate(length=140) }}"}},
        {"when": "data.customer is defined", "type": "section", "text": {"text": "{{ data.customer.name|d('-') }}"}},
    ],
}


def test_a_template_for_all_events_is_fine() -> None:
    assert check_template(SLACK) == []


def test_what_one_type_lacks_is_refused_with_the_place() -> None:
    (problem,) = check_template({"a": {"b": ["{{ data.threshold.value }}"]}})

    assert problem.is_refused
    assert str(problem) == (
        "template.a.b[0]: this event has no data.threshold.value: give it |default('…'), or the member a `when`"
        " (entitlements.reset, a sample)"
    )


def test_a_template_for_some_types_needs_not_fit_the_others() -> None:
    tree = {"a": "{{ data.feature.key }}", "b": "{{ data.value.hasAccess }}"}

    assert check_template(tree, types=ENTITLEMENTS) == []
    assert [problem.place for problem in check_template(tree)] == ["template.a"]


@pytest.mark.parametrize(
    ("template", "types", "example"),
    [
        ("{{ data.customer.name }}", ENTITLEMENTS, "a record with what is required alone"),
        ("{{ data.value.usage }}", [RuleType.BALANCE_THRESHOLD], "a recovery at the end of a period"),
        ("{{ data.value.usage }}", [RuleType.ENTITLEMENT_RESET], "a reset by the clock"),
        ("{{ data.number }}", [RuleType.INVOICE_CREATED], "a record with what is required alone"),
        ("{{ data.totals.total }}", [RuleType.INVOICE_UPDATED], "a record with what is required alone"),
    ],
)
def test_what_an_event_may_lack_is_a_warning(template: str, types: list[RuleType], example: str) -> None:
    (problem,) = check_template([template], types=types)

    assert not problem.is_refused
    assert problem.text.endswith(f", {example})")


def test_what_is_no_template_is_not_tried() -> None:
    (problem,) = check_template(["{{ type|foo }}"], at=("channels", 0, "template"))

    assert problem.place == "channels[0].template[0]"
    assert problem.is_refused


def test_a_body_that_is_too_large_is_refused() -> None:
    problems_found = check_template(["x" * 60_000, *["{{ data }}"] * 200])

    assert any("256 KiB" in problem.text for problem in problems_found)


def test_a_form_is_tried_as_one() -> None:
    (problem,) = check_template({"a": "{{ data.rule }}"}, "form")

    assert "a form has flat values only" in problem.text


def test_the_examples_are_events_of_every_type() -> None:
    usual = {example.type for example in examples() if example.is_usual}
    rare = {example.type for example in examples() if not example.is_usual}

    assert usual == rare == set(RuleType)
    for example in examples():
        assert json.loads(example.payload)["type"] == example.type
        see(example.payload)


@pytest.mark.parametrize(
    ("type_", "model"),
    [
        (RuleType.BALANCE_THRESHOLD, "NotificationEventBalanceThresholdPayload"),
        (RuleType.ENTITLEMENT_RESET, "NotificationEventResetPayload"),
        (RuleType.INVOICE_CREATED, "NotificationEventInvoiceCreatedPayload"),
        (RuleType.INVOICE_UPDATED, "NotificationEventInvoiceUpdatedPayload"),
    ],
)
def test_a_usual_example_is_the_references_model(type_: RuleType, model: str) -> None:
    (example,) = [one for one in examples() if one.is_usual and one.type is type_]

    assert problems(model, json.loads(example.payload)) == []
