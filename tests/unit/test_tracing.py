"""What is kept of the record that an event was made of: enough to find it, and no more."""

import json

import pytest

from schemas.parse import Headers, parse
from schemas.sources import Snapshot
from schemas.tracing import Traced, located, traced
from tests.support.factories import NOW, native_record

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BINARY = [("ce_specversion", b"1.0"), ("ce_id", b"one"), ("ce_source", b"/meters"), ("ce_type", b"t")]


def of(value: bytes, headers: Headers = ()) -> Traced:
    return traced("tollbell.usage", 3, 42, value, headers)


def test_a_structured_record_says_who_made_it_in_its_value() -> None:
    envelope = json.loads(native_record(80)) | {"id": "one", "source": "/meters"}

    assert of(json.dumps(envelope).encode()) == Traced("tollbell.usage", 3, 42, "/meters", "one")


def test_a_binary_record_says_it_in_its_headers() -> None:
    assert of(b"{}", BINARY) == Traced("tollbell.usage", 3, 42, "/meters", "one")


def test_a_long_source_is_cut() -> None:
    made = of(b"{}", [*BINARY[:2], ("ce_source", b"s" * 5_000), BINARY[3]])

    assert made.source == "s" * 256


@pytest.mark.parametrize(
    "headers",
    [[("traceparent", TRACE.encode())], [("Traceparent", TRACE.encode())], [("ce_traceparent", TRACE.encode())]],
)
def test_the_trace_of_a_header_or_an_attribute_is_kept(headers: Headers) -> None:
    assert of(b"{}", [*BINARY, *headers]).traceparent == TRACE


def test_the_trace_of_a_structured_record_is_its_attribute() -> None:
    envelope = json.loads(native_record(80)) | {"traceparent": TRACE}

    assert of(json.dumps(envelope).encode()).traceparent == TRACE


@pytest.mark.parametrize("written", [b"5", b"null", b"{}", b"[1e9999]", b'"no trace"'])
def test_any_traceparent_of_a_structured_record_is_accepted(written: bytes) -> None:
    """An invalid one is left out."""
    record = native_record(80).replace(b'{"specversion"', b'{"traceparent": %b, "specversion"' % written)
    assert record != native_record(80)
    assert isinstance(parse(record, (), latest=NOW), Snapshot)

    made = of(record)

    assert (made.id, made.traceparent) == (json.loads(native_record(80))["id"], None)


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"\xff",
        TRACE.upper().encode(),
        TRACE.encode() + b"\r\nx: y",
        b"ff" + TRACE[2:].encode(),
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    ],
)
def test_what_is_no_traceparent_is_left_out(parent: bytes) -> None:
    assert of(b"{}", [*BINARY, ("traceparent", parent)]).traceparent is None


def test_a_log_lines_fields_keep_the_records_id_apart() -> None:
    known = {"topic": "tollbell.usage", "partition": 3, "offset": 42, "source": "/meters", "source_id": "one"}

    assert of(b"{}", BINARY).fields() == known
    assert of(b"{}", [*BINARY, ("traceparent", TRACE.encode())]).fields() == known | {"traceparent": TRACE}


@pytest.mark.parametrize(
    ("value", "headers", "named"),
    [
        (b'{"id": "one", "source": "/meters", "data": 5}', [], {"source": "/meters", "source_id": "one"}),
        (b"{", BINARY, {"source": "/meters", "source_id": "one"}),
        (b'{"id": "one"}', [], {}),
        (b"{", [], {}),
        (b"\xff", [("ce_specversion", b"1.0"), ("ce_id", b"\xff"), ("ce_source", b"s")], {}),
        (b"{}", BINARY[:2], {}),
        (None, BINARY, {}),
        (b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}", [], {}),
        (b'{"id": ' + b"9" * 5_000 + b"}", [], {}),
    ],
)
def test_a_dead_letter_is_named_as_far_as_it_can_be_read(
    value: bytes | None, headers: Headers, named: dict[str, str]
) -> None:
    place = {"topic": "tollbell.usage", "partition": 3, "offset": 42}

    assert located("tollbell.usage", 3, 42, value, headers) == place | named
