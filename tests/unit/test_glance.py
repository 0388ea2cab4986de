"""At a glance a record says what it says when it is parsed; what is unusual is parsed."""

import datetime as dt
import json
from decimal import Decimal

import pytest

from consumer.consume.fast_path.glance import look
from schemas.parse import MAX_BYTES
from tests.support import parsing
from tests.support.factories import OPENMETER_ENTITLEMENT, native_record, openmeter_record
from tests.support.parsing import snapshot

ENVELOPE = {"ce_id": b"1", "ce_specversion": b"1.0", "ce_type": b"tollbell.usage.snapshot", "ce_source": b"tests"}


def native(value: str) -> bytes:
    return parsing.value(value)


def openmeter(value: str = "", **data: object) -> bytes:
    return openmeter_record(value, **data)


@pytest.mark.parametrize(
    "record",
    [
        native_record(80),
        native_record("79.99999999999999999999999999", "100.50"),
        native_record("1e30", "1e30"),
        native('{"usage": 120, "allowance": 100}'),
        native('{"usage": 5}'),
        native('{"usage": 5, "allowance": 100, "balance": 95}'),
        native('{"usage": 120, "allowance": 100, "balance": 0}'),
        native('{"usage": 5, "allowance": 100, "balance": 1.5, "hasAccess": true}'),
        native_record(80, customer={"key": "müller", "name": 'Müller "GmbH"\n'}),
        native_record(80, customer=None, subject={"key": "é"}),
        openmeter(),
        openmeter('{"usage": 99.99999999999999, "totalAvailableGrantAmount": 100, "balance": 1e-14}'),
        openmeter('{"usage": 1234567890123456789, "totalAvailableGrantAmount": 3, "balance": 0, "overage": 7}'),
        openmeter(feature={"key": "llm_tokens", "name": "Jetons é"}),
        native_record(80, customer={"id": "é" * 256, "key": "a" * 256}, subject={"key": "a" * 256}),
        openmeter_record().replace(b"subjectKey/acme-prod", b"subjectKey/" + b"a" * 300),
    ],
)
def test_a_glance_says_what_parsing_says(record: bytes) -> None:
    parsed, seen = snapshot(record), look(record, ())

    assert seen is not None
    assert seen.key == (parsed.namespace, parsed.entitlement_id)
    assert (seen.usage, seen.balance, seen.at) == (parsed.usage, parsed.balance, parsed.calculated_at)


def test_what_else_is_judged_is_said_as_it_was_written() -> None:
    period = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    entitlement = {**OPENMETER_ENTITLEMENT, "activeTo": "2027-01-01T00:00:00Z"}

    of_native, of_openmeter = look(native_record(80), ()), look(openmeter(entitlement=entitlement), ())

    assert of_native is not None
    assert of_openmeter is not None
    assert of_native.said == ("llm_tokens", "f-1", *period, None, None, 100)
    assert of_openmeter.said[:2] == ("llm_tokens", OPENMETER_ENTITLEMENT["featureId"])
    assert of_openmeter.said[4:] == (None, "2027-01-01T00:00:00Z", None, "update", 10000)


@pytest.mark.parametrize(
    "record",
    [
        None,
        b"",
        b"{}",
        b"not JSON",
        b"\xff" + native_record(80),
        native_record(80).replace(b"acme-prod", b"acme\xffprod"),
        native_record(80).replace(b"acme-prod", b"acme\x7fprod"),
        native_record(80).replace(b"acme-prod", b"acme\\u0000prod"),
        native_record(80).replace(b"acme-prod", b"acme\x01prod"),
        native_record(80, customer={"key": "acme", "name": "x" * MAX_BYTES}),
        native_record(80, customer={"id": "a" * 257}),
        native_record(80, customer={"key": "é" * 257}),
        native_record(80, subject={"key": "a" * 257}),
        parsing.envelope(subject="a" * 257),
        openmeter(customer={"id": "a" * 257}),
        openmeter(subject={"key": "a" * 257}),
        openmeter(feature={"key": "a" * 257}),
        parsing.envelope(id=""),
        parsing.envelope(source=""),
        parsing.envelope(specversion="0.3"),
        parsing.envelope(type="tollbell.entitlement.reset"),
        parsing.envelope(type="com.example.other"),
        parsing.entitlement(type="boolean"),
        native('{"usage": "80", "allowance": 100}'),
        native('{"usage": "NaN", "allowance": 100}'),
        native('{"usage": true, "allowance": 100}'),
        native('{"usage": null, "allowance": 100}'),
        native('{"usage": 80, "allowance": "100"}'),
        native('{"usage": 80, "allowance": 100, "balance": "20"}'),
        native('{"usage": 80, "allowance": 100, "balance": 20, "overage": 0}'),
        native('{"usage": 80, "balance": 21}'),
        native(f'{{"usage": {"9" * 39}, "allowance": 100}}'),
        native(f'{{"usage": {"9" * 5000}, "allowance": 100}}'),
        native(f'{{"usage": 0.{"3" * 39}, "allowance": 100}}'),
        native('{"usage": 1e39, "allowance": 100}'),
        native('{"usage": 1e99999999999999999999, "allowance": 100}'),
        parsing.deep(100_000),  # beyond the levels that any Python goes down; 3.13 does 5,000
        native_record(80, calculated_at="2026-11-22T10:15:30"),
        native_record(80, calculated_at="2026-02-30T10:15:30Z"),
        native_record(80, calculated_at="2026-11-22T10:15:30+0000"),
        openmeter(calculatedAt="2026-11-22T10:15:30-0500"),
        openmeter('{"usage": 5, "totalAvailableGrantAmount": 10}'),
        openmeter('{"usage": 15, "totalAvailableGrantAmount": 10, "balance": 1, "overage": 5}'),
        openmeter('{"usage": 15, "totalAvailableGrantAmount": 10, "balance": 1, "overage": "5"}'),
        openmeter('{"usage": 15, "totalAvailableGrantAmount": 10, "balance": null}'),
        openmeter(entitlement={**OPENMETER_ENTITLEMENT, "type": "boolean"}),
    ],
    ids=parsing.name,
)
def test_what_is_unusual_is_parsed(record: bytes | None) -> None:
    assert look(record, ()) is None


def test_a_structured_record_ignores_headers_binary_is_parsed() -> None:
    """Only a whole CloudEvent is read at a glance."""
    data = json.dumps(json.loads(native_record(80))["data"]).encode()

    assert look(data, list(ENVELOPE.items())) is None
    assert look(native_record(80), [("ce_type", b"x"), ("ce_id", b"1"), ("trace", None)]) is not None


def test_times_are_truncated_to_microseconds_as_in_parsing() -> None:
    record = native_record(80, calculated_at="2026-11-22T11:15:30.1234567+01:00")
    seen = look(record, ())

    assert seen is not None
    assert seen.at == snapshot(record).calculated_at == dt.datetime(2026, 11, 22, 10, 15, 30, 123456, tzinfo=dt.UTC)


def test_a_binary_float_is_rounded_as_it_is_when_it_is_parsed() -> None:
    seen = look(openmeter('{"usage": 99.99999999999999, "totalAvailableGrantAmount": 100, "balance": 1e-14}'), ())

    assert seen is not None
    assert (seen.usage, seen.balance) == (Decimal(100), Decimal(0))
