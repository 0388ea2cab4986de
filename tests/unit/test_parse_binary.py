"""Records in binary mode: the envelope is in headers, the value is the data."""

import json

import pytest

from schemas.parse import Ignored
from tests.support.factories import native_record, openmeter_record
from tests.support.parsing import TYPE, name, parsed, rejected, snapshot

# Binary mode: both of two headers, and the value is the data.
BINARY = (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"s"), ("ce_type", TYPE.encode()))
STRUCTURED = ("content-type", b"application/cloudevents+json")
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
        (DATA, without("ce_source"), "not_cloudevent", "header ce_source: is missing"),
        (DATA, without("ce_type"), "not_cloudevent", "header ce_type: is missing"),
        (DATA, (*without("ce_id"), ("ce_id", b"")), "not_cloudevent", "not empty"),
        (DATA, (*without("ce_id"), ("ce_id", b"a\x00")), "not_cloudevent", "header ce_id: has a control character"),
        (DATA, (*without("ce_id"), ("ce_id", b"\xff")), "not_cloudevent", "a header ce_* is not UTF-8"),
        (DATA, (*without("ce_specversion"), ("ce_specversion", b"2.0")), "not_cloudevent", "specversion must be 1.0"),
        (b"", BINARY, "not_json", "is empty"),
        (b"\x00\x00\x00\x00\x07" + DATA, BINARY, "not_json", "Schema Registry"),
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


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        # as HTTP writes them
        (tuple((name.replace("_", "-"), text) for name, text in BINARY), "; in Kafka the headers of binary mode begin"),
        ((("Ce-Id", b"1"), *without("ce_id")), "; in Kafka the headers of binary mode begin"),
        # one of the two is not there
        (without("ce_id"), "; binary mode needs the header ce_id too"),
        (without("ce_specversion"), "; binary mode needs the header ce_specversion too"),
        # said to be structured
        ((*BINARY, STRUCTURED), "not a CloudEvent: subject: expected str | null, got object"),
        ((("traceparent", b"1"),), "not a CloudEvent: subject: expected str | null, got object"),
    ],
)
def test_where_binary_mode_was_meant_the_error_speaks_of_headers(
    headers: tuple[tuple[str, bytes], ...], says: str
) -> None:
    found = rejected(DATA, *headers)

    assert found.reason == "not_cloudevent"
    assert found.error.endswith(says) or found.error.partition("; ")[2].startswith(says[2:])


@pytest.mark.parametrize("name", ["CE_ID", "Ce_Id", "ce_ID"])
def test_headers_of_binary_mode_count_in_any_case(name: str) -> None:
    upper = tuple((header.upper(), text) for header, text in without("ce_id"))

    assert snapshot(DATA, *upper, (name, b"1")).usage == 80


@pytest.mark.parametrize(
    "text",
    [
        b"application/cloudevents+json",
        b" Application/CloudEvents+JSON ; charset=utf-8",
    ],
)
@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
def test_a_content_type_of_cloudevents_says_structured_mode(name: str, text: bytes) -> None:
    assert snapshot(native_record(80), *BINARY, (name, text)).usage == 80


def test_of_two_content_types_one_is_enough() -> None:
    assert snapshot(native_record(80), *BINARY, STRUCTURED, ("content-type", b"application/json")).usage == 80


@pytest.mark.parametrize("text", [b"application/json", b"application/cloudevents-batch+json", b"\xff", None])
def test_any_other_content_type_says_nothing(text: bytes | None) -> None:
    assert snapshot(DATA, *BINARY, ("content-type", text)).usage == 80


def test_an_unknown_type_in_binary_mode_may_be_empty() -> None:
    headers = (*without("ce_type"), ("ce_type", b"com.example.avro"))

    assert isinstance(parsed(b"", *headers), Ignored)


def test_an_unknown_type_in_binary_mode_may_hold_anything() -> None:
    headers = (*without("ce_type"), ("ce_type", b"com.example.avro"))

    assert isinstance(parsed(b"\xff\x00\x01", *headers), Ignored)
