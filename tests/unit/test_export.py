"""What `tollbell export` writes, `tollbell apply` reads back as it was; no secret is in it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.commands import export, yaml_file
from consumer.errors import Refused
from consumer.store import wanted
from consumer.store.configured import StoredChannel, StoredRule
from schemas.rules import read_spec
from schemas.rules_file import RulesFile
from schemas.secret import Secret

CHANNEL = StoredChannel(
    id="01HOOK",
    namespace="acme",
    key="hook",
    type="WEBHOOK",
    name="Hook",
    url="https://example.com/hook?token=%24%7BA%7D",
    format="flat",
    headers={"Authorization": Secret("hush-hush"), "X-Team": Secret("hush")},
    signing_secret=Secret("whsec_hush"),
    metadata={"team": "red", "80": "yes", "${A}": "${A}"},
    disabled_by="person",
    retry_schedule=(dt.timedelta(0), dt.timedelta(milliseconds=250), dt.timedelta(hours=2)),
    concurrency=3,
    expire_after=dt.timedelta(minutes=5),
    rate_limit=0.001,
)
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
    path.write_text(export.text("acme", [channel], rules), encoding="utf-8")
    return yaml_file.read(path, RulesFile, {}).model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rules.yaml"


@pytest.mark.parametrize("disabled_by", ["person", "tollbell", None])
@pytest.mark.parametrize("headers", [{"Authorization": Secret("hush-hush")}, {}])
def test_a_channel_comes_back_as_it_was(path: Path, disabled_by: str | None, headers: dict[str, Secret]) -> None:
    stored = replace(CHANNEL, disabled_by=disabled_by, headers=headers)  # type: ignore[arg-type]

    (config,) = read_back(path, stored).channels

    kept, unkept = wanted.headers(config.custom_headers or {}, stored)
    assert wanted.channel(config, "acme", stored, headers=kept).channel == stored
    assert unkept == []


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
    stored = replace(CHANNEL, metadata={name: value, "x": f"{value}${{A}}"})

    file = read_back(path, stored, rule(spec))

    assert file.channels[0].metadata == stored.metadata
    assert file.rules[0].spec == read_spec(spec)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029", "\ufeff", " ", "\t"])
def test_a_text_of_several_lines_comes_back(path: Path, end: str) -> None:
    stored = replace(CHANNEL, metadata={"a": f"one{end}two{end}", "b": end})

    assert read_back(path, stored).channels[0].metadata == stored.metadata


def test_no_secret_is_in_it() -> None:
    assert "hush" not in export.text("acme", [CHANNEL], [])


def test_what_has_no_key_has_its_id_for_one(path: Path) -> None:
    file = read_back(path, replace(CHANNEL, key=None), rule(LEVELS, key=None))

    assert (file.channels[0].key, file.rules[0].key, file.rules[0].channels) == ("01HOOK", "01RULE", ("01HOOK",))


def test_what_is_left_at_its_default_is_left_out() -> None:
    plain = replace(
        CHANNEL, url="https://example.com/", format="openmeter", headers={}, metadata={}, disabled_by=None,
        retry_schedule=None, concurrency=None, expire_after=None, rate_limit=None,
    )  # fmt: skip
    spec = {"type": LEVELS["type"], "thresholds": [{"type": "usage_percentage", "value": 80}]}

    assert export.text("acme", [plain], [rule(spec)]).removeprefix(export.HEAD) == (
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
    with pytest.raises(Refused, match="channel hook: its headers cannot be opened: add the old key"):
        export.text("acme", [replace(CHANNEL, headers=None)], [])
