"""Rules: what may be configured, and what is the same threshold."""

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.rules import BalanceThresholdRuleConfig as RuleConfig
from schemas.rules import BalanceThresholdSpec, Rule, RuleId
from schemas.thresholds import Threshold
from tests.support.factories import make_rule


def threshold(kind: str, value: object) -> Threshold:
    return Threshold.model_validate({"type": kind, "value": value})


def spec(**changed: Any) -> BalanceThresholdSpec:
    fields = {
        "type": "entitlements.balance.threshold",
        "thresholds": [{"type": "usage_percentage", "value": 80}],
        **changed,
    }
    return BalanceThresholdSpec.model_validate({name: value for name, value in fields.items() if value is not ...})


def problem(caught: pytest.ExceptionInfo[ValidationError]) -> str:
    (first, *_) = caught.value.errors()
    return first["msg"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (threshold("usage_percentage", 80), threshold("usage_percentage", Decimal("80.0"))),
        (threshold("usage_percentage", 80), threshold("usage_percentage", "80.000")),
        (threshold("usage_percentage", 80), threshold("usage_percentage", "8E+1")),
        (threshold("usage_percentage", 80), threshold("usage_percentage", 80.0)),
        (threshold("usage_percentage", 80), threshold("PERCENT", "80")),
        (threshold("usage_value", 80), threshold("NUMBER", 80)),
        (threshold("balance_value", 0), threshold("balance_value", "0.000")),
        (threshold("balance_value", 0), threshold("balance_value", "-0")),
        (threshold("balance_value", -5), threshold("balance_value", "-5.0")),
        (threshold("usage_value", "1e37"), threshold("usage_value", 10**37)),
    ],
)
def test_two_spellings_of_a_threshold_are_one(one: Threshold, other: Threshold) -> None:
    assert one.identity == other.identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (threshold("usage_percentage", 80), threshold("usage_value", 80)),
        (threshold("usage_value", 80), threshold("balance_value", 80)),
        (threshold("balance_value", -80), threshold("balance_value", 80)),
        (threshold("usage_value", "9" * 38), threshold("usage_value", "9" * 37 + "8")),
        (threshold("usage_value", "1e-38"), threshold("usage_value", "2e-38")),
        (threshold("usage_value", 8), threshold("usage_value", 80)),
    ],
)
def test_another_type_or_value_is_another_threshold(one: Threshold, other: Threshold) -> None:
    assert one.identity != other.identity


def test_the_same_threshold_twice_is_one_as_first_written() -> None:
    rule = make_rule(("PERCENT", "80.0"), ("usage_percentage", 80), ("usage_percentage", 90))

    assert [one.type.value for one in rule.spec.distinct.values()] == ["PERCENT", "usage_percentage"]
    assert len(rule.spec.thresholds) == 3


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        # no number, or one that only Python knows
        ("usage_value", None, "must be a number"),
        ("usage_value", True, "must be a number"),
        ("usage_value", False, "must be a number"),
        ("usage_value", [], "must be a number"),
        ("usage_value", {}, "must be a number"),
        ("usage_value", "", "must be a number, such as 80 or 99.5"),
        ("usage_value", "eighty", "must be a number, such as 80 or 99.5"),
        ("usage_value", "1_000", "must be a number, such as 80 or 99.5"),
        ("usage_value", " 80", "must be a number, such as 80 or 99.5"),
        ("usage_value", "80\n", "must be a number, such as 80 or 99.5"),
        ("usage_value", "+80", "must be a number, such as 80 or 99.5"),
        ("usage_value", "080", "must be a number, such as 80 or 99.5"),
        ("usage_value", ".5", "must be a number, such as 80 or 99.5"),
        ("usage_value", "٨٠", "must be a number, such as 80 or 99.5"),
        ("usage_value", '"80"', "must be a number, such as 80 or 99.5"),
        ("usage_value", "NaN", "must be a number, such as 80 or 99.5"),
        ("usage_value", float("nan"), "must be a number, such as 80 or 99.5"),
        ("usage_value", float("inf"), "must be a number, such as 80 or 99.5"),
        ("usage_value", Decimal("NaN"), "is not a finite number"),
        ("usage_value", Decimal("Infinity"), "is not a finite number"),
        # beyond the limits
        ("usage_value", "9" * 39, "has more than 38 significant digits"),
        pytest.param("usage_value", 10**5000, "has more than 38 significant digits", id="5001 digits"),
        ("usage_value", "1e39", "has more than 38 significant digits, or an exponent beyond ±38"),
        ("usage_value", "1e99999999999999999999", "has an exponent beyond ±38"),
        ("usage_value", Decimal("1e-39"), "has more than 38 significant digits, or an exponent beyond ±38"),
        # usage kinds are above 0; nothing is below
        ("usage_percentage", 0, "value: must be above 0"),
        ("usage_percentage", "-0.0", "value: must be above 0"),
        ("usage_value", -1, "value: must be above 0"),
        ("PERCENT", 0, "value: must be above 0"),
        ("NUMBER", 0, "value: must be above 0"),
    ],
)
def test_a_value_that_is_none_is_refused(kind: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        threshold(kind, value)

    assert says in problem(caught)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (80, "80"),
        ("80", "80"),
        (0.1, "0.1"),
        (1e22, "1E+22"),
        ("12345678901234567890.12345", "12345678901234567890.12345"),
        ("1.50", "1.50"),
        (Decimal("1E+2"), "1E+2"),
        (10**37, "1" + "0" * 37),
    ],
)
def test_a_value_keeps_all_its_digits(given: object, kept: str) -> None:
    assert str(threshold("usage_value", given).value) == kept


