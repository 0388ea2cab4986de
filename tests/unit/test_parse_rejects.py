"""Every record that can't be understood: its reason, and words that name the field and never repeat the value."""

import pytest

from schemas.reading import MAX_LEVELS
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
    rejected,
    snapshot,
    value,
)


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
        (b"\0\0\0\0\x07" + native_record(80), "not_json", "not JSON"),  # as a schema registry frames it
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
        (entitlement(period={"to": PERIOD["to"]}), "invalid", "data.entitlement.period: object missing"),
        (
            entitlement(period={"from": PERIOD["from"], "to": ""}),
            "invalid",
            "data.entitlement.period.to: is not",
        ),
        # what is sent most often and is no JSON
        (b"", "not_json", "is empty: not a tombstone"),
        (b"\x00\x00\x00\x00\x07" + native_record(1), "not_json", "Schema Registry"),
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
        # … also in members that are not read, but the payload would repeat them
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
        (data(customer={"id": "a" * 257}), "invalid", "data.customer.id: expected str of length <= 256"),
        (data(customer={"key": "a" * 257}), "invalid", "data.customer.key: expected str of length <= 256"),
        (data(subject={"id": "a" * 257}), "invalid", "data.subject.id: expected str of length <= 256"),
        (data(subject={"key": "a" * 257}), "invalid", "data.subject.key: expected str of length <= 256"),
        (envelope(subject="a" * 257), "invalid", "subject: has more than 256 characters"),
        (data(customer={"id": "a\x7f"}), "invalid", "data.customer.id: has a control character"),
        (data(subject={"key": "a\n"}), "invalid", "data.subject.key: has a control character"),
        # it cannot be both
        (
            value('{"usage": 1, "balance": 2, "overage": 3}'),
            "contradictory",
            "data.value: balance and overage are both above 0",
        ),
    ],
    ids=name,
)
def test_a_bad_record_is_rejected_with_words(record: bytes, reason: str, says: str) -> None:
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


LONGEST = "\N{BELL}" * 256  # characters are counted, not bytes: 1,024 of them here


def test_each_id_and_key_has_up_to_256_characters() -> None:
    party = {"id": LONGEST, "key": LONGEST}
    members = {"namespace": LONGEST, "feature": party, "customer": party, "subject": party}
    record = data(**members, entitlement={"id": LONGEST, "period": PERIOD})

    assert snapshot(record).entitlement_id == LONGEST
    assert snapshot(envelope(subject=LONGEST)).origin.about().subject == {"key": "acme-prod"}


def test_ids_and_keys_of_others_may_be_empty() -> None:
    assert snapshot(data(customer={"id": "", "key": ""}, subject={"id": None, "key": ""})).usage == 80
