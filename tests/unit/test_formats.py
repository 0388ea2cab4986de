"""Every event in every format is taken by its target; and what goes with the body: link, key, headers."""

import hashlib
import json
from typing import Any

import msgspec
import pytest

from consumer import formats
from consumer.formats import flat, pagerduty, rendered
from consumer.formats.rendered import Hole, Options, Rendered, fill, masked
from consumer.formats.seen import see
from schemas.channels import Format
from schemas.secret import Secret
from tests.support.payloads import NAMES, PAYLOADS, with_members
from tests.support.targets import TARGETS, Judged

KEY = {"routing_key": Secret("0123456789abcdefABCDEF0123456789")}
LINK = "https://tollbell.example.com/events/e-1"
MESSAGES: tuple[Format, ...] = ("slack", "teams", "discord", "pagerduty")


def judged(fmt: Format, body: bytes, options: Options = rendered.DEFAULTS) -> Judged:
    made = formats.render(fmt, body, options)
    return TARGETS[fmt](fill(made.body, made.holes, KEY))


def message(fmt: Format, body: bytes = PAYLOADS["PERCENT triggered"], **options: Any) -> Any:
    return json.loads(formats.render(fmt, body, Options(**options)).body)


@pytest.mark.parametrize("is_test", [False, True])
@pytest.mark.parametrize("fmt", MESSAGES)
@pytest.mark.parametrize("name", PAYLOADS)
def test_every_event_is_taken_and_nothing_in_it_interpreted(name: str, fmt: Format, is_test: bool) -> None:
    result = judged(fmt, PAYLOADS[name], Options(is_test=is_test, link=LINK))

    assert result.status == {"teams": 202, "pagerduty": 202}.get(fmt, 200)
    assert result.interpreted == []
    assert is_test == any("Test: " in text for text in result.shown)


@pytest.mark.parametrize("fmt", MESSAGES)
@pytest.mark.parametrize(
    "name",
    [
        "*bold* _it_ ~no~ `code`",
        "<!channel> <@U1> <https://evil.example.com|click> & co",
        "@everyone <@&1> <#2> <t:1> :smile: :100: https://evil.example.com [click](http://e)",
        "- list",
        "1. list",
        "# Title > quote || spoiler ||",
        '<b>html</b> "quotes" \\ back\\*slash',
        "\u202eevil",
        "{{ secrets.routing_key }} ***",
    ],
)
def test_a_name_is_shown_as_it_is(fmt: Format, name: str) -> None:
    body = with_members(PAYLOADS["PERCENT triggered"], {"customer.name": name, "rule.name": name})

    result = judged(fmt, body)

    assert result.interpreted == []
    assert any(name.replace("\u202e", "") in text for text in result.shown)


@pytest.mark.parametrize("fmt", MESSAGES)
@pytest.mark.parametrize("mark", ["x", "*", "😀", "漢", "&", '"'])
@pytest.mark.parametrize("name", PAYLOADS)
def test_the_longest_names_fit(name: str, fmt: Format, mark: str) -> None:
    body = with_members(PAYLOADS[name], dict.fromkeys(NAMES, mark * 256))

    result = judged(fmt, body, Options(is_test=True, link=LINK))

    assert (result.status < 300, result.interpreted) == (True, [])


@pytest.mark.parametrize("fmt", MESSAGES)
def test_thirty_digits_are_all_shown(fmt: Format) -> None:
    number = int("123456789012345678901234567890")
    body = with_members(PAYLOADS["PERCENT triggered"], {"value.usage": number})

    assert any("123,456,789,012,345,678,901,234,567,890" in text for text in judged(fmt, body).shown)


@pytest.mark.parametrize("fmt", MESSAGES)
def test_the_link_leads_to_the_event_unless_it_is_too_long(fmt: Format) -> None:
    made = json.dumps(message(fmt, link=LINK))
    without = json.dumps(message(fmt))

    assert LINK in made
    assert "https://tollbell" not in without
    if fmt != "pagerduty":
        assert json.dumps(message(fmt, link=LINK + "x" * 3000)) == without


@pytest.mark.parametrize("fmt", MESSAGES)
def test_what_is_not_an_event_is_refused(fmt: Format) -> None:
    with pytest.raises(msgspec.MsgspecError):
        formats.render(fmt, b'{"type":"invoice.created"}')


def test_slack_unfurls_nothing() -> None:
    made = message("slack")

    assert (made["unfurl_links"], made["unfurl_media"], made["mrkdwn"]) == (False, False, False)


def test_a_recovery_resolves_what_its_crossing_triggered() -> None:
    triggered = message("pagerduty", PAYLOADS["usage_percentage triggered"])
    again = message("pagerduty", PAYLOADS["again"])
    recovered = message("pagerduty", PAYLOADS["usage_percentage recovered"])
    closed = message("pagerduty", PAYLOADS["usage_percentage closed"])
    other = message("pagerduty", PAYLOADS["PERCENT triggered"])

    assert [one["event_action"] for one in (triggered, again, recovered, closed)] == [
        "trigger",
        "trigger",
        *["resolve"] * 2,
    ]
    assert len({one["dedup_key"] for one in (triggered, again, recovered, closed)}) == 1
    assert other["dedup_key"] != triggered["dedup_key"]


