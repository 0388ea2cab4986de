"""`flat`: data's fields beside the envelope's, every byte of every member as it was."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer import formats
from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN
from consumer.decide.payloads import payload
from consumer.formats import flat
from tests.support.factories import make_rule, make_snapshot

ENVELOPE = b'"id":"e-1","timestamp":"2026-11-22T10:15:30.123Z"'


def event(type_: str, data: bytes) -> bytes:
    return b"{%s,%s,%s}" % (ENVELOPE, b'"type":"%s"' % type_.encode(), b'"data":' + data)


def test_a_crossings_data_stands_beside_its_envelope() -> None:
    [crossing] = judge([make_rule(percents=[80])], make_snapshot(90), UNSEEN).occurrences
    body = payload(crossing, "e-1")

    made = json.loads(formats.render("flat", body).body)

    whole = json.loads(body)
    assert list(made)[:3] == ["id", "type", "timestamp"]
    assert made == {"id": "e-1", "type": whole["type"], "timestamp": whole["timestamp"], **whole["data"]}


@pytest.mark.parametrize("number", ["1900.10", "1E+2", "0.10000000000000000000000000000000000001", "-0.0", "1e-7"])
def test_every_number_keeps_the_digits_that_it_was_written_with(number: str) -> None:
    made = flat.render(event("entitlements.balance.threshold", b'{"value":{"usage":%s}}' % number.encode()))

    assert b'"value":{"usage":%s}' % number.encode() in made


@pytest.mark.parametrize("type_", ["invoice.created", "invoice.updated"])
def test_an_invoice_is_whole_beside_what_is_said_of_it(type_: str) -> None:
    said = b'"action":"triggered","rule":{"id":"r"},"previousStatus":null'
    data = b"{%s,%s}" % (said, b'"id":"i-1","type":"standard","totals":{"total":"1.50"}')

    made = flat.render(event(type_, data))

    assert made == (
        b'{"id":"e-1","type":"%s","timestamp":"2026-11-22T10:15:30.123Z","action":"triggered","rule":{"id":"r"},'
        b'"previousStatus":null,"invoice":{"id":"i-1","type":"standard","totals":{"total":"1.50"}}}' % type_.encode()
    )


def test_a_created_invoice_has_only_its_own_previous_status() -> None:
    made = json.loads(flat.render(event("invoice.created", b'{"action":"triggered","rule":{},"id":"i-1"}')))

    assert made.keys() == {"id", "type", "timestamp", "action", "rule", "invoice"}


def test_a_member_named_like_the_envelopes_does_not_replace_it() -> None:
    made = json.loads(flat.render(event("entitlements.reset", b'{"id":"other","reset":{"kind":"manual"}}')))

    assert made["id"] == "e-1"
    assert made["reset"] == {"kind": "manual"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    data=st.dictionaries(st.text(), JSON, max_size=6), type_=st.sampled_from(["entitlements.reset", "invoice.updated"])
)
def test_nothing_is_lost_and_nothing_changed(data: dict[str, Any], type_: str) -> None:
    encoded = msgspec.json.Encoder(decimal_format="number").encode(data)
    body = event(type_, encoded)

    made = json.loads(flat.render(body), parse_float=Decimal, parse_int=str)

    kept = json.loads(encoded, parse_float=Decimal, parse_int=str)
    invoice = made.pop("invoice") if type_ == "invoice.updated" else {}
    for name in ("id", "timestamp", "type"):
        kept.pop(name, None) if type_ != "invoice.updated" else None
        made.pop(name)
    assert made | invoice == kept


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":"a","type":"t","timestamp":"n"}', b'{"data":5}', b"{"])
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        flat.render(body)
