"""Native resets, and what OpenMeter's snapshots say of resets and deletes: read, or rejected with words."""

import datetime as dt
import json
from typing import Any

import pytest

from schemas.parse import Parsed, Reject, parse
from schemas.sources import Snapshot, Unmetered
from tests.support import openmeter_examples as openmeter
from tests.support.records import native_reset

LATEST = dt.datetime(2026, 11, 22, 10, 20, 30, tzinfo=dt.UTC)
PERIOD = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
BINARY = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e-1"),
    ("ce_source", b"my-metering"),
    ("ce_type", b"tollbell.entitlement.reset"),
)


def parsed(record: bytes, *headers: tuple[str, bytes]) -> Parsed:
    return parse(record, headers, latest=LATEST)


def snapshot(record: bytes, *headers: tuple[str, bytes]) -> Snapshot:
    found = parsed(record, *headers)
    assert isinstance(found, Snapshot), found
    return found


def entitlement(**changed: Any) -> bytes:
    return native_reset(entitlement={"id": "ent-1", "period": PERIOD, **changed})


def test_a_native_reset_is_a_new_periods_snapshot_with_its_time() -> None:
    found = snapshot(native_reset(namespace="acme-eu"))

    assert (found.namespace, found.entitlement_id, found.feature_key) == ("acme-eu", "ent-1", "llm_tokens")
    assert (found.usage, found.allowance, found.balance) == (0, 100, 100)
    assert found.period_from == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert found.calculated_at == dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)
    assert found.reset_at == dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
    assert not found.is_deleted


def test_in_binary_mode_the_value_is_the_data() -> None:
    data = json.loads(native_reset())["data"]

    found = snapshot(json.dumps(data | {"subject": None}).encode(), *BINARY, ("ce_subject", b"someone"))

    assert found.reset_at == dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
    assert found.origin.about().subject == {"key": "someone"}


def test_what_the_payload_repeats_is_what_a_snapshot_repeats() -> None:
    about = snapshot(native_reset()).origin.about()

    assert about.entitlement["currentUsagePeriod"] == PERIOD
    assert about.value["balance"] == 100
    assert "resetAt" not in about.entitlement


@pytest.mark.parametrize("kind", ["static", "boolean"])
def test_a_reset_of_what_is_not_metered_is_known_as_such(kind: str) -> None:
    assert isinstance(parsed(entitlement(type=kind)), Unmetered)


