"""A dead letter is the record as it was, with the reason; cut only where it would not fit, and saying so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.consume.dead_letters import MAX_BYTES, DeadLetter, cut
from schemas.parse import Reject
from schemas.reading import RejectReason
from tests.support.factories import kafka_record

REJECT = Reject(RejectReason.INVALID, "data.value.usage: expected décimal")
OWN = {
    "tollbell-reason": b"invalid",
    "tollbell-error": "data.value.usage: expected décimal".encode(),
    "tollbell-topic": b"usage",
    "tollbell-partition": b"3",
    "tollbell-offset": b"7",
    "tollbell-time": b"1795342530000",
}


def size(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> int:
    return len(key or b"") + len(value or b"") + sum(len(name.encode()) + len(text or b"") for name, text in headers)


def test_what_fits_is_as_it_was_and_says_why_it_is_here() -> None:
    record = kafka_record(b"not json", key=b"acme", headers=(("trace", b"t-1"), ("trace", b"t-2")))

    key, value, headers = cut(DeadLetter(record, REJECT), MAX_BYTES)

    assert (key, value) == (b"acme", b"not json")
    assert headers == [("trace", b"t-1"), ("trace", b"t-2"), *OWN.items()]


def test_without_key_or_value_there_is_none() -> None:
    key, value, _ = cut(DeadLetter(kafka_record(None, key=None), REJECT), MAX_BYTES)

    assert (key, value) == (None, None)


def test_headers_of_an_earlier_round_are_replaced() -> None:
    earlier = (("tollbell-reason", b"not_json"), ("tollbell-cut", b"value=9"), ("trace", b"t"), ("tollbell-x", b"y"))

    _, _, headers = cut(DeadLetter(kafka_record(headers=earlier), REJECT), MAX_BYTES)

    assert headers == [("trace", b"t"), *OWN.items()]


@pytest.mark.parametrize(
    ("key", "value", "headers", "says"),
    [
        (b"k", b"v" * 9_000_000, 1, b"value=9000000"),
        (b"k" * 900_000, b"v", 1, b"key=900000"),
        (b"k", b"v", 50_000, b"headers=50000"),
        (b"k" * 900_000, b"v" * 9_000_000, 50_000, b"key=900000 headers=50000 value=9000000"),
        # each fits, together they do not
        (b"k" * 100_000, b"v" * 1_000_000, 1, b"value=1000000"),
    ],
    ids=["value", "key", "headers", "all", "together"],
)
def test_what_does_not_fit_is_cut_and_a_header_says_what(key: bytes, value: bytes, headers: int, says: bytes) -> None:
    record = kafka_record(value, key=key, headers=tuple((f"trace-{n}", b"x" * 20) for n in range(headers)))

    kept_key, kept_value, kept_headers = cut(DeadLetter(record, REJECT), MAX_BYTES)

    assert size(kept_key, kept_value, kept_headers) <= MAX_BYTES
    assert dict(kept_headers)["tollbell-cut"] == says
    assert dict(kept_headers).items() >= OWN.items()
    assert key.startswith(kept_key or b"")
    assert value.startswith(kept_value or b"")


@given(
    st.integers(0, 5_000),
    st.integers(0, 5_000),
    st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=50)), max_size=20),
    st.integers(1_000, 6_000),
)
def test_a_dead_letter_fits_and_is_marked_exactly_if_cut(
    key: int, value: int, headers: list[tuple[str, bytes]], limit: int
) -> None:
    record = kafka_record(b"v" * value, key=b"k" * key, headers=tuple(headers))

    kept_key, kept_value, kept_headers = cut(DeadLetter(record, REJECT), limit)

    assert size(kept_key, kept_value, kept_headers) <= limit
    theirs = [header for header in headers if not header[0].startswith("tollbell-")]
    is_whole = (kept_key, kept_value) == (record.key, record.value) and kept_headers[: len(theirs)] == theirs
    assert ("tollbell-cut" in dict(kept_headers)) is not is_whole


def test_a_topic_that_takes_almost_nothing_still_gets_the_reason() -> None:
    key, value, headers = cut(DeadLetter(kafka_record(b"v" * 100, key=b"k" * 100), REJECT), 10)

    assert (key, value) == (b"", b"")
    assert dict(headers).items() >= OWN.items()
