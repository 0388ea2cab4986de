"""Native records that are understood, up to their limits, and what is passed over."""

import datetime as dt
import json

import pytest

from schemas.parse import MAX_BYTES, Ignored
from schemas.reading import MAX_LEVELS, RejectReason
from schemas.sources import Snapshot, Unmetered
from tests.support.factories import native_record
from tests.support.parsing import (
    CANARY,
    PERIOD,
    data,
    deep,
    entitlement,
    envelope,
    extra,
    name,
    parsed,
    rejected,
    snapshot,
    value,
)


def test_a_native_snapshot_is_understood() -> None:
    found = snapshot(native_record(80))

    assert (found.namespace, found.entitlement_id) == ("default", "ent-1")
    assert (found.feature_id, found.feature_key) == ("f-1", "llm_tokens")
    assert found.calculated_at == dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)
    assert found.period_from == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert found.period_to == dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    assert [str(amount) for amount in (found.usage, found.allowance, found.balance)] == ["80", "100", "20"]
    assert not found.is_deleted


def test_the_namespace_of_the_record_is_taken() -> None:
    assert snapshot(data(namespace="acme-eu")).namespace == "acme-eu"


def test_no_more_than_what_is_required_is_required() -> None:
    found = snapshot(data(customer=..., subject=..., feature={"key": "k"}, value={"usage": 1}))

    assert (found.feature_id, found.feature_key) == ("", "k")
    assert (found.allowance, found.balance) == (None, None)


@pytest.mark.parametrize(
    "record",
    [
        deep(MAX_LEVELS),
        # brackets in a text are no levels, nor are many beside each other
        extra(json.dumps("[{" * 1_000)),
        extra(json.dumps('\\"' + "[" * 1_000)),
        extra("[" + "[]," * 1_000 + "[]]"),
        # the largest amount, the smallest, and as many digits as there may be
        native_record("9" * 38, "9" * 38),
        native_record("1e-38", "1e38"),
        native_record('"80"', '"100.00"'),
        native_record('"-1.5E+3"'),
        native_record("-0"),
        # strings next to the amounts are not checked
        value('{"usage": "80", "note": "NaN"}'),
        # long numbers and exponents in texts
        extra(json.dumps("9" * 5_000)),
        extra('"1e100000"'),
        extra("9" * 400),
        extra("1e99999"),
        # the latest moment that is not the future; a period that ends far in it
        data(calculatedAt="2026-11-22T10:20:30Z"),
        entitlement(period=PERIOD | {"to": "9999-12-31T00:00:00Z"}),
        # the longest id; one with what is no control character
        entitlement(id="é" * 256),
        entitlement(id="a b\xa0c"),
        # empty ids and keys of others, and what is null
        data(customer={"id": "", "key": None}, subject=None),
        # OpenMeter's tolerance for both above 0
        value('{"usage": 1, "balance": 1e-9, "overage": 5}'),
    ],
    ids=name,
)
def test_a_record_at_the_limits_is_parsed_and_repeatable(record: bytes) -> None:
    assert snapshot(record).origin.about().feature["key"]


def test_a_parsed_record_is_repeatable_at_any_stack_depth() -> None:
    def called(levels: int) -> object:
        return called(levels - 1) if levels else found.origin.about()

    found = snapshot(deep(MAX_LEVELS))

    assert called(700)


def test_data_of_a_mebibyte_is_read_and_one_byte_more_is_not() -> None:
    def padded(size: int) -> bytes:
        empty = json.loads(data(feature={"key": "k", "more": ""}))["data"]
        room = size - len(json.dumps(empty))
        return data(feature={"key": "k", "more": "x" * room})

    assert isinstance(parsed(padded(MAX_BYTES)), Snapshot)
    assert rejected(padded(MAX_BYTES + 1)).reason is RejectReason.TOO_LARGE


@pytest.mark.parametrize(
    "record",
    [
        None,  # a tombstone
        envelope(type="com.example.other"),
        envelope(type="com.example.other", data=...),
        envelope(type="tollbell.usage.snapshot.v2", data=[CANARY]),
        envelope(type="com.example.other", data="x" * 2_000_000),
    ],
    ids=name,
)
def test_what_is_none_of_ours_is_passed_over(record: bytes | None) -> None:
    assert isinstance(parsed(record), Ignored)


@pytest.mark.parametrize("kind", ["static", "boolean"])
def test_an_unmetered_native_entitlement_is_recognised(kind: str) -> None:
    found = parsed(entitlement(type=kind))

    assert found == Unmetered("default", "ent-1", "f-1", "llm_tokens")


@pytest.mark.parametrize("period", [{"from": "2026-11-01T00:00:00Z"}, {"from": "2026-11-01T00:00:00Z", "to": None}])
def test_a_period_without_an_end_never_ends(period: dict[str, object]) -> None:
    found = snapshot(entitlement(period=period))

    assert found.period_to is None
    assert found.origin.about().entitlement["currentUsagePeriod"]["from"] == "2026-11-01T00:00:00Z"
