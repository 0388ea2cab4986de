"""Every record that can't be understood: its reason, and words that name the field and never repeat the value."""

import datetime as dt
import json
from typing import Any

import pytest

from schemas.parse import MAX_BYTES, Ignored, Parsed, Reject, parse
from schemas.reading import MAX_LEVELS, RejectReason
from schemas.sources import Snapshot, Unmetered
from tests.factories import OPENMETER_ENTITLEMENT, native_record, openmeter_record

LATEST = dt.datetime(2026, 11, 22, 10, 20, 30, tzinfo=dt.UTC)  # five minutes after the records' calculatedAt
PERIOD = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
TYPE = "tollbell.usage.snapshot"


def parsed(value: bytes | None, *headers: tuple[str, bytes | None]) -> Parsed:
    return parse(value, headers, latest=LATEST)


def rejected(value: bytes, *headers: tuple[str, bytes | None]) -> Reject:
    found = parsed(value, *headers)
    assert isinstance(found, Reject), found
    assert found.error.isprintable()
    assert len(found.error) <= 500
    return found


def snapshot(value: bytes, *headers: tuple[str, bytes | None]) -> Snapshot:
    found = parsed(value, *headers)
    assert isinstance(found, Snapshot), found
    return found


def level(of: Snapshot) -> tuple[object, object, object]:
    return (of.usage, of.allowance, of.balance)


def envelope(**changed: Any) -> bytes:
    """A native record; members of the envelope replaced, or taken away by `...`."""
    record = json.loads(native_record(80)) | changed
    return json.dumps({name: member for name, member in record.items() if member is not ...}).encode()


def data(**changed: Any) -> bytes:
    """A native record; members of its data replaced, or taken away by `...`."""
    record = json.loads(native_record(80))["data"] | changed
    return envelope(data={name: member for name, member in record.items() if member is not ...})


def value(text: str) -> bytes:
    """A native record whose `data.value` is *text*."""
    return data(value="@value@").replace(b'"@value@"', text.encode())


def extra(text: str) -> bytes:
    """A native record with a member nobody knows, in a place that reaches the payload."""
    return data(feature={"key": "llm_tokens", "more": "@more@"}).replace(b'"@more@"', text.encode())


def entitlement(**changed: Any) -> bytes:
    return data(entitlement={"id": "ent-1", "period": PERIOD, **changed})


def deep(levels: int) -> bytes:
    """A record of *levels* levels: the envelope, its data and the feature are three."""
    return extra("[" * (levels - 3) + "]" * (levels - 3))


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


def name(value: object) -> str | None:
    """A test's id: no record, some have megabytes."""
    return "record" if isinstance(value, bytes) else None


# A value that must never be seen in an error.
CANARY = "hush-hush"