def test_more_than_a_hundred_percent_is_a_threshold() -> None:
    assert threshold("usage_percentage", 150).identity == "usage_percentage:150"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"type": "entitlements.reset"}, "Input should be"),
        ({"type": ...}, "Field required"),
        ({"thresholds": ...}, "Field required"),
        ({"thresholds": []}, "at least 1 item"),
        ({"thresholds": [{"type": "usage_value", "value": n + 1} for n in range(101)]}, "at most 100 items"),
        ({"thresholds": [{"type": "usage", "value": 1}]}, "'usage_percentage', 'usage_value', 'balance_value'"),
        ({"thresholds": [{"type": "usage_value"}]}, "Field required"),
        ({"thresholds": [{"type": "usage_value", "value": 1, "unit": "x"}]}, "Extra inputs are not permitted"),
        # absent means all; none at all would mean nothing
        ({"features": []}, "at least 1 item"),
        ({"features": [""]}, "at least 1 character"),
        ({"features": ["f" * 257]}, "at most 256 characters"),
        ({"features": ["a\x00b"]}, "match pattern"),
        ({"features": "llm_tokens"}, "valid tuple"),
        # not yet
        ({"emit": "most"}, "'each'"),
        ({"rearm": "always"}, "'period'"),
        ({"notifyOn": ["recovered"]}, "must have triggered"),
        ({"notifyOn": ["resolved"]}, "'triggered'"),
        ({"emit": "highest", "rearm": "recovery"}, "highest goes with neither"),
        ({"emit": "highest", "notifyOn": ["triggered", "recovered"]}, "highest goes with neither"),
        ({"notifyOn": []}, "at least 1 item"),
        ({"onCreate": "forget"}, "'evaluate'"),
        ({"theshold": 1}, "Extra inputs are not permitted"),
    ],
)
def test_a_spec_that_breaks_a_rule_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(**changed)

    assert says in problem(caught)


def test_a_hundred_thresholds_are_allowed() -> None:
    assert len(spec(thresholds=[{"type": "usage_value", "value": n + 1} for n in range(100)]).distinct) == 100


def test_a_spec_is_stored_and_read_back_with_all_digits() -> None:
    stored = spec(thresholds=[{"type": "PERCENT", "value": "99.123456789012345678901234"}], features=["f"])

    text = stored.model_dump_json(by_alias=True)

    assert BalanceThresholdSpec.model_validate(json.loads(text, parse_float=Decimal)) == stored


def config(**changed: Any) -> RuleConfig:
    fields = {"type": "entitlements.balance.threshold", "name": "Quota", "channels": ["hook"], **changed}
    return RuleConfig.model_validate({"thresholds": [{"type": "usage_percentage", "value": 80}], **fields})


@pytest.mark.parametrize(
    "changed", [{"emit": "highest"}, {"notifyOn": ["triggered", "recovered"]}, {"rearm": "recovery"}]
)
def test_what_is_computed_of_a_rule_is_no_field_of_its_spec(changed: dict[str, Any]) -> None:
    written = config(**changed)
    computed = (written.looks_back, written.distinct, written.lines, written.parts)

    spec = written.spec

    assert isinstance(spec, BalanceThresholdSpec)
    assert (spec.looks_back, spec.distinct, spec.lines, spec.parts) == computed


def test_what_a_person_writes_holds_what_is_judged() -> None:
    written = config(features=["llm_tokens"], key="quota", metadata={"team": "billing"})

    assert written.spec == spec(features=["llm_tokens"])
    assert written.spec is written.spec  # made once: of thousands of rules it is asked again and again


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"channels": []}, "at least 1 item"),
        ({"channels": [f"c{n}" for n in range(21)]}, "at most 20 items"),
        ({"name": ""}, "at least 1 character"),
        ({"name": "n" * 257}, "at most 256 characters"),
        ({"key": ""}, "at least 1 character"),
        ({"key": "a\nb"}, "match pattern"),
        ({"metadata": {"a": 1}}, "valid string"),
        ({"disabled": "perhaps"}, "valid boolean"),
    ],
)
def test_a_rule_that_breaks_a_rule_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**changed)

    assert says in problem(caught)


def test_a_rule_cannot_be_changed() -> None:
    rule = Rule(id=RuleId("r"), namespace="default", name="Quota", spec=spec(), channels=("c",))

    with pytest.raises(ValidationError, match="frozen"):
        rule.name = "other"  # type: ignore[misc]
    assert rule.type == "entitlements.balance.threshold"
