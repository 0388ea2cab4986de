"""The record that an event shows, to be explained: understood by the reader, and with the event's own amounts."""

import datetime as dt
import json

import pytest

from consumer.serve.console.records import record_of
from schemas import parse
from schemas.sources import Invoice, Snapshot
from tests.support.payloads import PAYLOADS, with_members

LATEST = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
BY_CLOCK = {name for name in PAYLOADS if name.endswith((" closed", " by the clock"))}


def shown(body: bytes, namespace: str = "default") -> str | None:
    return record_of("01K9ZBC3K9YJ4M2V7Q8R5T6W1X", json.loads(body)["type"], body, namespace)


@pytest.mark.parametrize("name", sorted(PAYLOADS.keys() - BY_CLOCK))
def test_what_an_event_shows_is_a_record_that_can_be_read(name: str) -> None:
    record = shown(PAYLOADS[name], "acme")
    assert record is not None

    source = parse.parse(record.encode(), (), latest=LATEST)

    assert isinstance(source, Snapshot | Invoice), source
    assert source.namespace == "acme"


@pytest.mark.parametrize("name", sorted(BY_CLOCK))
def test_what_the_clock_made_shows_no_record(name: str) -> None:
    assert shown(PAYLOADS[name]) is None


def test_amounts_keep_every_digit() -> None:
    amount = "12345678901234567890.123456789012345678"
    body = PAYLOADS["usage_percentage triggered"].replace(b'"usage":80', b'"usage":' + amount.encode())

    record = shown(body)

    assert record is not None
    assert f'"usage":{amount}' in record


def test_what_the_payload_lacks_is_left_out() -> None:
    lacking = {"customer": None, "subject": None, "value.balance": None, "value.overage": None, "value.hasAccess": None}

    record = json.loads(shown(with_members(PAYLOADS["usage_percentage triggered"], lacking)) or "")

    assert record["data"]["value"] == {"usage": 80, "allowance": 100}
    assert not {"customer", "subject"} & record["data"].keys()