@pytest.mark.parametrize(
    ("record", "reason", "says"),
    [
        # not JSON
        (b"not json", "not_json", "not JSON"),
        (b"{", "not_json", "not JSON"),
        (b"\xff\xfe", "not_json", "not UTF-8 at byte 0"),
        (native_record(80).replace(b"acme", b"\xe9", 1), "not_json", "not UTF-8 at byte"),
        (native_record(80).decode().encode("utf-16"), "not_json", "not UTF-8"),
        (native_record(80).decode().encode("utf-16-le"), "not_json", "not JSON"),
        (b"\xef\xbb\xbf" + native_record(80), "not_json", "not JSON: invalid character (byte 0)"),
        (native_record(80) + native_record(80), "not_json", "not JSON"),
        (native_record("NaN"), "not_json", "not JSON: invalid character"),
        (native_record("-Infinity"), "not_json", "not JSON: invalid character"),
        (native_record("1_000"), "not_json", "not JSON"),
        (native_record("080"), "not_json", "not JSON"),
        (native_record("+80"), "not_json", "not JSON"),
        # half a surrogate pair, in a text that is read, one that is not, and a name
        (data(feature={"key": "\ud800"}), "not_json", "half of a surrogate pair"),
        (extra('"\\ud800"'), "not_json", "half of a surrogate pair"),
        (extra('{"\\udfff": 1}'), "not_json", "half of a surrogate pair"),
        # 20,000 levels, and the first one too many
        (deep(20_000), "not_json", "nested deeper"),
        (extra('{"a":' * 20_000 + "1" + "}" * 20_000), "not_json", "nested deeper"),
        (b"[" * 20_000, "not_json", "nested deeper"),
        (deep(MAX_LEVELS + 1), "not_json", "nested deeper"),
        # 9 MB
        (extra(f'"{"x" * 9_000_000}"'), "too_large", "data: has 9000"),
        (extra("[" + "1," * 4_500_000 + "1]"), "too_large", "at most 1048576 are read"),
        (b'{"data": "' + b"x" * 9_000_000, "not_json", "not JSON"),
        # not a CloudEvent
        (b"[]", "not_cloudevent", "expected object, got array"),
        (b"null", "not_cloudevent", "expected object, got null"),
        (b'"text"', "not_cloudevent", "expected object, got str"),
        (b"{}", "not_cloudevent", "missing required field specversion"),
        (envelope(id=...), "not_cloudevent", "missing required field id"),
        (envelope(source=...), "not_cloudevent", "missing required field source"),
        (envelope(type=...), "not_cloudevent", "missing required field type"),
        (envelope(type=5), "not_cloudevent", "type: expected str, got int"),
        (envelope(id=None), "not_cloudevent", "id: expected str, got null"),
        (envelope(id=""), "not_cloudevent", "id, source and type not empty"),
        (envelope(source=""), "not_cloudevent", "id, source and type not empty"),
        (envelope(type=""), "not_cloudevent", "id, source and type not empty"),
        (envelope(specversion="0.3"), "not_cloudevent", "specversion must be 1.0"),
        (envelope(id="a\x00b"), "not_cloudevent", "id: has a control character"),
        (envelope(subject="a\nb"), "not_cloudevent", "subject: has a control character"),
        # no data
        (envelope(data=...), "invalid", "data: is missing"),
        (envelope(data=None), "invalid", "data: expected object, got null"),
        (envelope(data="text"), "invalid", "data: expected object, got str"),
        (envelope(data=..., data_base64="e30="), "invalid", "data: is missing"),
        # a field is missing
        (data(calculatedAt=...), "invalid", "data: object missing required field calculatedAt"),
        (data(entitlement=...), "invalid", "data: object missing required field entitlement"),
        (data(feature=...), "invalid", "data: object missing required field feature"),
        (data(feature={"id": "f"}), "invalid", "data.feature: object missing required field key"),
        (data(value=...), "invalid", "data: object missing required field value"),
        (data(entitlement={"id": "e"}), "invalid", "data.entitlement: object missing required field period"),
        (data(entitlement={"period": PERIOD}), "invalid", "data.entitlement: object missing required field id"),
        (entitlement(period={"from": PERIOD["from"]}), "invalid", "data.entitlement.period: object missing"),
        (value("{}"), "invalid", "data.value: object missing required field usage"),
        # another type
        (data(namespace=5), "invalid", "data.namespace: expected str, got int"),
        (data(customer="acme"), "invalid", "data.customer: expected object | null, got str"),
        (data(calculatedAt=1_795_342_530), "invalid", "data.calculatedAt: expected str, got int"),
        (entitlement(id=5), "invalid", "data.entitlement.id: expected str, got int"),
        (entitlement(type=CANARY), "invalid", "data.entitlement.type: is none of the values that are allowed"),
        (entitlement(period=[]), "invalid", "data.entitlement.period: expected object, got array"),
        (value("[]"), "invalid", "data.value: expected object, got array"),
        (value("null"), "invalid", "data.value: expected object, got null"),
        (value('{"usage": null}'), "invalid", "data.value.usage: expected decimal, got null"),
        (value('{"usage": true}'), "invalid", "data.value.usage: expected decimal, got bool"),
        (value('{"usage": []}'), "invalid", "data.value.usage: expected decimal, got array"),
        (value('{"usage": 1, "hasAccess": "yes"}'), "invalid", "data.value.hasAccess: expected bool | null, got str"),
        # amounts beyond the limits
        (native_record("9" * 500), "invalid", "data.value.usage: has more than 38 significant digits"),
        (native_record("9" * 5_000), "invalid", "data.value.usage: has more than 38 significant digits"),
        (native_record("1e100000"), "invalid", "data.value.usage: has more than 38 significant digits"),
        (native_record("1e99999999999999999999"), "invalid", "data.value.usage: invalid decimal string"),
        (native_record(80, "9" * 39), "invalid", "data.value.allowance: has more than 38 significant digits"),
        (native_record("-0." + "1" * 39), "invalid", "data.value.usage: has more than 38 significant digits"),
        (native_record('"1e99999999999999999999"'), "invalid", "data.value.usage: invalid decimal string"),
        # … also where nobody looks at them, but the payload would repeat them
        (extra("9" * 5_000), "invalid", "holds a number too large to be read"),
        (extra("1e99999999999999999999"), "invalid", "holds a number too large to be read"),
        (extra("1E+99999999999999999999"), "invalid", "holds a number too large to be read"),
        (extra("[5.0e-99999999999999999999]"), "invalid", "holds a number too large to be read"),
        # strings that Python would take for numbers
        (native_record('"NaN"'), "invalid", "data.value.usage: is a string that is not a JSON number"),
        (native_record('"Infinity"'), "invalid", "data.value.usage: is a string that is not a JSON number"),
        (native_record('"1_000"'), "invalid", "data.value.usage: is a string that is not a JSON number"),
        (native_record('" 1 "'), "invalid", "data.value.usage: is a string that is not a JSON number"),
        (native_record('"٣"'), "invalid", "data.value.usage: is a string that is not a JSON number"),
        (native_record('""'), "invalid", "data.value.usage: is a string that is not a JSON number"),
        (native_record('".5"'), "invalid", "data.value.usage: is a string that is not a JSON number"),
        (native_record('"0x10"'), "invalid", "data.value.usage: is a string that is not a JSON number"),
        (native_record(80, '"\\"1\\""'), "invalid", "data.value.allowance: is a string that is not a JSON number"),
        (value('{"us\\u0061ge": "NaN"}'), "invalid", "data.value.usage: is a string that is not a JSON number"),
        # times
        (data(calculatedAt="yesterday"), "invalid", "data.calculatedAt: is not an RFC 3339 time"),
        (data(calculatedAt="0001-01-01T00:00:00Z"), "invalid", "calculatedAt is in the year 1"),
        (data(calculatedAt="2099-01-01T00:00:00Z"), "in_future", "calculatedAt is ahead of the database's clock"),
        (data(calculatedAt="99999-01-01T00:00:00Z"), "invalid", "data.calculatedAt: is not an RFC 3339 time"),
        (data(calculatedAt="2026-11-22T10:20:30.000001Z"), "in_future", "calculatedAt is ahead"),
        (entitlement(activeFrom="x"), "invalid", "data.entitlement.activeFrom: is not an RFC 3339 time"),
        (entitlement(activeTo="2026-02-30T00:00:00Z"), "invalid", "data.entitlement.activeTo: is a day or time that"),
        # periods
        (entitlement(period=PERIOD | {"from": "0001-01-01T00:00:00Z"}), "invalid", "period's start is in the year 1"),
        (
            entitlement(period={"from": "2099-01-01T00:00:00Z", "to": "2099-02-01T00:00:00Z"}),
            "in_future",
            "the period's start is ahead of the database's clock",
        ),
        (
            entitlement(period=PERIOD | {"to": "99999-01-01T00:00:00Z"}),
            "invalid",
            "data.entitlement.period.to: is not an RFC 3339 time",
        ),
        (
            entitlement(period={"from": PERIOD["to"], "to": PERIOD["from"]}),
            "invalid",
            "data.entitlement.period: does not end after it starts",
        ),
        (
            entitlement(period={"from": PERIOD["to"], "to": PERIOD["to"]}),
            "invalid",
            "data.entitlement.period: does not end after it starts",
        ),
        # ids and keys
        (entitlement(id=""), "invalid", "data.entitlement.id: expected str of length >= 1"),
        (entitlement(id="a" * 257), "invalid", "data.entitlement.id: expected str of length <= 256"),
        (entitlement(id="a" * 100_000), "invalid", "data.entitlement.id: expected str of length <= 256"),
        (entitlement(id="a\x00b"), "invalid", "data.entitlement.id: has a control character"),
        (entitlement(id="ab\n"), "invalid", "data.entitlement.id: has a control character"),
        (entitlement(id="a\x85b"), "invalid", "data.entitlement.id: has a control character"),
        (data(feature={"key": "a\tb"}), "invalid", "data.feature.key: has a control character"),
        (data(feature={"key": "k", "id": ""}), "invalid", "data.feature.id: expected str of length >= 1"),
        (data(namespace=""), "invalid", "data.namespace: expected str of length >= 1"),
        (data(namespace="n" * 257), "invalid", "data.namespace: expected str of length <= 256"),
        (data(customer={"id": "a\x7f"}), "invalid", "data.customer.id: has a control character"),
        (data(subject={"key": "a\n"}), "invalid", "data.subject.key: has a control character"),
        # it cannot be both
        (
            value('{"usage": 1, "balance": 2, "overage": 3}'),
            "contradictory",
            "data.value: balance and overage are both above 0",
        ),
        (value('{"usage": 10, "allowance": 100, "overage": 5}'), "contradictory", "balance and overage"),
    ],
    ids=name,
)
def test_a_record_that_cannot_be_understood_is_rejected_with_words(record: bytes, reason: str, says: str) -> None:
    found = rejected(record)

    assert found.reason == reason
    assert says in found.error
    assert CANARY not in found.error


