"""`tollbell render`: what the channels of a file would send, without a server."""

import datetime as dt
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from consumer.commands.render import render
from consumer.errors import ConfigInvalid
from consumer.formats import fitting
from consumer.formats.preview import preview, previews, samples
from schemas.channels import ChannelConfig
from schemas.rules import RuleType

AT = dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)
FILE = """\
channels:
  - key: hook
    type: WEBHOOK
    name: Hook
    url: https://example.com/hush
    secretUrl: true
    customHeaders: {X-Own: hush}
  - key: on-call
    type: WEBHOOK
    name: On call
    url: https://events.pagerduty.com/v2/enqueue
    format: pagerduty
    secrets: {routing_key: 0123456789abcdef0123456789abcdef}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "rules.yaml"
    made.write_text(FILE)
    return made


def test_each_channel_and_type_is_shown_without_secrets(path: Path) -> None:
    shown = CliRunner().invoke(render, [str(path)], catch_exceptions=False).stdout

    assert [line for line in shown.splitlines() if line.startswith("POST")][::4] == [
        "POST https://example.com/***",
        "POST https://events.pagerduty.com/v2/enqueue",
    ]
    assert shown.count("X-Own: ***") == 4
    assert shown.count('"routing_key":"***"') == 4
    assert "hush" not in shown
    assert "0123456789abcdef" not in shown


def test_what_is_odd_is_said_beside_it_with_its_line(path: Path) -> None:
    path.write_text(FILE.replace("events.pagerduty.com", "proxy.example.com"))

    shown = CliRunner().invoke(render, [str(path), "--channel", "on-call"], catch_exceptions=False)

    assert "warning: rules.yaml, line 11: channels[1].url: is not PagerDuty's own host" in shown.stderr
    assert "warning: rules" not in shown.stdout


def test_a_body_alone_is_the_bytes(path: Path) -> None:
    arguments = [str(path), "--channel", "hook", "--type", "invoice.created", "--body"]
    shown = CliRunner().invoke(render, arguments, catch_exceptions=False).stdout

    assert json.loads(shown)["type"] == "invoice.created"
    assert shown.count("\n") == 1


def test_a_channel_that_is_not_there_is_said(path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="--channel other: is not in the file: there is hook, on-call"):
        CliRunner().invoke(render, [str(path), "--channel", "other"], catch_exceptions=False)


def written(template: object, **more: object) -> ChannelConfig:
    made = {
        "type": "WEBHOOK",
        "name": "Mail",
        "url": "https://example.com/",
        "format": "template",
        "template": template,
    }
    return ChannelConfig.model_validate(made | more)


def test_a_template_is_shown_by_type_or_the_reason_why_not() -> None:
    shown = {one.type: one for one in previews(written({"at": "{{ data.threshold.value }}"}), AT)}

    assert shown[RuleType.BALANCE_THRESHOLD].body == b'{"at":80}'
    assert "this event has no data.threshold.value" in str(shown[RuleType.INVOICE_CREATED].problem)
    assert {one.problem for one in previews(written({"at": "{{ nothing }}"}), AT)} != {None}


def test_what_does_not_fit_a_type_is_said_of_that_type_alone() -> None:
    config = written({"at": "{{ data.threshold.value }}"})

    assert fitting.misfit(config, RuleType.BALANCE_THRESHOLD) is None
    assert "template.at: this event has no data.threshold.value" in str(
        fitting.misfit(config, RuleType.INVOICE_CREATED)
    )
    plain = ChannelConfig(type="WEBHOOK", name="Hook", url="https://example.com/")
    assert fitting.misfit(plain, RuleType.INVOICE_CREATED) is None


def test_an_own_event_renders_like_the_same_sample() -> None:
    config = written({"at": "{{ data.rule.name }}"})

    assert [preview(config, kind, payload, AT) for kind, payload in samples(AT)] == list(previews(config, AT))
