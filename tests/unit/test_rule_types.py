"""Rules of every type, in the rules file: which fields each has, and what an error says of one that it has not."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from consumer.commands import yaml_file
from consumer.errors import ConfigInvalid
from schemas.rules import (
    BalanceThresholdSpec,
    InvoiceCreatedSpec,
    InvoiceUpdatedSpec,
    ResetSpec,
    Rule,
    RuleId,
    RuleType,
    Spec,
    read_spec,
)
from schemas.rules_file import RulesFile

CHANNEL = """\
channels:
  - key: hook
    type: WEBHOOK
    name: Hook
    url: https://example.com/hook
"""
RULE = """\
rules:
  - key: quota
    name: Quota
    channels: [hook]
    type: TYPE
"""
THRESHOLDS = "    thresholds: [{type: usage_percentage, value: 80}]\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rules.yaml"


def read(path: Path, kind: str, more: str = "") -> RulesFile:
    path.write_text(CHANNEL + RULE.replace("TYPE", kind) + more, encoding="utf-8")
    return yaml_file.read(path, RulesFile, {}).model


@pytest.mark.parametrize(
    ("kind", "more", "spec"),
    [
        (
            "entitlements.balance.threshold",
            THRESHOLDS + "    onCreate: ignore\n",
            {"thresholds": [{"type": "usage_percentage", "value": 80}], "on_create": "ignore"},
        ),
        ("entitlements.reset", "", {}),
        ("entitlements.reset", "    features: [llm_tokens, f-2]\n", {"features": ["llm_tokens", "f-2"]}),
        ("invoice.created", "", {}),
        ("invoice.updated", "", {}),
        # short and extended, and of a metering of one's own
        (
            "invoice.updated",
            "    statuses: [paid, draft.sync_failed, a.b.c, step_2]\n",
            {"statuses": ["paid", "draft.sync_failed", "a.b.c", "step_2"]},
        ),
        # what every rule may have beside it
        ("invoice.created", "    disabled: true\n    metadata: {team: billing}\n", {}),
        # null is absent
        ("invoice.updated", "    statuses: null\n", {}),
        ("entitlements.reset", "    features: ~\n", {}),
    ],
)
def test_each_type_has_its_own_fields(path: Path, kind: str, more: str, spec: dict[str, Any]) -> None:
    (rule,) = read(path, kind, more).rules

    assert rule.spec == read_spec({"type": kind, **spec})
    assert rule.type == kind


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        # a field of another type
        ("entitlements.reset", THRESHOLDS, "line 11: rules[0].thresholds: there is no such field"),
        ("entitlements.reset", "    onCreate: ignore\n", "line 11: rules[0].onCreate: there is no such field"),
        ("entitlements.reset", "    statuses: [paid]\n", "line 11: rules[0].statuses: there is no such field"),
        ("invoice.created", "    features: [f]\n", "line 11: rules[0].features: there is no such field"),
        ("invoice.created", "    statuses: [paid]\n", "line 11: rules[0].statuses: there is no such field"),
        ("invoice.updated", "    features: [f]\n", "line 11: rules[0].features: there is no such field"),
        ("invoice.updated", "    emit: each\n", "line 11: rules[0].emit: there is no such field"),
        (
            "entitlements.balance.threshold",
            THRESHOLDS + "    statuses: [paid]\n",
            "line 12: rules[0].statuses: there is no such field",
        ),
        # what a type needs
        ("entitlements.balance.threshold", "", "line 7: rules[0].thresholds: is missing"),
        # the place inside of a field
        ("entitlements.reset", "    features: []\n", "line 11: rules[0].features: must have 1 or more members"),
        ("entitlements.reset", "    features: [f, 5]\n", "line 11: rules[0].features[1]: must be a text"),
        (
            "entitlements.balance.threshold",
            THRESHOLDS + "    onCreate: hush\n",
            "line 12: rules[0].onCreate: must be 'evaluate' or 'ignore'",
        ),
        # states
        ("invoice.updated", "    statuses: []\n", "line 11: rules[0].statuses: must have 1 or more members"),
        ("invoice.updated", "    statuses: paid\n", "line 11: rules[0].statuses: must be a list"),
        (
            "invoice.updated",
            "    statuses: [paid, HUSH]\n",
            "line 11: rules[0].statuses[1]: has a form or a character that is not allowed",
        ),
        ("invoice.updated", "    statuses: ['']\n", "line 11: rules[0].statuses[0]: must have 1 or more characters"),
        (
            "invoice.updated",
            "    statuses: [draft.]\n",
            "line 11: rules[0].statuses[0]: has a form or a character that is not allowed",
        ),
        (
            "invoice.updated",
            "    statuses: [.draft]\n",
            "line 11: rules[0].statuses[0]: has a form or a character that is not allowed",
        ),
        (
            "invoice.updated",
            "    statuses: [a..b]\n",
            "line 11: rules[0].statuses[0]: has a form or a character that is not allowed",
        ),
        (
            "invoice.updated",
            "    statuses: [a b]\n",
            "line 11: rules[0].statuses[0]: has a form or a character that is not allowed",
        ),
        (
            "invoice.updated",
            '    statuses: ["paid\\n"]\n',
            "line 11: rules[0].statuses[0]: has a form or a character that is not allowed",
        ),
        (
            "invoice.updated",
            f"    statuses: [{'s' * 257}]\n",
            "line 11: rules[0].statuses[0]: must have at most 256 characters",
        ),
        (
            "invoice.updated",
            f"    statuses: [{', '.join(f's{n}' for n in range(101))}]\n",
            "line 11: rules[0].statuses: must have at most 100 members",
        ),
        # a type that there is not
        ("hush", "", "line 10: rules[0].type: must be one of entitlements.balance.threshold, entitlements.reset"),
        ("[hush]", "", "line 10: rules[0].type: must be one of"),
        ("~", "", "line 10: rules[0].type: must be one of"),
    ],
)
def test_an_error_names_field_and_line_but_not_the_union_member(path: Path, kind: str, more: str, says: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read(path, kind, more)

    said = str(caught.value)
    assert says in said
    assert "hush" not in said.lower()
    assert f".{kind}" not in said


def test_a_rule_without_a_type_is_refused_with_its_line(path: Path) -> None:
    path.write_text(CHANNEL + RULE.replace("    type: TYPE\n", ""), encoding="utf-8")

    with pytest.raises(ConfigInvalid, match=r"line 7: rules\[0\]\.type: must be one of"):
        yaml_file.read(path, RulesFile, {})


@pytest.mark.parametrize(
    ("given", "model"),
    [
        (
            {"type": "entitlements.balance.threshold", "thresholds": [{"type": "PERCENT", "value": 1}]},
            BalanceThresholdSpec,
        ),
        ({"type": "entitlements.reset"}, ResetSpec),
        ({"type": "invoice.created"}, InvoiceCreatedSpec),
        ({"type": "invoice.updated", "statuses": ["paid"]}, InvoiceUpdatedSpec),
    ],
)
def test_a_spec_is_stored_and_read_back_as_the_same(given: dict[str, Any], model: type[Spec]) -> None:
    spec = read_spec(given)

    assert isinstance(spec, model)
    assert read_spec(spec.model_dump(by_alias=True)) == spec
    assert Rule(id=RuleId("r"), namespace="n", name="N", spec=spec, channels=("c",)).type == given["type"]


def test_every_type_of_the_contract_has_a_spec() -> None:
    found: dict[str, Any] = {}
    for kind in RuleType:
        thresholds = {"thresholds": [{"type": "usage_value", "value": 1}]} if kind is RuleType.BALANCE_THRESHOLD else {}
        found[kind] = read_spec({"type": kind.value, **thresholds}).type

    assert found == {kind: kind for kind in RuleType}


def test_a_spec_of_no_type_is_refused() -> None:
    with pytest.raises(ValidationError):
        read_spec({"type": "entitlements.balance"})