@pytest.mark.parametrize(
    "member", ["id", "calculatedAt", "namespace", "entitlement", "feature", "customer", "subject", "value"]
)
@pytest.mark.parametrize("wrong", [[CANARY], {CANARY: CANARY}, f"{CANARY}\n", CANARY * 60])
def test_no_rejection_repeats_a_value(member: str, wrong: object) -> None:
    members: dict[str, object] = {"calculatedAt": CANARY, member: wrong}

    assert "hush" not in rejected(data(**members)).error


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
        # strings beside the amounts are nobody's business
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
def test_a_record_at_the_limits_is_understood_and_can_be_repeated(record: bytes) -> None:
    assert snapshot(record).origin.about().feature["key"]


def test_what_is_understood_can_be_repeated_however_deep_the_caller_is() -> None:
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
        b"",
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
def test_a_native_entitlement_that_is_not_metered_is_known_as_such(kind: str) -> None:
    found = parsed(entitlement(type=kind))

    assert found == Unmetered("default", "ent-1", "f-1", "llm_tokens")


# Binary mode: both of two headers, and the value is the data.
BINARY = (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"s"), ("ce_type", TYPE.encode()))
DATA = json.dumps(json.loads(native_record(80))["data"]).encode()


def without(name: str) -> tuple[tuple[str, bytes], ...]:
    return tuple(header for header in BINARY if header[0] != name)


