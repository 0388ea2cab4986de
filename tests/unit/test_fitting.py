"""What a channel must have for its format, each problem with its place."""

from typing import Any

import minijinja
import pytest

from consumer.formats import fitting
from schemas.channels import ChannelConfig
from schemas.rules import RuleType
from schemas.secret import Secret

SLACK = "https://hooks.slack.com/services/T0/B0/x"
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
KEY = {"routing_key": "0123456789abcdef0123456789ABCDEF"}


def problems(fmt: str, url: str, secrets: dict[str, str], **more: Any) -> list[tuple[tuple[str, ...], str]]:
    config = ChannelConfig.model_validate({"type": "WEBHOOK", "name": "Hook", "url": url, "format": fmt, **more})
    hidden = {name: Secret(value) for name, value in secrets.items()}
    headers = config.custom_headers or {}
    return fitting.problems(config, url, hidden, lambda host: host == "127.0.0.1", headers=headers)


@pytest.mark.parametrize(
    ("fmt", "url", "secrets"),
    [
        ("openmeter", "https://example.com/", {}),
        ("slack", SLACK, {}),
        ("slack", "http://127.0.0.1:8080/", {}),
        ("teams", "https://prod.westus.logic.azure.com/workflows/x?sig=y", {}),
        ("discord", "https://discord.com/api/webhooks/1/t", {}),
        ("pagerduty", PAGERDUTY, KEY),
    ],
)
def test_what_fits_has_no_problem(fmt: str, url: str, secrets: dict[str, str]) -> None:
    assert problems(fmt, url, secrets) == []


@pytest.mark.parametrize(
    ("fmt", "url", "secrets", "more", "place", "says"),
    [
        ("slack", "https://example.com/services/T/B/x", {}, {}, ("url",), "is not a webhook of Slack"),
        ("teams", "https://acme.webhook.office.com/x", {}, {}, ("url",), "open Workflows"),
        ("pagerduty", PAGERDUTY, {}, {}, ("secrets", "routing_key"), "is missing"),
        ("pagerduty", PAGERDUTY, {"routing_key": "hush"}, {}, ("secrets", "routing_key"), "has 4 characters"),
        ("flat", "https://example.com/", {}, {"template": {}}, ("template",), "belongs to the format template"),
        (
            "flat",
            "https://example.com/",
            {},
            {"contentType": "form"},
            ("contentType",),
            "belongs to the format template",
        ),
        ("flat", "https://example.com/hush!", {}, {"secretUrl": True}, ("url",), "of fewer than 6 characters"),
        ("flat", "https://example.com/", {}, {"contentMode": "binary"}, ("contentMode",), "belongs to the format clou"),
        (
            "flat",
            "https://example.com/",
            {},
            {"requestOrigin": "a.example"},
            ("requestOrigin",),
            "belongs to the format c",
        ),
        (
            "cloudevents",
            "https://example.com/",
            {},
            {"contentMode": "binary", "customHeaders": {"CE-Id": "hush", "ce-tenant": "mine"}},
            ("customHeaders", "CE-Id"),
            "is an attribute of the CloudEvent",
        ),
    ],
)
def test_a_problem_names_its_place_and_no_secret(
    fmt: str, url: str, secrets: dict[str, str], more: dict[str, Any], place: tuple[str, ...], says: str
) -> None:
    ((where, problem),) = problems(fmt, url, secrets, **more)

    assert where == place
    assert says in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    ("fmt", "url", "says"),
    [
        ("slack", "https://hooks.slack.com/triggers/T0/1/hush", "is a workflow's: it takes only variables"),
        ("teams", "http://proxy.example.com/workflows/x?sig=hush", "is not https"),
        ("discord", "https://proxy.example.com/api/webhooks/1/hush", "is not Discord's own host"),
        ("pagerduty", "https://proxy.example.com/v2/enqueue", "is not PagerDuty's own host"),
        ("slack", "https://example.com/", None),  # that is refused
        ("slack", SLACK, None),
        ("pagerduty", "http://127.0.0.1:8080/", None),  # the operator's own
        ("openmeter", "https://example.com/", None),
    ],
)
def test_a_warning_names_its_place_and_nothing_of_the_url(fmt: str, url: str, says: str | None) -> None:
    config = ChannelConfig.model_validate({"type": "WEBHOOK", "name": "Hook", "url": url, "format": fmt})

    found = fitting.warnings(config, url, lambda host: host == "127.0.0.1")

    assert [place for place, _ in found] == ([("url",)] if says else [])
    assert all(str(says) in text and "hush" not in text and "proxy" not in text for _, text in found)


