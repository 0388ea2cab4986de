"""What an event says: who, what, how much of how much, since when, and what happens next."""

from decimal import Decimal

import pytest

from consumer.formats import wording
from consumer.formats.message import Message, Severity
from consumer.formats.seen import see
from tests.support.payloads import PAYLOADS, with_members

MEMBERS = {"customer.name": "ACME Inc.", "customer.key": "acme", "feature.name": None, "feature.key": "llm_tokens"}
PERIOD = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
SINCE = "since 1 November 2026, 00:00 UTC"
NEXT = "until 1 December 2026, 00:00 UTC, when the next period begins"


def said(name: str, *, is_test: bool = False, **members: object) -> Message:
    paths = {path.replace("__", "."): value for path, value in members.items()}
    return wording.message(see(with_members(PAYLOADS[name], MEMBERS | paths)), is_test=is_test)


def level(usage: str, allowance: str | None, **more: object) -> dict[str, object]:
    """A value, its numbers as they are written."""
    amounts = {"usage": usage, "totalAvailableGrantAmount": allowance, **more}
    return {name: Decimal(one) if isinstance(one, str) else one for name, one in amounts.items() if one is not None}


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("usage_percentage triggered", "ACME Inc. has reached 80 % of llm_tokens"),
        ("PERCENT triggered", "ACME Inc. has reached 100 % of llm_tokens"),
        ("usage_value triggered", "ACME Inc. has reached a usage of 5,000 of llm_tokens"),
        ("balance_value triggered", "ACME Inc. is down to a balance of 10 of llm_tokens"),
        ("usage_percentage recovered", "ACME Inc. is below 80 % of llm_tokens again"),
        ("usage_value recovered", "ACME Inc. is below a usage of 5,000 of llm_tokens again"),
        ("balance_value recovered", "ACME Inc. is above a balance of 10 of llm_tokens again"),
        ("usage_percentage closed", "The period in which ACME Inc. reached 80 % of llm_tokens has ended"),
        ("balance_value closed", "The period in which ACME Inc. was down to a balance of 10 of llm_tokens has ended"),
        ("reset manual", "A new usage period of llm_tokens has begun for ACME Inc."),
        ("invoice created", "Invoice INV-SAMPLE-1 for ACME Inc. was created"),
        ("invoice paid", "Invoice INV-SAMPLE-1 for ACME Inc. is paid"),
        ("invoice payment_processing.pending", "Invoice INV-SAMPLE-1 for ACME Inc. is being paid"),
        ("invoice on_hold.by_sales", "Invoice INV-SAMPLE-1 for ACME Inc. is now “on hold”"),
    ],
)
def test_a_title_says_who_and_what(name: str, title: str) -> None:
    assert said(name).title == title


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            level("8100", "10000", balance="1900", overage="0", hasAccess=True),
            f"ACME Inc. has used 8,100 of 10,000 llm_tokens (81 %) {SINCE}. 1,900 are left {NEXT}.",
        ),
        (
            level("9999", "10000", balance="1", overage="0", hasAccess=True),
            f"ACME Inc. has used 9,999 of 10,000 llm_tokens (99.9 %) {SINCE}. 1 is left {NEXT}.",
        ),
        (
            level("10000", "10000", balance="0", overage="0", hasAccess=False),
            (
                f"ACME Inc. has used 10,000 of 10,000 llm_tokens (100 %) {SINCE}. Nothing is left. "
                f"Access is cut off {NEXT}."
            ),
        ),
        (
            level("10050", "10000", balance="0", overage="50", hasAccess=True),
            (
                f"ACME Inc. has used 10,050 of 10,000 llm_tokens (100.5 %) {SINCE}. That is 50 more than the "
                "allowance. Access goes on. The next period begins on 1 December 2026, 00:00 UTC."
            ),
        ),
        (
            level("50", "0", balance="-50", hasAccess=True),
            (
                f"ACME Inc. has used 50 of llm_tokens {SINCE}. The balance is -50. Access goes on. "
                "The next period begins on 1 December 2026, 00:00 UTC."
            ),
        ),
        (
            level("50", None, hasAccess=True),
            f"ACME Inc. has used 50 of llm_tokens {SINCE}. The next period begins on 1 December 2026, 00:00 UTC.",
        ),
        ({"hasAccess": False}, f"Access is cut off {NEXT}."),
    ],
)
def test_a_text_says_how_much_of_how_much_and_what_is_next(value: dict[str, object], text: str) -> None:
    assert said("usage_percentage triggered", value=value).text == text