def test_in_binary_mode_the_value_is_the_data() -> None:
    found = snapshot(DATA, *BINARY, ("content-type", b"application/json"), ("ce_subject", b"someone"))

    assert found.usage == 80


def test_in_binary_mode_the_subject_is_a_header() -> None:
    record = json.loads(native_record(80))["data"]
    del record["subject"]

    found = snapshot(json.dumps(record).encode(), *BINARY, ("ce_subject", "sübject".encode()))

    assert found.origin.about().subject == {"key": "sübject"}


def test_other_headers_beside_a_structured_value_change_nothing() -> None:
    headers = (("ce_type", b"com.example.other"), ("ce_id", b"1"), ("ce_source", b"\xff"), ("ce_time", None))

    assert snapshot(native_record(80), *headers).usage == 80
    assert snapshot(openmeter_record(), ("ce_specversion", b"1.0"), ("ce_type", b"x")).usage == 8100


def test_a_mode_header_without_a_value_is_not_there() -> None:
    assert snapshot(native_record(80), *without("ce_id"), ("ce_id", None)).usage == 80


@pytest.mark.parametrize(
    ("record", "headers", "reason", "says"),
    [
        (DATA, without("ce_source"), "not_cloudevent", "missing required field source"),
        (DATA, without("ce_type"), "not_cloudevent", "missing required field type"),
        (DATA, (*without("ce_id"), ("ce_id", b"")), "not_cloudevent", "not empty"),
        (DATA, (*without("ce_id"), ("ce_id", b"a\x00")), "not_cloudevent", "id: has a control character"),
        (DATA, (*without("ce_id"), ("ce_id", b"\xff")), "not_cloudevent", "a header ce_* is not UTF-8"),
        (DATA, (*without("ce_specversion"), ("ce_specversion", b"2.0")), "not_cloudevent", "specversion must be 1.0"),
        (b"not json", BINARY, "not_json", "not JSON: invalid character (byte 4)"),
        (b"\xff", BINARY, "not_json", "not UTF-8 at byte 0"),
        (b"[" * 20_000, BINARY, "not_json", "nested deeper"),
        (b"[]", BINARY, "invalid", "data: expected object, got array"),
        (native_record(80), BINARY, "invalid", "data.subject: expected object | null, got str"),
    ],
    ids=name,
)
def test_a_bad_record_in_binary_mode_is_rejected_with_words(
    record: bytes, headers: tuple[tuple[str, bytes], ...], reason: str, says: str
) -> None:
    found = rejected(record, *headers)

    assert found.reason == reason
    assert says in found.error


