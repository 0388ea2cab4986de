"""A channel's URL and secrets, as its format needs them."""

import pytest

from consumer.formats import Format, checks
from schemas.secret import Secret

SLACK = "https://hooks.slack.com/services/T0/B0/xyz"
DISCORD = "https://discord.com/api/webhooks/123/to-K_en"
TEAMS = (
    "https://prod-1.westeurope.logic.azure.com:443/workflows/abc/triggers/manual/paths/invoke?api-version=1&sig=s3cr3t"
)
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"


@pytest.mark.parametrize(
    ("fmt", "url"),
    [
        ("slack", SLACK),
        ("slack", "https://hooks.slack-gov.com/services/T0/B0/xyz"),
        ("slack", "https://HOOKS.slack.com/services/T0/B0/xyz"),
        ("teams", TEAMS),
        ("teams", "https://default1.environment.api.powerplatform.com/powerautomate/x?sig=1"),
        ("discord", DISCORD),
        ("discord", "https://discordapp.com/api/v10/webhooks/123/token?thread_id=5"),
        ("pagerduty", PAGERDUTY),
        ("pagerduty", "https://events.eu.pagerduty.com/v2/enqueue"),
        ("openmeter", "http://anything.example.com/"),
        ("flat", "http://anything.example.com/"),
        ("cloudevents", "http://anything.example.com/"),
    ],
)
def test_a_targets_own_url_is_fine(fmt: Format, url: str) -> None:
    assert checks.look(fmt, url) is None


@pytest.mark.parametrize(
    ("fmt", "url", "says"),
    [
        ("slack", "https://example.com/services/T0/B0/xyz", "https://hooks.slack.com/services/"),
        ("slack", "https://hooks.slack.com.evil.example.com/services/T0/B0/xyz", "not a webhook of Slack"),
        ("slack", "http://hooks.slack.com/services/T0/B0/xyz", "not a whole webhook"),
        ("slack", "https://hooks.slack.com/services/T0/B0", "not a whole webhook"),
        ("slack", "https://hooks.slack.com/", "not a whole webhook"),
        ("teams", "https://acme.webhook.office.com/webhookb2/x", "open Workflows"),
        ("teams", "https://webhook.office.com/webhookb2/x", "open Workflows"),
        ("teams", "https://outlook.office.com/webhook/x", "open Workflows"),
        ("discord", "https://discord.com/api/webhooks/123", "https://discord.com/api/webhooks/ID/TOKEN"),
        ("discord", f"{DISCORD}/slack", "without a suffix"),
        ("discord", DISCORD.replace("https", "http"), "not a webhook of Discord"),
        ("pagerduty", "https://events.pagerduty.com/generic/2010-04-15/create_event.json", "v2/enqueue"),
        ("pagerduty", PAGERDUTY.replace("https", "http"), "v2/enqueue"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(fmt: Format, url: str, says: str) -> None:
    found = checks.look(fmt, url)

    assert found is not None
    assert found.is_refused
    assert says in found.text


@pytest.mark.parametrize(
    ("fmt", "url", "says"),
    [
        ("slack", "https://hooks.slack.com/triggers/T0/1/abc", "variables"),
        ("slack", "https://hooks.slack.com/workflows/T0/A0/1/abc", "variables"),
        ("teams", "http://proxy.example.com/x?sig=1", "https"),
        ("discord", "https://proxy.example.com/api/webhooks/1/2", "Discord"),
        ("pagerduty", "https://proxy.example.com/v2/enqueue", "PagerDuty"),
    ],
)
def test_what_may_be_a_proxy_is_only_warned_of(fmt: Format, url: str, says: str) -> None:
    found = checks.look(fmt, url)

    assert found is not None
    assert not found.is_refused
    assert says in found.text


@pytest.mark.parametrize("fmt", ["slack", "teams", "discord", "pagerduty"])
def test_an_operators_own_host_is_theirs(fmt: Format) -> None:
    assert checks.look(fmt, "http://127.0.0.1:8099/x", lambda host: host == "127.0.0.1") is None


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (DISCORD, f"{DISCORD}?wait=true"),
        (f"{DISCORD}?thread_id=5", f"{DISCORD}?thread_id=5&wait=true"),
        (f"{DISCORD}?wait=false&thread_id=5", f"{DISCORD}?thread_id=5&wait=true"),
        (f"{DISCORD}?", f"{DISCORD}?wait=true"),
    ],
)
def test_discord_is_asked_to_wait(url: str, target: str) -> None:
    assert checks.target_url("discord", url) == target
    assert checks.target_url("slack", url) == url


def test_a_pagerduty_channel_needs_its_key() -> None:
    assert checks.secret_problems("pagerduty", {"routing_key": Secret("0123456789abcdefABCDEF0123456789")}) == []
    ((place, missing),) = checks.secret_problems("pagerduty", {"other": Secret("x")})
    assert (place, "missing" in missing) == (("secrets", "routing_key"), True)
    assert checks.secret_problems("slack", {}) == []


@pytest.mark.parametrize("key", ["a" * 31, "a" * 33, "a" * 31 + "-", "a" * 31 + "é", "", "a" * 32 + "\n"])
def test_a_key_of_another_form_is_refused_without_being_shown(key: str) -> None:
    ((_, problem),) = checks.secret_problems("pagerduty", {"routing_key": Secret(key)})

    assert problem.startswith(f"has {len(key)} characters")
    assert "aaa" not in problem


@pytest.mark.parametrize(
    ("fmt", "url", "is_marked", "secret"),
    [
        ("slack", SLACK, False, "services/T0/B0/xyz"),
        ("discord", DISCORD, False, "to-K_en"),
        ("discord", "https://proxy.example.com/hook", False, "hook"),
        ("teams", TEAMS, False, "s3cr3t"),
        ("teams", "https://x.example.com/a?sig=&b=1", False, "a?sig=&b=1"),
        ("openmeter", "https://x.example.com/a?b=1", False, None),
        ("openmeter", "https://x.example.com/a?b=1", True, "a?b=1"),
        ("openmeter", "https://x.example.com", True, None),
        ("pagerduty", PAGERDUTY, False, None),
    ],
)
def test_which_part_of_a_url_is_secret(fmt: Format, url: str, is_marked: bool, secret: str | None) -> None:
    assert checks.secret_part(fmt, url, is_marked=is_marked) == secret


def test_formats_have_their_secret_urls_and_rates() -> None:
    formats: list[Format] = ["openmeter", "flat", "cloudevents", "slack", "teams", "discord", "pagerduty"]

    assert [fmt for fmt in formats if checks.has_secret_url(fmt)] == ["slack", "teams", "discord"]
    assert {fmt: rate for fmt in formats if (rate := checks.default_rate(fmt))} == {"slack": 1.0, "pagerduty": 2.0}
