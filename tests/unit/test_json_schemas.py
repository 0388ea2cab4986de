"""The JSON Schemas: as the models make them, taking what we take and what we send."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN
from consumer.decide.payloads import payload
from schemas import export
from schemas.parse import Reject, parse
from schemas.sources import Snapshot
from tests.support.factories import make_rule, native_record, openmeter_record

LATEST = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
RECORD = "tollbell.usage.snapshot.json"
PAYLOAD = "entitlements.balance.threshold.json"
RULES_FILE = "rules-file.json"


def errors(name: str, instance: object) -> list[str]:
    """Return what is wrong with *instance* by the schema *name*: the path of each mistake."""
    schema = json.loads((export.DIRECTORY / name).read_text())
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(instance)]


def made_payload(record: bytes) -> dict[str, Any]:
    source = parse(record, [], latest=LATEST)
    assert isinstance(source, Snapshot)
    [crossing] = judge([make_rule(percents=[80], features=["llm_tokens", "other"])], source, UNSEEN).occurrences
    made: dict[str, Any] = json.loads(payload(crossing, "01K9ZBC3K9YJ4M2V7Q8R5T6W1X"), parse_float=Decimal)
    return made


@pytest.mark.parametrize("name", export.schemas())
def test_the_file_is_what_the_models_make(name: str) -> None:
    made = export.text(export.schemas()[name])

    assert (export.DIRECTORY / name).read_text() == made, f"schemas/json/{name} is out of date: run `make schemas`"


def test_no_file_is_left_of_a_schema_that_is_gone() -> None:
    assert {path.name for path in export.DIRECTORY.iterdir()} == export.schemas().keys() | {"openapi.json"}, (
        "run `make schemas`"
    )


@pytest.mark.parametrize("name", export.schemas())
def test_each_is_a_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(export.schemas()[name])


def test_making_them_again_takes_away_what_is_stale(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone.json").touch()
    monkeypatch.setattr(export, "DIRECTORY", tmp_path)

    export.main({"more.json": {}})

    assert {path.name for path in tmp_path.iterdir()} == export.schemas().keys() | {"more.json"}


@pytest.mark.parametrize("usage", ["81", '"81"', "8.1e1", "81.0000000000000000000000001", '"-0.5"'])
def test_a_native_record_that_we_take_is_valid(usage: str) -> None:
    record = native_record(usage)

    assert not isinstance(parse(record, [], latest=LATEST), Reject)
    assert errors(RECORD, json.loads(record, parse_float=Decimal)) == []


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"value": {"allowance": 100}}, "$.data.value"),
        ({"value": {"usage": "NaN"}}, "$.data.value.usage"),
        ({"value": {"usage": "1_000"}}, "$.data.value.usage"),
        ({"value": {"usage": True}}, "$.data.value.usage"),
        ({"entitlement": {"id": "ent-1"}}, "$.data.entitlement"),
        ({"feature": {"id": "f-1"}}, "$.data.feature"),
        ({"feature": {"key": ""}}, "$.data.feature.key"),
        ({"customer": {"key": "a\u0000b"}}, "$.data.customer"),
        ({"namespace": "n" * 257}, "$.data.namespace"),
        ({"calculatedAt": 1}, "$.data.calculatedAt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_native_record_that_we_reject_is_invalid(data: dict[str, Any], path: str) -> None:
    record = json.loads(native_record(1))
    record["data"] |= data

    assert isinstance(parse(json.dumps(record).encode(), [], latest=LATEST), Reject)
    assert errors(RECORD, record) == [path]


@pytest.mark.parametrize(
    "record",
    [
        native_record(81),
        native_record("81.0000000000000000000000001"),
        native_record(81, customer=None, subject=None, feature={"key": "llm_tokens", "id": None, "unit": "tokens"}),
        native_record(81, value={"usage": 81, "allowance": 100, "balance": 19, "overage": 0, "hasAccess": False}),
        openmeter_record(),
        openmeter_record(customer=None, subject=None, feature=None),
    ],
    ids=["native", "exact", "bare", "whole", "openmeter", "openmeter-bare"],
)
def test_what_we_send_is_valid(record: bytes) -> None:
    assert errors(PAYLOAD, made_payload(record)) == []


@pytest.mark.parametrize(
    ("part", "change", "path"),
    [
        ("value", {"usage": "81"}, "$.data.value.usage"),
        ("value", {"hasAccess": None}, "$.data.value.hasAccess"),
        ("threshold", {"value": "80"}, "$.data.threshold.value"),
        ("crossing", {"episode": "1"}, "$.data.crossing.episode"),
        ("feature", {"key": None}, "$.data.feature.key"),
        ("entitlement", {"type": "static"}, "$.data.entitlement.type"),
        ("rule", {"features": None}, "$.data.rule.features"),
    ],
)
def test_what_we_never_send_is_invalid(part: str, change: dict[str, Any], path: str) -> None:
    sent = made_payload(native_record(81))
    sent["data"][part] |= change

    assert errors(PAYLOAD, sent) == [path]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({}, None),
        ({"thresholds": [{"type": "balance_value", "value": "0.5"}]}, None),
        ({"thresholds": []}, "$.rules[0].thresholds"),
        ({"thresholds": [{"type": "percent", "value": 1}]}, "$.rules[0].thresholds[0].type"),
        ({"thresholds": [{"type": "NUMBER", "value": "1_000"}]}, "$.rules[0].thresholds[0].value"),
        ({"emit": "most"}, "$.rules[0].emit"),
        ({"color": "red"}, "$.rules[0]"),
        ({"key": None}, "$.rules[0].key"),
    ],
)
def test_a_rules_file_has_the_fields_that_apply_takes(change: dict[str, Any], path: str | None) -> None:
    rule = {
        "key": "quota",
        "type": "entitlements.balance.threshold",
        "name": "Quota",
        "channels": ["hook"],
        "thresholds": [{"type": "usage_percentage", "value": 80}],
    } | change
    channel = {"key": "hook", "type": "WEBHOOK", "name": "Hook", "url": "https://example.com/", "customHeaders": None}

    assert errors(RULES_FILE, {"channels": [channel], "rules": [rule]}) == ([path] if path else [])


def test_a_variable_may_replace_each_text_that_is_often_secret() -> None:
    channel = {
        "key": "hook",
        "type": "WEBHOOK",
        "name": "Hook",
        "url": "${HOOK_URL}",
        "customHeaders": {"Authorization": "${HOOK_TOKEN}"},
        "signingSecret": "${HOOK_SECRET}",
    }

    assert errors(RULES_FILE, {"channels": [channel], "rules": []}) == []
