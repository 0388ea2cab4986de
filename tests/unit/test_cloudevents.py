"""`cloudevents`: the event as a CloudEvent in structured mode, its data byte for byte."""

import json

import msgspec
import pytest

from consumer import formats
from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, UNSEEN_INVOICE
from consumer.decide.payloads import payload
from consumer.deliver import bodies
from tests.support.factories import make_rule, make_snapshot
from tests.support.records import make_invoice
from tests.support.rules import rule_of

EVENT = b'{"id":"e-1","type":"invoice.created","timestamp":"2026-11-22T10:15:30Z","data":%s}'


def test_a_crossing_has_every_attribute_and_its_data() -> None:
    [crossing] = judge([make_rule(percents=[80])], make_snapshot(90), UNSEEN).occurrences
    body = payload(crossing, "e-1")

    made = json.loads(formats.render("cloudevents", body).body)

    whole = json.loads(body)
    assert made == {
        "specversion": "1.0",
        "id": "e-1",
        "source": f"/api/v1/notification/rules/{whole['data']['rule']['id']}",
        "type": "tollbell.entitlements.balance.threshold",
        "subject": whole["data"]["entitlement"]["id"],
        "time": whole["timestamp"],
        "datacontenttype": "application/json",
        "data": whole["data"],
    }


def test_an_invoice_is_its_subject() -> None:
    [change] = judge([rule_of("invoice.created")], make_invoice(is_created=True), UNSEEN_INVOICE).occurrences

    made = json.loads(formats.render("cloudevents", payload(change, "e-1")).body)

    assert (made["type"], made["subject"]) == ("tollbell.invoice.created", made["data"]["id"])


@pytest.mark.parametrize("number", ["1900.10", "1E+2", "0.10000000000000000000000000000000000001", "-0.0"])
def test_every_number_keeps_the_digits_that_it_was_written_with(number: str) -> None:
    data = b'{"rule":{"id":"r"},"id":"i-1","total":%s}' % number.encode()

    assert b'"data":' + data + b"}" in formats.render("cloudevents", EVENT % data).body


@pytest.mark.parametrize("body", [b"", b"{}", EVENT % b"{}", EVENT % b'{"rule":{}}'])
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        formats.render("cloudevents", body)


def test_the_media_type_is_cloudevents_and_json_for_the_others() -> None:
    assert bodies.content_type("cloudevents") == "application/cloudevents+json"
    assert {bodies.content_type(one) for one in ("openmeter", "flat", "of-tomorrow")} == {"application/json"}


def test_binary_mode_headers_are_made_of_the_payload_alone() -> None:
    payload_ = EVENT % b'{"rule":{"id":"r"},"id":"i-1"}'

    assert dict(formats.cloudevents.binary_headers(payload_)) == {
        "ce-specversion": "1.0",
        "ce-id": "e-1",
        "ce-source": "/api/v1/notification/rules/r",
        "ce-type": "tollbell.invoice.created",
        "ce-subject": "i-1",
        "ce-time": "2026-11-22T10:15:30Z",
    }