@pytest.mark.parametrize(
    ("types", "warned"),
    [(None, True), ({RuleType.BALANCE_THRESHOLD}, True), ({RuleType.INVOICE_CREATED}, False)],
)
def test_a_field_missing_in_rare_events_is_a_warning(types: set[RuleType] | None, *, warned: bool) -> None:
    tree = {"at": "{{ data.threshold.value }}", "who": ["{{ data.subject.key }}"]}
    config = ChannelConfig.model_validate(
        {"type": "WEBHOOK", "name": "Hook", "url": "https://example.com/", "format": "template", "template": tree}
    )

    found = fitting.warnings(config, config.url, lambda _: False, types)

    assert [place for place, _ in found] == ([("template", "who", 0)] if warned else [])


def template(
    tree: object, secrets: dict[str, str] | None = None, **more: Any
) -> list[tuple[tuple[int | str, ...], str]]:
    config = ChannelConfig.model_validate(
        {
            "type": "WEBHOOK",
            "name": "Hook",
            "url": "https://example.com/",
            "format": "template",
            "template": tree,
            **more,
        }
    )
    hidden = {name: Secret(value) for name, value in (secrets or {}).items()}
    return fitting.problems(config, config.url, hidden, lambda _: False, TYPES)


TYPES = {RuleType.BALANCE_THRESHOLD}


def test_a_template_that_works_for_the_rules_types_fits() -> None:
    assert template({"at": "{{ data.threshold.value }}", "who": ["{{ message.title }}"]}) == []
    assert template({"key": "{{ secrets.key }}"}, {"key": "hush"}) == []


@pytest.mark.parametrize(
    ("tree", "more", "place", "says"),
    [
        ({"a": ["{{ data.previousStatus }}"]}, {}, ("template", "a", 0), "this event has no data.previousStatus"),
        ({"a": [{"b": "{{ x | foo }}"}]}, {}, ("template", "a", 0, "b"), "unknown filter 'foo'"),
        ({"key": "{{ secrets.key }}"}, {}, ("secrets", "key"), "is missing: the template needs it"),
        ({"a": {"b": "c"}}, {"contentType": "form"}, ("template", "a"), ""),
    ],
)
def test_one_that_does_not_is_said_at_its_place(
    tree: object, more: dict[str, Any], place: tuple[int | str, ...], says: str
) -> None:
    ((where, problem),) = template(tree, **more)

    assert where == place
    assert says in problem


def test_a_template_is_parsed_once_for_all_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read a large one takes 100 ms, in which nothing else is done."""
    made, environment = list[object](), minijinja.Environment

    def counted(**given: Any) -> object:
        made.append(given)
        return environment(**given)

    monkeypatch.setattr(minijinja, "Environment", counted)
    config = ChannelConfig.model_validate(
        {
            "type": "WEBHOOK",
            "name": "Hook",
            "url": "https://example.com/",
            "format": "template",
            "template": ["{{ id }} of this test alone"],
        }
    )

    assert fitting.problems(config, config.url, {}, lambda _: False) == []
    assert fitting.misfit(config, RuleType.INVOICE_CREATED) is None
    assert len(made) == 2, "for texts and for conditions; its trial is kept"


def test_without_rules_it_must_work_for_one_type() -> None:
    def of(tree: object) -> list[tuple[tuple[int | str, ...], str]]:
        config = ChannelConfig.model_validate(
            {"type": "WEBHOOK", "name": "Hook", "url": "https://example.com/", "format": "template", "template": tree}
        )
        return fitting.problems(config, config.url, {}, lambda _: False)

    assert of({"at": "{{ data.threshold.value }}"}) == []
    assert of({"at": "{{ data.nothing }}"})[0][0] == ("template", "at")


def test_the_format_template_needs_one() -> None:
    assert problems("template", "https://example.com/", {}) == [(("template",), fitting.NO_TEMPLATE)]
