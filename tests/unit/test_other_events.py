"""Events of a type that has no words of its own: one that was added, or that a newer release made."""

import json

import msgspec
import pytest

from consumer.formats import render, wording
from consumer.formats.message import Severity
from consumer.formats.pagerduty import dedup_key
from consumer.formats.seen import see, type_of
from tests.support.payloads import PAYLOADS, with_members

OTHER = with_members(PAYLOADS["reset manual"], {"customer.name": "ACME Inc.", "feature.name": "Tokens"}).replace(
    b'"entitlements.reset"', b'"entitlements.forecast"', 1
)


def test_an_unknown_type_of_event_has_a_neutral_message() -> None:
    message = wording.message(see(OTHER))

    assert message.title.endswith(": entitlements.forecast")
    assert message.text.endswith("has fired.")
    assert {"ACME Inc.", "Tokens"} <= {fact.value for fact in message.facts}
    assert message.severity is Severity.INFO


@pytest.mark.parametrize("fmt", ["openmeter", "flat", "cloudevents", "slack", "teams", "discord"])
def test_every_format_sends_an_unknown_type_of_event(fmt: str) -> None:
    assert b"entitlements.forecast" in render(fmt, OTHER).body  # type: ignore[arg-type]


def test_pagerduty_has_an_alert_for_each_unknown_event() -> None:
    event = see(OTHER)
    body = json.loads(render("pagerduty", OTHER).body)

    assert body["dedup_key"] == dedup_key(event)
    assert dedup_key(event) != dedup_key(msgspec.structs.replace(event, id="another"))
    assert body["payload"]["class"] == type_of(event) == "entitlements.forecast"
    assert body["payload"]["source"] == json.loads(OTHER)["data"]["rule"]["id"]


def test_a_known_type_of_event_must_have_its_members() -> None:
    broken = json.loads(PAYLOADS["reset manual"])
    del broken["data"]["reset"]

    with pytest.raises(msgspec.ValidationError, match="reset"):
        see(msgspec.json.encode(broken))
