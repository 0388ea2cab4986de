"""What makes it the same reset, and its body."""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document, Reason
from consumer.decide.payloads import identity, payload, preceding
from consumer.decide.rules.entitlement_reset import Reset
from schemas import events
from schemas.parse import parse
from schemas.sources import Snapshot
from tests.support import openmeter_examples as openmeter
from tests.support.factories import NOW, PERIOD, make_snapshot
from tests.support.records import make_period_end, native_reset
from tests.support.rules import reset_rule

LATEST = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)


def reset(rule: str = "rule-1", start: dt.datetime = PERIOD[0], **snapshot: Any) -> Reset:
    return Reset(
        rule=reset_rule(rule),
        source=make_snapshot(0, **snapshot),
        period_from=start,
        reason=Reason.RESET_MANUAL,
        at=start,
    )


SAME = [
    # of either kind, at any time of reset
    replace(reset(), reason=Reason.RESET_AUTOMATIC, at=NOW),
    # whatever shows it: another record, the clock
    reset(minute=5, reset_at=NOW),
    replace(reset(), source=make_period_end()),
    # not the rule's other settings
    replace(reset(), rule=reset_rule(features=["llm_tokens"])),
    # the same moment in another offset
    reset(start=PERIOD[0].astimezone(dt.timezone(dt.timedelta(0)))),
]
OTHERS = [
    reset(),
    reset(rule="rule-2"),
    reset(namespace="elsewhere"),
    reset(entitlement_id="ent-2"),
    reset(start=PERIOD[0] + dt.timedelta(microseconds=1)),
    # what stands together in one is apart in the other
    reset(namespace="default1", rule="rule-"),
]


@pytest.mark.parametrize("same", SAME)
def test_the_same_reset_has_the_same_identity(same: Reset) -> None:
    assert identity(same) == identity(reset())


def test_every_part_of_an_identity_makes_another_reset() -> None:
    assert len({identity(one) for one in OTHERS}) == len(OTHERS)


def test_an_identity_is_32_bytes_and_stays_what_it_is() -> None:
    # Written to databases: another value would make every reset fire again.
    assert identity(reset()).hex() == "443b95f1ff56db667f75dd765479b24e20eed57d512e6145b8bc371a8fa30682"


def test_no_event_must_precede_that_of_a_reset() -> None:
    assert preceding(reset()) is None


def test_a_reset_is_of_the_moment_at_which_the_new_period_begins() -> None:
    assert replace(reset(), at=NOW).occurred_at == PERIOD[0]


def body(record: bytes, *features: str) -> dict[str, Any]:
    source = parse(record, (), latest=LATEST)
    assert isinstance(source, Snapshot)
    (one,) = judge([reset_rule(features=list(features) or None)], source, UNSEEN).occurrences
    made = payload(one, "event-1")
    assert msgspec.json.decode(made, type=events.ResetEvent).data.action == "triggered"
    said: dict[str, Any] = json.loads(made)
    return said


def test_a_resets_body_is_the_references_envelope_plus_reset() -> None:
    assert body(native_reset(), "f-1", "unseen") == {
        "id": "event-1",
        "type": "entitlements.reset",
        "timestamp": "2026-11-01T00:00:00Z",
        "data": {
            "action": "triggered",
            "rule": {
                "id": "rule-1",
                "name": "Rule",
                "type": "entitlements.reset",
                "features": [{"id": "f-1", "key": "llm_tokens"}, {"id": "unseen", "key": "unseen"}],
            },
            "reset": {"kind": "manual", "at": "2026-11-22T10:00:00Z"},
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
            "value": {"usage": 0, "balance": 100, "overage": 0, "totalAvailableGrantAmount": 100, "hasAccess": True},
        },
    }


def test_a_rule_about_all_features_names_none() -> None:
    assert "features" not in body(native_reset())["data"]["rule"]


def test_openmeters_reset_is_of_its_new_period() -> None:
    said = body(openmeter.snapshot("reset"))

    assert said["timestamp"] == "2026-08-18T16:05:00Z"
    assert said["data"]["reset"] == {"kind": "manual", "at": "2026-08-18T16:05:00Z"}
    assert said["data"]["value"]["usage"] == 0


def test_a_snapshots_rollover_is_automatic_at_its_periods_start() -> None:
    seen = Document(period_from=PERIOD[0] - dt.timedelta(days=31), period_to=PERIOD[0])
    (one,) = judge([reset_rule()], make_snapshot(5), seen).occurrences

    said = json.loads(payload(one, "event-1"))

    assert said["data"]["reset"] == {"kind": "automatic", "at": "2026-11-01T00:00:00Z"}
    assert said["timestamp"] == "2026-11-01T00:00:00Z"


def test_the_clocks_reset_says_access_and_no_amount() -> None:
    seen = Document(period_from=PERIOD[0], period_to=PERIOD[1])
    (one,) = judge([reset_rule()], make_period_end(), seen).occurrences

    said = json.loads(payload(one, "event-1"))

    assert said["timestamp"] == "2026-12-01T00:00:00Z"
    assert said["data"]["reset"] == {"kind": "automatic", "at": "2026-12-01T00:00:00Z"}
    assert said["data"]["value"] == {"hasAccess": True}
    assert not {"subject", "customer", "threshold", "crossing"} & said["data"].keys()
