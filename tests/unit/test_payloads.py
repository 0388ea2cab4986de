"""What makes it the same event; and the body, frozen, with every digit."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Reason
from consumer.decide.payloads import identity, payload, preceding
from consumer.decide.rules.crossing import Crossing
from schemas import events, times
from schemas.events import Action
from schemas.parse import parse
from schemas.rules import RuleId
from schemas.sources import Snapshot
from tests.support.factories import PERIOD, make_rule, make_snapshot, native_record, openmeter_record

LATEST = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)


def crossing(kind: str = "usage_percentage", value: object = 80, rule: str = "rule-1", **snapshot: Any) -> Crossing:
    made = make_rule((kind, value), rule_id=rule)
    shown = make_snapshot(100, balance=0, **snapshot)
    return Crossing(
        rule=made,
        threshold=made.spec.thresholds[0],
        episode=1,
        snapshot=shown,
        period_from=shown.period_from,
        at=shown.calculated_at,
        reason=Reason.FIRST_CROSSING,
    )


def renamed(one: Crossing, **changed: Any) -> Crossing:
    return replace(one, rule=one.rule.model_copy(update=changed))


def episode(number: int, action: Action = Action.TRIGGERED) -> Crossing:
    return replace(crossing(), episode=number, action=action)


RECOVERED = Action.RECOVERED
SAME = [
    # however the threshold is written
    crossing("PERCENT", "80.00"),
    crossing(value="8E+1"),
    # not the rule's other settings
    renamed(crossing(), name="Other", channels=("channel-9",)),
    replace(crossing(), rule=make_rule(percents=[50, 80], features=["llm_tokens"])),
    # not the record, its time or its levels; nor the period's end
    crossing(minute=5),
    crossing(allowance=7),
    crossing(period=(PERIOD[0], PERIOD[1] + dt.timedelta(days=1))),
    crossing(feature_key="other", feature_id=""),
    # the same moment in another offset
    crossing(period=(PERIOD[0].astimezone(dt.timezone(dt.timedelta(0))), PERIOD[1])),
]
OTHERS = [
    crossing(),
    crossing(rule="rule-2"),
    crossing(namespace="elsewhere"),
    crossing(entitlement_id="ent-2"),
    crossing(period=(PERIOD[0] + dt.timedelta(microseconds=1), PERIOD[1])),
    crossing(value="80.000000000000000000000000000000000001"),
    crossing(value=8),
    crossing("usage_value"),
    crossing("balance_value"),
    episode(2),
    episode(1, RECOVERED),
    # what stands together in one is apart in the other
    crossing(namespace="default1", rule="rule-"),
    crossing(entitlement_id="ent-12026"),
]


@pytest.mark.parametrize("same", SAME)
def test_the_same_event_has_the_same_identity(same: Crossing) -> None:
    assert identity(same) == identity(crossing())


def test_every_part_of_an_identity_makes_another_event() -> None:
    assert len({identity(one) for one in OTHERS}) == len(OTHERS)


def test_an_identity_is_32_bytes_and_stays_what_it_is() -> None:
    # Written to databases: another value would make every event of the period again.
    assert identity(crossing()).hex() == "28e441bff937d70d2b5a2fc614143681c7641f8dfa5442b50439fd50546638d9"


@pytest.mark.parametrize(
    ("one", "before"),
    [
        # a recovery comes after what it recovers from, the next episode after that recovery
        (episode(1, RECOVERED), episode(1)),
        (episode(2), episode(1, RECOVERED)),
        (episode(2, RECOVERED), episode(2)),
        (episode(3), episode(2, RECOVERED)),
        # the first of a period after nothing
        (episode(1), None),
    ],
)
def test_what_a_receiver_must_have_had_before(one: Crossing, before: Crossing | None) -> None:
    assert preceding(one) == (before and identity(before))


def body(record: bytes, *thresholds: tuple[str, object], features: list[str] | None = None) -> list[bytes]:
    snapshot = parse(record, (), latest=LATEST)
    assert isinstance(snapshot, Snapshot)
    rule = make_rule(*thresholds, features=features, rule_id=RuleId("rule-1"))
    return [payload(one, f"event-{n}") for n, one in enumerate(judge([rule], snapshot, UNSEEN).occurrences, 1)]


def test_the_body_is_the_reference_products_envelope() -> None:
    (made,) = body(native_record(8100, 10_000), ("usage_percentage", 80), features=["llm_tokens", "unseen"])

    assert json.loads(made) == {
        "id": "event-1",
        "type": "entitlements.balance.threshold",
        "timestamp": "2026-11-22T10:15:30Z",
        "data": {
            "action": "triggered",
            "rule": {
                "id": "rule-1",
                "name": "Quota",
                "type": "entitlements.balance.threshold",
                "thresholds": [{"type": "usage_percentage", "value": 80}],
                "features": [{"id": "f-1", "key": "llm_tokens"}, {"id": "unseen", "key": "unseen"}],
            },
            "threshold": {"type": "usage_percentage", "value": 80},
            "subject": {"key": "acme-prod"},
            "customer": {"id": "c-1", "key": "acme", "name": "ACME Inc."},
            "feature": {"id": "f-1", "key": "llm_tokens"},
            "entitlement": {
                "id": "ent-1",
                "type": "metered",
                "featureId": "f-1",
                "featureKey": "llm_tokens",
                "subjectKey": "acme-prod",
                "currentUsagePeriod": {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"},
            },
            "value": {
                "usage": 8100,
                "balance": 1900,
                "overage": 0,
                "totalAvailableGrantAmount": 10_000,
                "hasAccess": True,
            },
            "crossing": {"episode": 1, "alsoCrossed": []},
        },
    }


def test_a_rule_about_all_features_names_none() -> None:
    (made,) = body(native_record(8100, 10_000), ("usage_percentage", 80))

    assert "features" not in json.loads(made)["data"]["rule"]


@pytest.mark.parametrize(
    "record", [native_record(100), openmeter_record('{"usage": 100}')], ids=["native", "openmeter"]
)
def test_the_timestamp_is_when_it_was_calculated(record: bytes) -> None:
    (made,) = body(record, ("usage_value", 100))

    said = json.loads(made)
    assert times.parse(said["timestamp"]) == times.parse(json.loads(record)["data"]["calculatedAt"])


@pytest.mark.parametrize(
    "digits",
    ["1234567890123456789.123456", "1" * 38, "0." + "1" * 37, "80.50", "1E+2", "100", "-0.0", "1E-38"],
)
def test_amounts_leave_as_json_numbers_with_the_digits_that_came(digits: str) -> None:
    (made,) = body(native_record(digits, digits), ("balance_value", 10**37))

    value = json.loads(made, parse_float=str, parse_int=str)["data"]["value"]
    assert (value["usage"], value["totalAvailableGrantAmount"]) == (digits, digits)


@pytest.mark.parametrize("digits", ["12345678901234567890.12345", "1.50", "1E+2", "1" * 38])
def test_a_threshold_leaves_as_it_was_written(digits: str) -> None:
    (made,) = body(native_record("9" * 38, "9" * 38), ("NUMBER", Decimal(digits)))

    said = json.loads(made, parse_float=str, parse_int=str)["data"]
    assert said["threshold"] == {"type": "NUMBER", "value": digits}
    assert said["rule"]["thresholds"] == [said["threshold"]]


def test_a_number_in_a_string_leaves_as_a_number() -> None:
    (made,) = body(native_record('"80.50"', '"100"'), ("usage_percentage", 80))

    assert b'"usage":80.50' in made


def test_a_body_is_utf_8_and_holds_no_escapes() -> None:
    (made,) = body(native_record(100, customer={"name": "Ünïcödé ✓ 😀"}), ("usage_value", 1))

    assert "Ünïcödé ✓ 😀".encode() in made


def test_the_body_fits_its_own_model() -> None:
    for record in (native_record(100), openmeter_record()):
        (made,) = body(record, ("usage_value", 1))

        assert msgspec.json.decode(made, type=events.BalanceThresholdEvent).timestamp


def test_a_jump_makes_a_body_for_each_threshold() -> None:
    made = body(native_record(110), ("usage_percentage", 100), ("usage_percentage", 50))

    assert [json.loads(one)["data"]["threshold"]["value"] for one in made] == [50, 100]
