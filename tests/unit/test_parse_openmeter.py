"""OpenMeter's own snapshots: understood, or rejected with words."""

import datetime as dt
from typing import Any

import pytest

from schemas.sources import Unmetered
from tests.support.factories import OPENMETER_ENTITLEMENT, openmeter_record
from tests.support.parsing import PERIOD, level, name, parsed, rejected, snapshot


def openmeter_entitlement(**changed: Any) -> bytes:
    members = {**OPENMETER_ENTITLEMENT, **changed}
    return openmeter_record(entitlement={name: member for name, member in members.items() if member is not ...})


def test_an_openmeter_snapshot_is_understood() -> None:
    found = snapshot(openmeter_record())

    assert (found.namespace, found.entitlement_id) == ("default", "01J5WM25BAXSCBKG2D9NDYJB6S")
    assert (found.feature_id, found.feature_key) == ("01J5WKAM9FJ4621ARR641JS17Q", "llm_tokens")
    assert found.calculated_at == dt.datetime(2026, 8, 18, 16, 1, 50, 310_000, tzinfo=dt.UTC)
    assert found.period_from == dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
    assert found.period_to == dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
    assert level(found) == (8100, 10_000, 1900)


def test_openmeter_amounts_are_judged_rounded() -> None:
    text = (
        '{"usage": 99.99999999999999, "totalAvailableGrantAmount": 100.00000000000001, "balance": 1e-12, "overage": 0}'
    )

    found = snapshot(openmeter_record(text))

    assert level(found) == (100, 100, 0)


def test_an_allowance_that_openmeter_leaves_out_stays_unknown() -> None:
    found = snapshot(openmeter_record('{"usage": 8100, "balance": 1900, "overage": 0, "hasAccess": true}'))

    assert level(found) == (8100, None, 1900)


def test_openmeters_subject_path_may_be_longer_than_a_key() -> None:
    path = b"//openmeter.io/namespace/default/" + b"a" * 300

    assert snapshot(openmeter_record().replace(b"//openmeter.io/namespace/default/customer", path)).usage == 8100


@pytest.mark.parametrize(
    "record",
    [
        openmeter_record("{}"),
        # only an update of an active entitlement is about its level
        openmeter_record("null", operation="reset"),
        openmeter_record("null", operation="delete"),
        openmeter_record("null", entitlement=OPENMETER_ENTITLEMENT | {"activeTo": "2026-08-18T16:01:50.31Z"}),
        openmeter_record("null", entitlement=OPENMETER_ENTITLEMENT | {"activeFrom": "2026-08-18T16:01:50.32Z"}),
    ],
    ids=name,
)
def test_an_openmeter_value_that_is_not_there_is_unknown(record: bytes) -> None:
    found = snapshot(record)

    assert level(found) == (None, None, None)


def test_an_active_update_without_a_value_is_rejected() -> None:
    active = {"activeFrom": "2026-08-18T16:01:50.31Z", "activeTo": "2026-08-18T16:01:50.32Z"}
    for entitlement in (OPENMETER_ENTITLEMENT, OPENMETER_ENTITLEMENT | active):
        found = rejected(openmeter_record("null", entitlement=entitlement))

        assert found.reason == "invalid"
        assert found.error.startswith("data.value: is missing")


@pytest.mark.parametrize(("operation", "is_deleted"), [("update", False), ("reset", False), ("delete", True)])
def test_an_openmeter_delete_is_known_as_such(operation: str, is_deleted: bool) -> None:
    assert snapshot(openmeter_record(operation=operation)).is_deleted is is_deleted


@pytest.mark.parametrize("kind", ["static", "boolean"])
def test_an_unmetered_entitlement_needs_no_period(kind: str) -> None:
    found = parsed(openmeter_entitlement(type=kind, currentUsagePeriod=...))

    assert isinstance(found, Unmetered)
    assert found.feature_key == "llm_tokens"