@pytest.mark.parametrize(
    ("value", "end"),
    [
        (level("1", "10", balance="9", hasAccess=True), "9 are left; the period has no end."),
        (level("10", "10", balance="0", hasAccess=False), "Nothing is left. Access is cut off; the period has no end."),
        (level("10", "10", balance="0", hasAccess=True), "Nothing is left. Access goes on. The period has no end."),
    ],
)
def test_a_period_without_an_end_is_said(value: dict[str, object], end: str) -> None:
    message = said("usage_percentage triggered", value=value, entitlement__currentUsagePeriod={"from": PERIOD["from"]})

    assert message.text.endswith(end)
    facts = {fact.label: fact.value for fact in message.facts}
    assert facts["Period"] == "since 1 November 2026, 00:00 UTC, without end"


def test_a_period_that_ended_says_when_and_that_access_is_back() -> None:
    assert said("usage_percentage closed by the clock").text == (
        "The usage period that began on 1 November 2026, 00:00 UTC ended on 1 December 2026, 00:00 UTC, and a new one "
        "counts from now on. ACME Inc. has access."
    )
    unknown = said("usage_percentage closed", entitlement__currentUsagePeriod={}, value={"hasAccess": False})
    assert unknown.text == "The usage period ended, and a new one counts from now on."
    assert "Period" not in {fact.label for fact in unknown.facts}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "reset manual",
            (
                "It was reset manually on 22 November 2026, 10:15 UTC. ACME Inc. has used 0 of 100 llm_tokens (0 %) "
                f"since 22 November 2026, 10:15 UTC. 100 are left {NEXT}."
            ),
        ),
        (
            "reset automatic",
            (
                "It began on 22 November 2026, 10:15 UTC, at the end of the one before. ACME Inc. has used 0 of 100 "
                f"llm_tokens (0 %) since 22 November 2026, 10:15 UTC. 100 are left {NEXT}."
            ),
        ),
        (
            "reset automatic by the clock",
            "It began on 22 November 2026, 10:15 UTC, at the end of the one before. ACME Inc. has access.",
        ),
    ],
)
def test_a_reset_says_how_it_came(name: str, text: str) -> None:
    assert said(name).text == text


def test_a_reset_of_who_has_no_access_does_not_say_they_have() -> None:
    assert "access" not in said("reset manual", value={"hasAccess": False}).text


def test_a_later_episode_is_counted() -> None:
    message = said("again")

    assert message.text.endswith("It is the 2nd time in this period.")
    facts = {fact.label: fact.value for fact in message.facts}
    assert facts["Also reached"] == "80 %, 80 %, 80 %, 80 %, 80 %, and 2 more"


@pytest.mark.parametrize(
    ("name", "members", "text"),
    [
        (
            "invoice created",
            {},
            (
                "It amounts to 120 USD, for 1 October 2026, 00:00 UTC to 1 November 2026, 00:00 UTC. Its status is “"
                "draft, created”. It is due on 22 December 2026, 10:15 UTC."
            ),
        ),
        (
            "invoice draft.waiting_auto_approval",
            {"period": None, "dueAt": None, "totals.total": "1234567.50"},
            (
                "It amounts to 1,234,567.50 USD. Its whole status is “draft, waiting auto approval”. Before, "
                "it was “issuing, syncing”."
            ),
        ),
        (
            "invoice paid",  # whose due date says nothing any more
            {"totals": None, "previousStatus": None},
            "It covers 1 October 2026, 00:00 UTC to 1 November 2026, 00:00 UTC.",
        ),
        ("invoice issued", {"totals.total": "NaN", "period": 7, "dueAt": "soon", "previousStatus": None}, ""),
    ],
)
def test_an_invoice_says_how_much_and_when_it_is_due(name: str, members: dict[str, object], text: str) -> None:
    assert said(name, **{path.replace(".", "__"): value for path, value in members.items()}).text == text