def test_an_alert_key_is_rule_entitlement_period_and_threshold() -> None:
    body = PAYLOADS["usage_percentage triggered"]
    parts = ("crossing", "rule-1", "00000000000000000000000002", "2026-11-01T00:00:00Z", "usage_percentage:80")

    assert pagerduty.dedup_key(see(body)) == hashlib.sha256("\x00".join(parts).encode()).hexdigest()
    # An alias, and another spelling of the value, are the same threshold.
    alias = with_members(body, {"threshold": {"type": "PERCENT", "value": 80.0}})
    assert pagerduty.dedup_key(see(alias)) == pagerduty.dedup_key(see(body))


@pytest.mark.parametrize(
    "start", ["2026-11-01T00:00:00+00:00", "2026-11-01T00:00:00.000Z", "2026-11-01t01:00:00+01:00"]
)
def test_an_alert_closes_whatever_the_spelling_of_its_period(start: str) -> None:
    fired = with_members(PAYLOADS["PERCENT triggered"], {"entitlement.currentUsagePeriod.from": start})

    assert pagerduty.dedup_key(see(fired)) == pagerduty.dedup_key(see(PAYLOADS["PERCENT closed"]))


@pytest.mark.parametrize(
    "members",
    [
        {"rule.id": "rule-2"},
        {"entitlement.id": "ent-2"},
        {"entitlement.currentUsagePeriod.from": "2026-12-01T00:00:00Z"},
        {"threshold.value": 81},
        {"threshold.type": "usage_value"},
    ],
)
def test_another_alert_has_another_key(members: dict[str, object]) -> None:
    body = PAYLOADS["usage_percentage triggered"]

    assert pagerduty.dedup_key(see(with_members(body, members))) != pagerduty.dedup_key(see(body))


def test_an_invoice_is_one_alert_and_a_reset_one_for_each_period() -> None:
    keys = {pagerduty.dedup_key(see(PAYLOADS[f"invoice {state}"])) for state in ("issued", "overdue", "paid")}
    reset = PAYLOADS["reset manual"]

    assert len(keys) == 1
    assert pagerduty.dedup_key(see(reset)) == pagerduty.dedup_key(see(PAYLOADS["reset automatic"]))
    later = reset.replace(b'"timestamp":"2026-11-22', b'"timestamp":"2026-11-23')
    assert pagerduty.dedup_key(see(later)) != pagerduty.dedup_key(see(reset))


def test_a_test_opens_an_alert_that_is_nothing_elses() -> None:
    body = PAYLOADS["usage_percentage triggered"]

    assert message("pagerduty", body, is_test=True)["dedup_key"] != message("pagerduty", body)["dedup_key"]


@pytest.mark.parametrize(
    ("name", "severity", "source"),
    [
        ("PERCENT triggered", "critical", "00000000000000000000000002"),
        ("usage_percentage triggered", "warning", "00000000000000000000000002"),
        ("usage_percentage recovered", "info", "00000000000000000000000002"),
        ("reset manual", "info", "00000000000000000000000002"),
        ("invoice paid", "info", "00000000000000000000000004"),
    ],
)
def test_an_alert_says_how_urgent_it_is_and_what_it_is_about(name: str, severity: str, source: str) -> None:
    alert = message("pagerduty", PAYLOADS[name])["payload"]

    assert (alert["severity"], alert["source"], alert["class"]) == (
        severity,
        source,
        json.loads(PAYLOADS[name])["type"],
    )


def test_the_routing_key_gets_into_its_place_alone() -> None:
    body = with_members(PAYLOADS["PERCENT triggered"], {"customer.name": '"routing_key":""'})
    made = formats.render("pagerduty", body)

    filled = json.loads(fill(made.body, made.holes, {"routing_key": Secret('a"b\\é')}))

    assert json.loads(made.body)["routing_key"] == ""
    assert filled["routing_key"] == 'a"b\\é'
    assert {**filled, "routing_key": ""} == json.loads(made.body)
    assert json.loads(masked(made))["routing_key"] == "***"


def test_holes_are_filled_from_left_to_right() -> None:
    holes = (Hole(2, "a"), Hole(2, "b"), Hole(7, "a"))

    assert fill(b'["","x",""]'[:11], holes, {"a": Secret("1"), "b": Secret("2")}) == b'["12","x"1,""]'
    with pytest.raises(KeyError):
        fill(b'[""]', (Hole(2, "c"),), {})


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_formats_for_programs_are_what_they_were(name: str) -> None:
    body = PAYLOADS[name]

    assert formats.render("openmeter", body) == Rendered(body)
    assert formats.render("flat", body) == Rendered(flat.render(body))
    structured = formats.render("cloudevents", body)
    assert structured.content_type == "application/cloudevents+json"


def test_a_binary_cloudevent_has_its_attributes_in_headers() -> None:
    body = with_members(PAYLOADS["PERCENT triggered"], {"entitlement.id": 'a b"%é~!'})

    made = formats.render("cloudevents", body, Options(is_binary=True))

    assert dict(made.headers) == {
        "ce-specversion": "1.0",
        "ce-id": "01K9ZBC3K9YJ4M2V7Q8R5T6W1X",
        "ce-source": "/api/v1/notification/rules/rule-1",
        "ce-type": "tollbell.entitlements.balance.threshold",
        "ce-subject": "a%20b%22%25%C3%A9~!",
        "ce-time": "2026-11-22T10:15:30.123Z",
    }
    assert made.content_type == "application/json"
    assert json.loads(made.body) == json.loads(body)["data"]