def test_an_unknown_type_in_binary_mode_may_hold_anything() -> None:
    headers = (*without("ce_type"), ("ce_type", b"com.example.avro"))

    assert isinstance(parsed(b"\xff\x00\x01", *headers), Ignored)


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


def test_an_allowance_that_openmeter_does_not_tell_stays_unknown() -> None:
    found = snapshot(openmeter_record('{"usage": 8100, "balance": 1900, "overage": 0, "hasAccess": true}'))

    assert level(found) == (8100, None, 1900)


@pytest.mark.parametrize("record", [openmeter_record("null"), openmeter_record("{}")], ids=name)
def test_an_openmeter_value_that_is_not_there_is_unknown(record: bytes) -> None:
    found = snapshot(record)

    assert level(found) == (None, None, None)


@pytest.mark.parametrize(("operation", "is_deleted"), [("update", False), ("reset", False), ("delete", True)])
def test_an_openmeter_delete_is_known_as_such(operation: str, is_deleted: bool) -> None:
    assert snapshot(openmeter_record(operation=operation)).is_deleted is is_deleted


@pytest.mark.parametrize("kind", ["static", "boolean"])
def test_an_openmeter_entitlement_that_is_not_metered_needs_no_period(kind: str) -> None:
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
        (
            openmeter_entitlement(featureKey=...),
            "invalid",
            "data.entitlement: object missing required field featureKey",
        ),
        (openmeter_entitlement(activeTo="x"), "invalid", "data.entitlement.activeTo: is not an RFC 3339 time"),
    ],
    ids=name,
)
def test_an_openmeter_record_that_cannot_be_understood_is_rejected_with_words(
    record: bytes, reason: str, says: str
) -> None:
    found = rejected(record)

    assert found.reason == reason
    assert says in found.error
