"""The registry of rule types: what each is about, and its sample."""

import pytest

from consumer.decide.model import Reason
from consumer.decide.payloads import identity, preceding
from consumer.decide.rules import ACTIONS, REASONS, features_named, is_about_invoices, of_type, sample
from consumer.decide.sample_records import UNNAMED
from schemas.rules import Rule, RuleId, RuleType, read_spec
from tests.support.factories import NOW


def rule_of(kind: RuleType, **spec: object) -> Rule:
    given = {"type": kind.value, **of_type(kind).rules.SAMPLE, **spec}
    return Rule(id=RuleId("r"), namespace="default", name="R", spec=read_spec(given), channels=())


@pytest.mark.parametrize("kind", [RuleType.BALANCE_THRESHOLD, RuleType.ENTITLEMENT_RESET])
def test_a_rule_about_entitlements_names_its_features(kind: RuleType) -> None:
    assert not is_about_invoices(kind)
    assert features_named(rule_of(kind).spec) is None
    assert features_named(rule_of(kind, features=["a", "b"]).spec) == ("a", "b")


@pytest.mark.parametrize("kind", [RuleType.INVOICE_CREATED, RuleType.INVOICE_UPDATED])
def test_a_rule_about_invoices_names_no_features(kind: RuleType) -> None:
    assert is_about_invoices(kind)
    assert features_named(rule_of(kind).spec) is None


@pytest.mark.parametrize(
    ("kind", "made_before", "has_fired"),
    [
        (RuleType.BALANCE_THRESHOLD, Reason.DUPLICATE, True),
        (RuleType.ENTITLEMENT_RESET, Reason.ALREADY_RESET, False),
        (RuleType.INVOICE_CREATED, Reason.DUPLICATE, False),
        (RuleType.INVOICE_UPDATED, Reason.DUPLICATE, False),
    ],
)
def test_a_sample_is_an_event_of_its_type(kind: RuleType, made_before: Reason, has_fired: bool) -> None:
    one = sample(rule_of(kind), UNNAMED, NOW)

    assert one.reason in REASONS[kind]
    assert one.action in ACTIONS[kind]
    assert (one.made_before, one.fired_in is not None, one.closes) == (made_before, has_fired, None)
    assert len(identity(one)) == 32
    assert preceding(one) is None
