"""What a target's answer means beyond its status."""

import datetime as dt

import pytest

from consumer.decide.outcome import Outcome, OutcomeClass, Refusal
from consumer.decide.verdict import Delivered, Disable, GiveUp, RetryIn, Verdict, verdict
from consumer.formats import Format
from consumer.formats.reading import read
from tests.support.factories import NOW

DEEP = '{"a":' + "[" * 4000  # deeper than a parser goes
CONNECTOR = "Webhook message delivery failed: Microsoft Teams endpoint returned HTTP error {} with ContextId x"
PLAIN: tuple[Format, ...] = ("openmeter", "flat", "cloudevents")
TARGETS: tuple[Format, ...] = ("slack", "teams", "discord", "pagerduty")


def answer(status: int, body: str = "", retry_after: str | None = None) -> Outcome:
    return Outcome(
        kind=OutcomeClass.STATUS, started_at=NOW, duration_ms=9, status=status, body=body, retry_after=retry_after
    )


def decided(outcome: Outcome) -> Verdict:
    return verdict(outcome, step=0, interrupted=0, schedule=[dt.timedelta()] * 3, jitter=0.0)


@pytest.mark.parametrize(
    ("fmt", "status", "body"),
    [
        ("slack", 200, "ok"),
        ("slack", 200, '{"ok":true}'),
        ("teams", 202, ""),
        ("teams", 200, "1"),
        ("teams", 200, "thank you"),  # a Response action of the flow's owner
        ("discord", 200, '{"id":"1"}'),
        ("discord", 204, ""),
        ("pagerduty", 202, '{"status":"success"}'),
        ("pagerduty", 202, "garbage"),
        ("openmeter", 200, "not ok"),
    ],
)
def test_what_the_target_takes_is_delivered(fmt: Format, status: int, body: str) -> None:
    outcome = read(fmt, answer(status, body))

    assert decided(outcome) == Delivered()
    assert outcome == answer(status, body)


@pytest.mark.parametrize(
    ("fmt", "status", "body", "detail"),
    [
        ("slack", 200, "", "Slack answered 200 without ok: an empty answer"),
        ("slack", 200, "OK", "Slack answered 200 without ok: OK"),
        ("slack", 200, '{"ok":false,"error":"x"}', 'Slack answered 200 without ok: {"ok":false,"error":"x"}'),
        ("slack", 200, "<html>\n login", "Slack answered 200 without ok: <html> login"),
        ("slack", 204, "", "Slack answered 204 without ok: an empty answer"),
        ("slack", 200, DEEP, f"Slack answered 200 without ok: {DEEP[:100]}"),
        ("pagerduty", 200, "x" * 200, f"PagerDuty accepts with 202, this is 200: {'x' * 100}"),
        ("teams", 200, CONNECTOR.format(500), "answered 200, but Microsoft Teams behind it answered 500"),
        ("teams", 200, CONNECTOR.format(429), "answered 200, but Microsoft Teams behind it answered 429"),
    ],
)
def test_a_success_that_is_none_is_tried_again(fmt: Format, status: int, body: str, detail: str) -> None:
    outcome = read(fmt, answer(status, body))

    assert not outcome.is_success
    assert isinstance(decided(outcome), RetryIn)
    assert outcome.detail == detail


@pytest.mark.parametrize(
    ("fmt", "status", "body"),
    [
        ("slack", 400, "invalid_payload"),
        ("slack", 400, "no_text"),
        ("slack", 403, "action_prohibited"),
        *((fmt, status, "") for fmt in TARGETS for status in (400, 401, 403)),
        ("teams", 404, ""),
        ("pagerduty", 404, ""),
        ("teams", 413, "Request entity too large"),
        ("teams", 200, CONNECTOR.format(413)),
        ("teams", 200, CONNECTOR.format(404)),
    ],
)
def test_what_is_refused_for_good_ends_at_once(fmt: Format, status: int, body: str) -> None:
    outcome = read(fmt, answer(status, body))

    assert decided(outcome) == GiveUp()
    assert outcome.refusal is Refusal.PERMANENT
    assert outcome.detail


@pytest.mark.parametrize(
    ("fmt", "status", "body"),
    [
        ("slack", 404, "no_service"),
        ("slack", 404, "channel_not_found"),
        ("slack", 410, "channel_is_archived"),
        ("discord", 404, '{"message": "Unknown Webhook", "code": 10015}'),
    ],
)
def test_a_webhook_that_is_gone_disables_its_channel(fmt: Format, status: int, body: str) -> None:
    outcome = read(fmt, answer(status, body))

    result = decided(outcome)

    assert isinstance(result, Disable)
    assert result.reason == outcome.detail
    assert str(status) in result.reason
    assert body in result.reason


@pytest.mark.parametrize("fmt", TARGETS)
@pytest.mark.parametrize("status", [302, 408, 500, 502, 503])
def test_what_may_pass_is_tried_again(fmt: Format, status: int) -> None:
    outcome = read(fmt, answer(status))

    assert isinstance(decided(outcome), RetryIn)
    assert outcome == answer(status)


@pytest.mark.parametrize("fmt", PLAIN)
@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 410, 415, 429, 500])
def test_of_a_webhook_the_status_says_all(fmt: Format, status: int) -> None:
    assert read(fmt, answer(status, "no")) == answer(status, "no")


@pytest.mark.parametrize("fmt", [*PLAIN, *TARGETS])
def test_an_attempt_without_an_answer_is_left_alone(fmt: Format) -> None:
    outcome = Outcome(kind=OutcomeClass.TIMEOUT, started_at=NOW, duration_ms=9)

    assert read(fmt, outcome, frozenset({422})) is outcome


@pytest.mark.parametrize("fmt", [*PLAIN, *TARGETS])
def test_a_channels_permanent_status_ends_at_once(fmt: Format) -> None:
    outcome = read(fmt, answer(422, "inactive recipient"), frozenset({422}))

    assert decided(outcome) == GiveUp()
    assert "422" in outcome.detail


@pytest.mark.parametrize(
    ("fmt", "body", "header", "seconds"),
    [
        ("discord", '{"message":"limited","retry_after":1.3371,"global":false}', "2", 1.338),
        ("discord", '{"retry_after":0.25}', None, 0.25),
        ("discord", '{"retry_after":7}', None, 7),
        ("discord", '{"retry_after":1e300}', None, 3600),  # bounded as any wish
        ("discord", '{"retry_after":1e400}', "3", 3),
        ("discord", '{"retry_after":-1}', "3", 3),
        ("discord", '{"retry_after":"5"}', "3", 3),
        ("discord", '{"retry_after":null}', "3", 3),
        ("discord", DEEP, "3", 3),
        ("discord", "error code: 1015", "60", 60),  # of the proxy in front
        ("slack", "", "30", 30),
        ("pagerduty", "", None, 60),
        ("pagerduty", "", "5", 5),
    ],
)
def test_a_limit_says_how_long_to_wait(fmt: Format, body: str, header: str | None, seconds: float) -> None:
    result = decided(read(fmt, answer(429, body, header)))

    assert isinstance(result, RetryIn)
    assert result.pause == dt.timedelta(seconds=seconds)


def test_a_limit_behind_a_connector_is_waited_for() -> None:
    waits = [read("teams", answer(200, CONNECTOR.format(429), header)) for header in (None, "5")]

    assert [wait.retry_after for wait in waits] == ["60", "5"]
    assert read("teams", answer(200, CONNECTOR.format(500))).retry_after is None