@pytest.mark.parametrize(
    ("name", "members", "severity"),
    [
        ("usage_percentage triggered", {}, Severity.WARNING),
        ("PERCENT triggered", {"value": {"hasAccess": True}}, Severity.CRITICAL),
        ("usage_value triggered", {"value": {"hasAccess": True}}, Severity.WARNING),
        ("usage_value triggered", {"value": {"hasAccess": False}}, Severity.CRITICAL),
        ("balance_value triggered", {"value": level("1", "1", balance="0", hasAccess=True)}, Severity.CRITICAL),
        ("usage_percentage recovered", {}, Severity.GOOD),
        ("usage_percentage closed", {}, Severity.GOOD),
        ("reset manual", {}, Severity.INFO),
        ("invoice created", {}, Severity.INFO),
        ("invoice issued", {}, Severity.INFO),
        ("invoice overdue", {}, Severity.WARNING),
        ("invoice issuing.failed", {}, Severity.WARNING),
        ("invoice uncollectible", {}, Severity.CRITICAL),
        ("invoice paid", {}, Severity.GOOD),
    ],
)
def test_how_urgent_it_is(name: str, members: dict[str, object], severity: Severity) -> None:
    assert said(name, **members).severity is severity


def test_the_facts_of_a_crossing_are_complete() -> None:
    facts = {fact.label: fact.value for fact in said("PERCENT triggered", feature__name="LLM tokens").facts}

    assert facts == {
        "Customer": "ACME Inc. (acme)",
        "Subject": "sample-subject",
        "Feature": "LLM tokens (llm_tokens)",
        "Used": "100 of 100 (100 %)",
        "Left": "0",
        "Threshold": "100 %",
        "Period": "1 November 2026, 00:00 UTC to 1 December 2026, 00:00 UTC",
        "Access": "cut off",
        "Rule": "Quota",
    }


def test_the_facts_of_an_invoice_are_complete() -> None:
    assert {fact.label: fact.value for fact in said("invoice paid", number="I-7").facts} == {
        "Customer": "ACME Inc. (acme)",
        "Invoice": "I-7",
        "Invoice id": "00000000000000000000000004",
        "Status": "paid",
        "Before": "draft, waiting auto approval",
        "Total": "120 USD",
        "Period": "1 October 2026, 00:00 UTC to 1 November 2026, 00:00 UTC",
        "Rule": "Rule",
    }


def test_overage_and_a_bare_amount_are_facts() -> None:
    over = said("PERCENT triggered", value=level("12", "10", balance="0", overage="2", hasAccess=True))
    alone = said("usage_value triggered", value=level("12", None, hasAccess=True))

    assert {fact.label: fact.value for fact in over.facts}["Over the allowance"] == "2"
    assert {fact.label: fact.value for fact in alone.facts}["Used"] == "12"


@pytest.mark.parametrize(
    ("members", "who"),
    [
        ({"customer.name": None}, "acme"),
        ({"customer.name": "\u202e \n", "customer.key": ""}, "sample-subject"),  # nothing of it can be seen
        ({"customer": None, "subject": None}, "entitlement 00000000000000000000000002"),
        ({"customer": "ACME", "subject": {"key": 7, "id": "s-1"}}, "s-1"),
        ({"customer": {"id": "c-1", "name": ["x"]}, "subject": None}, "c-1"),
    ],
)
def test_who_it_is_about_is_named_by_what_there_is(members: dict[str, object], who: str) -> None:
    message = said("usage_percentage triggered", **{path.replace(".", "__"): value for path, value in members.items()})

    assert message.title == f"{who} has reached 80 % of llm_tokens"


def test_a_subject_of_the_customers_own_key_is_no_fact() -> None:
    message = said("usage_percentage triggered", subject__key="acme")

    assert "Subject" not in {fact.label for fact in message.facts}


def test_an_unnamed_invoice_is_named_by_its_id() -> None:
    message = said("invoice paid", number=None, customer=None)

    assert message.title == "Invoice 00000000000000000000000004 is paid"
    assert {fact.label for fact in message.facts}.isdisjoint({"Invoice", "Customer"})


def test_a_feature_without_anything_to_show_is_the_feature() -> None:
    message = said("usage_percentage triggered", feature={"key": "\u202e"})

    assert message.title == "ACME Inc. has reached 80 % of the feature"


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_test_says_that_nothing_has_happened(name: str) -> None:
    message, real = said(name, is_test=True), said(name)

    assert message.title == f"Test: {real.title}"
    assert message.text == f"This is a test with sample figures: nothing has happened. {real.text}"
    assert (message.facts, message.severity) == (real.facts, real.severity)


@pytest.mark.parametrize("name", PAYLOADS)
def test_no_message_has_more_than_ten_facts_or_an_empty_one(name: str) -> None:
    facts = said(name).facts

    assert 5 <= len(facts) <= 10
    assert all(fact.label and fact.value for fact in facts)