@pytest.mark.parametrize(
    ("record", "reason", "says"),
    [
        # a field is missing, or another type
        (native_reset(resetAt=...), "invalid", "data: object missing required field resetAt"),
        (native_reset(resetAt=None), "invalid", "data.resetAt: expected str, got null"),
        (native_reset(resetAt=5), "invalid", "data.resetAt: expected str, got int"),
        (native_reset(calculatedAt=...), "invalid", "data: object missing required field calculatedAt"),
        (native_reset(entitlement=...), "invalid", "data: object missing required field entitlement"),
        (native_reset(feature=[]), "invalid", "data.feature: expected object, got array"),
        (native_reset(value=...), "invalid", "data: object missing required field value"),
        (native_reset(value={"allowance": 1}), "invalid", "data.value: object missing required field usage"),
        # no time, or one that is not
        (native_reset(resetAt=""), "invalid", "data.resetAt: is not an RFC 3339 time"),
        (native_reset(resetAt="2026-11-22"), "invalid", "data.resetAt: is not an RFC 3339 time"),
        (native_reset(resetAt="2026-02-30T00:00:00Z"), "invalid", "data.resetAt: is a day or time that does not exist"),
        (native_reset(resetAt="x" * 65), "invalid", "data.resetAt: is not an RFC 3339 time"),
        # too long, empty, a control character
        (native_reset(namespace="n" * 257), "invalid", "data.namespace: expected str of length <= 256"),
        (native_reset(namespace=""), "invalid", "data.namespace: expected str of length >= 1"),
        (native_reset(feature={"key": "k" * 257}), "invalid", "data.feature.key: expected str of length <= 256"),
        (entitlement(id="a\x1fb"), "invalid", "data.entitlement.id: has a control character"),
        (native_reset(customer={"key": "a\n"}), "invalid", "data.customer.key: has a control character"),
        # amounts
        (native_reset(value={"usage": "NaN"}), "invalid", "data.value.usage: is a string that is not a JSON number"),
        (native_reset(value={"usage": 10**38}), "invalid", "data.value.usage: has more than 38 significant digits"),
        (native_reset(value={"usage": 1, "balance": 1, "overage": 1}), "contradictory", "both above 0"),
        # a period that does not end after it starts
        (entitlement(period={"from": PERIOD["to"], "to": PERIOD["from"]}), "invalid", "does not end after it starts"),
        (entitlement(period={"from": PERIOD["to"], "to": PERIOD["to"]}), "invalid", "does not end after it starts"),
        # the future, and the year 1
        (native_reset(calculatedAt="2026-11-22T10:20:30.000001Z"), "in_future", "calculatedAt is ahead"),
        (
            entitlement(period={"from": "2026-11-22T10:20:30.000001Z", "to": PERIOD["to"]}),
            "in_future",
            "the period's start is ahead of the database's clock",
        ),
        (native_reset(calculatedAt="0001-01-01T00:00:00Z"), "invalid", "calculatedAt is in the year 1"),
        (
            entitlement(period={"from": "0001-01-01T00:00:00Z", "to": PERIOD["to"]}),
            "invalid",
            "the period's start is in the year 1",
        ),
    ],
)
def test_a_bad_reset_is_rejected_with_words(record: bytes, reason: str, says: str) -> None:
    found = parsed(record)

    assert isinstance(found, Reject), found
    assert found.reason == reason
    assert says in found.error


def test_the_last_moment_that_is_not_the_future_is_taken() -> None:
    assert snapshot(native_reset(calculatedAt="2026-11-22T10:20:30Z")).calculated_at == LATEST


@pytest.mark.parametrize(
    ("operation", "reset_at", "is_deleted"),
    [
        ("update", None, False),
        ("reset", dt.datetime(2026, 8, 18, 16, 5, tzinfo=dt.UTC), False),
        ("delete", None, True),
        # one that this release does not know is a usage snapshot
        ("recalculate", None, False),
    ],
)
def test_openmeters_operation_says_what_a_snapshot_is(
    operation: str, reset_at: dt.datetime | None, is_deleted: bool
) -> None:
    found = snapshot(openmeter.snapshot(operation))

    assert (found.reset_at, found.is_deleted) == (reset_at, is_deleted)


def test_openmeters_reset_is_of_its_new_period() -> None:
    found = snapshot(openmeter.snapshot("reset"))

    assert found.period_from == found.calculated_at == found.reset_at
    assert (found.usage, found.allowance, found.balance) == (0, 10_000, 10_000)


def test_openmeters_delete_needs_no_value_and_says_when_it_ended() -> None:
    found = snapshot(openmeter.snapshot("delete"))

    assert (found.usage, found.allowance, found.balance) == (None, None, None)
    assert found.active_to == dt.datetime(2026, 8, 18, 16, 1, 50, tzinfo=dt.UTC)


def test_openmeters_reset_in_binary_mode() -> None:
    data = json.dumps(json.loads(openmeter.snapshot("reset"))["data"]).encode()
    headers = {**dict(BINARY), "ce_type": b"io.openmeter.entitlement.v2.entitlement.snapshot"}

    assert snapshot(data, *headers.items()).reset_at is not None


@pytest.mark.parametrize("operation", [..., None, 5])
def test_an_openmeter_snapshot_without_operation_is_rejected(operation: object) -> None:
    found = parsed(openmeter.snapshot(operation=operation))

    assert isinstance(found, Reject)
    assert "operation" in found.error