@pytest.mark.parametrize(
    ("times", "active_to"),
    [
        ({}, None),
        ({"activeTo": "2026-09-01T00:00:00Z"}, dt.datetime(2026, 9, 1, tzinfo=dt.UTC)),
        ({"deletedAt": "2026-08-01T00:00:00Z"}, dt.datetime(2026, 8, 1, tzinfo=dt.UTC)),
        # whichever comes first
        (
            {"activeTo": "2026-09-01T00:00:00Z", "deletedAt": "2026-08-01T00:00:00Z"},
            dt.datetime(2026, 8, 1, tzinfo=dt.UTC),
        ),
    ],
)
def test_an_openmeter_entitlement_ends_when_it_is_deleted(times: dict[str, str], active_to: dt.datetime | None) -> None:
    assert snapshot(openmeter_entitlement(**times)).active_to == active_to


@pytest.mark.parametrize(
    ("record", "reason", "says"),
    [
        (openmeter_record(namespace="default"), "invalid", "data.namespace: expected object, got str"),
        (openmeter_record(namespace={"id": ""}), "invalid", "data.namespace.id: expected str of length >= 1"),
        (openmeter_record(entitlement=None), "invalid", "data.entitlement: expected object, got null"),
        (openmeter_record(calculatedAt=None), "invalid", "data.calculatedAt: is missing"),
        (openmeter_record(calculatedAt="0001-01-01T00:00:00Z"), "invalid", "calculatedAt is in the year 1"),
        (openmeter_record(calculatedAt="2099-01-01T00:00:00Z"), "in_future", "calculatedAt is ahead"),
        (openmeter_record("5"), "invalid", "data.value: expected object, got int"),
        (openmeter_record('{"usage": "1_000"}'), "invalid", "data.value.usage: is a string that is not"),
        (openmeter_record('{"usage": 1e39}'), "invalid", "data.value.usage: has more than 38"),
        (openmeter_record('{"hasAccess": "yes"}'), "invalid", "data.value.hasAccess: expected bool | null, got str"),
        (openmeter_record('{"balance": 1, "overage": 1}'), "contradictory", "balance and overage are both above 0"),
        (
            openmeter_record('{"totalAvailableGrantAmount": true}'),
            "invalid",
            "data.value.totalAvailableGrantAmount: expected decimal | null, got bool",
        ),
        (
            openmeter_entitlement(currentUsagePeriod=...),
            "invalid",
            "data.entitlement.currentUsagePeriod: is missing",
        ),
        (
            openmeter_entitlement(currentUsagePeriod={"from": PERIOD["to"], "to": PERIOD["from"]}),
            "invalid",
            "data.entitlement.currentUsagePeriod: does not end after it starts",
        ),
        (openmeter_entitlement(id="a\x00"), "invalid", "data.entitlement.id: has a control character"),
        (openmeter_entitlement(featureKey="a" * 257), "invalid", "data.entitlement.featureKey: expected str of length"),
        (openmeter_record(customer={"key": "a" * 257}), "invalid", "data.customer.key: expected str of length"),
        (openmeter_record(subject={"key": "a" * 4_500}), "invalid", "data.subject.key: expected str of length"),
        (openmeter_record(feature={"key": "a" * 257}), "invalid", "data.feature.key: expected str of length"),
        (openmeter_record(feature={"id": "a\n"}), "invalid", "data.feature.id: has a control character"),
        (
            openmeter_entitlement(featureKey=...),
            "invalid",
            "data.entitlement: object missing required field featureKey",
        ),
        (openmeter_entitlement(activeTo="x"), "invalid", "data.entitlement.activeTo: is not an RFC 3339 time"),
    ],
    ids=name,
)
def test_a_bad_openmeter_record_is_rejected_with_words(record: bytes, reason: str, says: str) -> None:
    found = rejected(record)

    assert found.reason == reason
    assert says in found.error
