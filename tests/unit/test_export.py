"""What `tollbell export` writes, `tollbell apply` reads back as it was; no secret is in it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.commands import yaml_file
from consumer.errors import Refused
from consumer.store import exported, wanted
from consumer.store.configured import StoredChannel, StoredRule
from consumer.store.wanted import Unmasked
from schemas.channels import ChannelConfig
from schemas.rules import read_spec
from schemas.rules_file import RulesFile
from schemas.secret import Secret

CONFIG = ChannelConfig(
    type="WEBHOOK",
    key="hook",
    name="Hook",
    url="https://example.com/hook?token=%24%7BA%7D",
    format="flat",
    metadata={"team": "red", "80": "yes", "${A}": "${A}"},
    retry_schedule=(dt.timedelta(0), dt.timedelta(milliseconds=250), dt.timedelta(hours=2)),
    concurrency=3,
    expire_after=dt.timedelta(minutes=5),
    rate_limit=0.001,
)
CHANNEL = StoredChannel(
    id="01HOOK",
    namespace="acme",
    config=CONFIG,
    headers={"Authorization": Secret("hush-hush"), "X-Team": Secret("hush")},
    signing_secret=Secret("whsec_hush"),
    disabled_by="person",
)


def hook(**changed: object) -> StoredChannel:
    return replace(CHANNEL, config=CONFIG.model_copy(update=changed))


LEVELS = {
    "type": "entitlements.balance.threshold",
    "thresholds": [
        {"type": "usage_percentage", "value": Decimal("33.333333333333333333333333333333333333")},
        {"type": "NUMBER", "value": Decimal("1E+38")},
        {"type": "balance_value", "value": Decimal("0E-7")},
        {"type": "usage_value", "value": Decimal("1.2345678901234567890123456789012345678E-20")},
    ],
    "features": ["80", "no", "a,b"],
    "rearm": "recovery",
    "notifyOn": ["triggered", "recovered"],
    "onCreate": "ignore",
}
SPECS: list[Mapping[str, object]] = [
    LEVELS,
    LEVELS | {"emit": "highest", "rearm": "period", "notifyOn": ["triggered"]},
    {"type": "entitlements.reset"},
    {"type": "entitlements.reset", "features": ["llm_tokens"]},
    {"type": "invoice.created"},
    {"type": "invoice.updated"},
    {"type": "invoice.updated", "statuses": ["paid", "draft.waiting_auto_approval"]},
]


def rule(spec: Mapping[str, object], **more: object) -> StoredRule:
    made = StoredRule(
        id="01RULE",
        namespace="acme",
        key="quota",
        name="Quota",
        spec=read_spec(spec),
        channels=("01HOOK",),
        metadata={},
        disabled=False,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def read_back(path: Path, channel: StoredChannel, *rules: StoredRule) -> RulesFile:
    path.write_text(exported.text("acme", [channel], rules), encoding="utf-8")
    return yaml_file.read(path, RulesFile, {}).model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rules.yaml"


@pytest.mark.parametrize("disabled_by", ["person", "tollbell", None])
@pytest.mark.parametrize("headers", [{"Authorization": Secret("hush-hush")}, {}])
def test_a_channel_comes_back_as_it_was(path: Path, disabled_by: str | None, headers: dict[str, Secret]) -> None:
    stored = replace(CHANNEL, disabled_by=disabled_by, headers=headers)  # type: ignore[arg-type]

    (config,) = read_back(path, stored).channels

    unmasked, missing = wanted.unmask(config, stored)
    assert wanted.channel(config, "acme", stored, unmasked=unmasked).channel == stored
    assert missing == []


@pytest.mark.parametrize("template", [{}, [], {"a": {}, "b": None, "c": [{}, "{{ id }}", "${A}", "no", "1"]}])
def test_a_template_comes_back_as_it_was(path: Path, template: object) -> None:
    stored = hook(format="template", template=template)

    (config,) = read_back(path, stored).channels

    assert config.template == template


def test_a_secret_url_is_masked_and_comes_back(path: Path) -> None:
    stored = hook(url="https://example.com/hook?token=hush", secret_url=True)

    (config,) = read_back(path, stored).channels

    assert config.url == "https://example.com/***"
    assert "hush" not in path.read_text(encoding="utf-8")
    assert wanted.unmask(config, stored) == (Unmasked(stored.config.url, {**CHANNEL.headers}, {}), [])  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "before", [None, CHANNEL, hook(url="https://other.example/hush", secret_url=True)], ids=["none", "plain", "other"]
)
def test_a_masked_url_needs_a_stored_secret_of_that_origin(before: StoredChannel | None) -> None:
    config = CONFIG.model_copy(update={"url": "https://example.com/***"})

    assert wanted.unmask(config, before)[1] == [(("url",), wanted.UNKEPT)]


@pytest.mark.parametrize("fmt", ["openmeter", "template"])
def test_a_mask_does_not_bring_a_secret_url_into_the_open(fmt: str) -> None:
    """A channel of Slack, behind a proxy, gets a template: its URL would be stored and shown as it is."""
    url = "https://proxy.example/services/T0/B0/hush"
    slack, tree = hook(url=url, format="slack"), {"text": "{{ message.title }}"} if fmt == "template" else None
    masked = slack.config.model_copy(update={"url": slack.shown_url, "format": fmt, "template": tree})

    kept, wrong = wanted.unmask(masked, slack)
    hidden, none = wanted.unmask(masked.model_copy(update={"secret_url": True}), slack)
    whole, nothing = wanted.unmask(masked.model_copy(update={"url": url}), slack)

    assert (kept.url, wrong) == ("https://proxy.example/***", [(("url",), wanted.UNHIDDEN)])
    assert (hidden.url, none) == (url, [])
    assert (whole.url, nothing) == (url, [])


@pytest.mark.parametrize(("url", "secrets"), [("https://example.com/***", None), ("https://example.com/new", {})])
def test_only_a_new_url_replaces_an_undecryptable_one(url: str, secrets: dict[str, Secret] | None) -> None:
    """A mask doesn't keep a secret URL that no key opens."""
    lost = replace(hook(url="https://example.com/***", secret_url=True), secrets=None)

    unmasked, _ = wanted.unmask(CONFIG.model_copy(update={"url": url, "secret_url": True}), lost)

    assert unmasked.secrets == secrets


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_rule_comes_back_as_it_was(path: Path, spec: Mapping[str, object]) -> None:
    stored = rule(spec, disabled=True, metadata={"of": "me"})

    file = read_back(path, CHANNEL, stored)

    assert file.rules[0].channels == ("hook",)
    assert wanted.rule(file.rules[0], "acme", stored, channels=["01HOOK"]) == stored


TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=50)


@given(name=TEXT.filter(bool), value=TEXT, level=st.decimals("0.000001", "1e20", places=15))
def test_whatever_a_text_or_a_number_is_it_comes_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: str, level: Decimal
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    spec = {"type": LEVELS["type"], "thresholds": [{"type": "usage_value", "value": level}]}
    stored = hook(metadata={name: value, "x": f"{value}${{A}}"})

    file = read_back(path, stored, rule(spec))

    assert file.channels[0].metadata == stored.config.metadata
    assert file.rules[0].spec == read_spec(spec)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029", "\ufeff", " ", "\t"])
def test_a_text_of_several_lines_comes_back(path: Path, end: str) -> None:
    stored = hook(metadata={"a": f"one{end}two{end}", "b": end})

    assert read_back(path, stored).channels[0].metadata == stored.config.metadata


def test_no_secret_is_in_it() -> None:
    assert "hush" not in exported.text("acme", [CHANNEL], [])


def test_what_has_no_key_has_its_id_for_one(path: Path) -> None:
    file = read_back(path, hook(key=None), rule(LEVELS, key=None))

    assert (file.channels[0].key, file.rules[0].key, file.rules[0].channels) == ("01HOOK", "01RULE", ("01HOOK",))


def test_what_is_left_at_its_default_is_left_out() -> None:
    config = ChannelConfig(type="WEBHOOK", key="hook", name="Hook", url="https://example.com/")
    plain = replace(CHANNEL, config=config, headers={}, disabled_by=None)
    spec = {"type": LEVELS["type"], "thresholds": [{"type": "usage_percentage", "value": 80}]}

    assert exported.text("acme", [plain], [rule(spec)]).removeprefix(exported.HEAD) == (
        "namespace: acme\n"
        "channels:\n"
        "- {key: hook, type: WEBHOOK, name: Hook, url: 'https://example.com/'}\n"
        "rules:\n"
        "- key: quota\n"
        "  type: entitlements.balance.threshold\n"
        "  name: Quota\n"
        "  channels: [hook]\n"
        "  thresholds:\n"
        "  - {type: usage_percentage, value: 80}\n"
    )


def test_headers_that_no_key_opens_are_not_lost_in_silence() -> None:
    with pytest.raises(Refused, match="channel hook: its headers or secrets cannot be opened: add the old key"):
        exported.text("acme", [replace(CHANNEL, headers=None)], [])
