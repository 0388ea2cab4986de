"""Channels: what may be configured; secrets go in and are not seen again."""

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from schemas import channels
from schemas.channels import ChannelConfig
from schemas.secret import Secret

SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def channel(**changed: Any) -> ChannelConfig:
    return ChannelConfig.model_validate({"type": "WEBHOOK", "name": "Hook", "url": "https://example.com/h", **changed})


def test_only_type_name_and_url_are_required() -> None:
    made = channel()

    assert (made.key, made.custom_headers, made.signing_secret, made.disabled) == (None, None, None, None)
    assert (made.format, made.metadata) == ("openmeter", {})


def test_the_apis_field_names_are_taken() -> None:
    made = channel(customHeaders={"X-Key": "hush-hush"}, signingSecret=SIGNING, metadata={"team": "billing"})

    assert made.custom_headers == {"X-Key": Secret("hush-hush")}
    assert made.signing_secret == Secret(SIGNING)


def test_a_secret_that_is_one_already_is_taken() -> None:
    assert channel(signingSecret=Secret(SIGNING)) == channel(signingSecret=SIGNING)


def test_secrets_are_in_no_form_of_it() -> None:
    made = channel(customHeaders={"X-Key": "hush-hush"}, signingSecret=SIGNING)

    for shown in (repr(made), str(made), made.model_dump_json(), str(made.model_dump())):
        assert "hush" not in shown
        assert SIGNING not in shown


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"type": "EMAIL"}, "Input should be 'WEBHOOK'"),
        ({"name": ""}, "at least 1 character"),
        ({"name": "n" * 257}, "at most 256 characters"),
        ({"format": "smoke"}, "Input should be 'openmeter'"),
        ({"secrets": {"a-b": "hush-hush"}}, "match pattern"),
        ({"secrets": {"a": ""}}, "must have 6 to 4096 characters"),
        ({"secrets": {f"a{n}": "hush-hush" for n in range(21)}}, "at most 20 items"),
        ({"secrets": {"key": "hush!"}}, "must have 6 to 4096 characters"),
        ({"secrets": {"key": ""}}, "must have 6 to 4096 characters"),
        ({"requestOrigin": "https://tollbell.example.com"}, "must be a DNS name"),
        ({"requestOrigin": "127.0.0.1"}, "must be a DNS name"),
        ({"requestOrigin": "a\r\nx: y"}, "must be a DNS name"),
        ({"contentMode": "batched"}, "'structured' or 'binary'"),
        ({"permanentStatuses": [429]}, "429 asks for another try, or for none ever again"),
        ({"permanentStatuses": [500]}, "less than or equal to 499"),
        ({"template": "hush" * 20_000}, "has 80002 bytes as JSON: at most 65536"),
        ({"url": "ftp://hush-hush"}, "has a scheme that is not http or https"),
        ({"url": "https://user:hush-hush@example.com"}, "has a user or password before the host"),
        ({"url": 5}, "valid string"),
        ({"url": None}, "valid string"),
        ({"disabled": "hush-hush"}, "valid boolean"),
        ({"customHeaders": {"Host": "hush-hush"}}, "header 'Host' is reserved"),
        ({"customHeaders": {"X": "hush-hush\n"}}, "header 'X' has a value with a line break"),
        ({"customHeaders": {"X": 5}}, "must be a text"),
        ({"customHeaders": {"X": None}}, "must be a text"),
        ({"customHeaders": {f"X-{n}": "hush-hush" for n in range(51)}}, "there are 51 headers"),
        ({"customHeaders": ["hush-hush"]}, "valid dictionary"),
        ({"signingSecret": "hush-hush"}, "the signing secret is not base64"),
        ({"signingSecret": "whsec_aHVzaC1odXNo"}, "has 9 bytes: 24 to 75 are allowed"),
        ({"signingSecret": 5}, "must be a text"),
        ({"metadata": {"a": 5}}, "valid string"),
        ({"metadata": {"n" * 257: "hush-hush"}}, "at most 256 characters"),
        ({"metadata": {"a": "hush-hush" * 1000}}, "at most 4096 characters"),
        ({"metadata": {str(n): "hush-hush" for n in range(51)}}, "at most 50 items"),
        ({"rateLimit": "5"}, "must be a number"),
        ({"rateLimit": True}, "must be a number"),
        ({"rateLimit": 0.0009}, "greater than or equal to 0.001"),
        ({"expireAfter": "731d"}, "must be from 1ms to 730d"),
        ({"key": "a\x00b"}, "match pattern"),
        ({"key": "a\x9fb"}, "match pattern"),
        ({"secret": "hush-hush"}, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_channel_is_refused_without_repeating_its_value(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        channel(**changed)

    assert says in str(caught.value)
    assert "hush" not in str(caught.value)


def test_every_bad_header_is_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        channel(customHeaders={"Host": "a", "X A": "b"})

    assert "'Host'" in str(caught.value)
    assert "'X A'" in str(caught.value)


def test_a_channel_may_have_its_own_schedule_and_limits() -> None:
    own = channel(retrySchedule=["0s", "5s", "1.5m"], concurrency=2, expireAfter="10m")

    assert [delay.total_seconds() for delay in own.retry_schedule or ()] == [0, 5, 90]
    assert own.model_dump(by_alias=True)["expireAfter"] == "10m"


def test_a_stored_configuration_has_no_defaults_and_no_secret() -> None:
    made = channel(
        metadata={"team": "red"},
        rateLimit=0.5,
        secretUrl=True,
        secrets={"key": "hush-hush"},
        permanentStatuses=[422, 400, 422],
    )

    assert json.loads(channels.rest(made)) == {"metadata": {"team": "red"}, "secretUrl": True, "rateLimit": 0.5}
    assert channels.rest(channel()) == "{}"
    assert made.permanent_statuses == (400, 422)


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, "https://example.com/h?token=hush"),
        ({"secretUrl": True}, "https://example.com/***"),
        ({"format": "slack"}, "https://example.com/***"),
        ({"format": "pagerduty"}, "https://example.com/h?token=hush"),
    ],
)
def test_a_secret_url_is_shown_as_its_origin(changed: dict[str, Any], shown: str) -> None:
    made = channel(url="https://example.com/h?token=hush", **changed)

    assert channels.shown_url(made) == shown
    assert "hush" not in repr(made)


@pytest.mark.parametrize(
    ("url", "is_secret"),
    [
        ("https://hooks.slack.com/services/T0/B0/hush", True),
        ("https://HOOKS.slack-gov.com./services/T0/B0/hush", True),
        ("https://ptb.discord.com/api/webhooks/1/hush", True),
        ("https://prod-1.westus.logic.azure.com:443/workflows/x?sig=hush", True),
        ("https://default1.environment.api.powerplatform.com/x?sig=hush", True),
        ("https://hooks.slack.com.example.com/hush", False),
        ("https://logic.azure.com.example.com/hush", False),
        ("https://events.pagerduty.com/v2/enqueue", False),
    ],
)
@pytest.mark.parametrize("fmt", ["openmeter", "template"])
def test_a_url_of_a_target_is_a_secret_whatever_is_sent_there(url: str, fmt: str, *, is_secret: bool) -> None:
    """Blocks of one's own, by a template, to Slack."""
    made = channel(url=url, format=fmt)

    assert channels.is_url_secret(made) is is_secret
    assert ("hush" in channels.shown_url(made)) is (not is_secret and "hush" in url)


def test_a_template_is_kept_by_its_hash_and_its_content_type() -> None:
    tree = {"text": "{{ event.id }}", "n": Decimal("1.50")}
    names = [
        channels.stored_format(channel(template=tree)),
        channels.stored_format(channel(template=tree, contentType="form")),
        channels.stored_format(channel(template=tree | {"n": 2})),
    ]

    assert channels.template_text(channel(template=tree)) == '{"text":"{{ event.id }}","n":1.50}'
    assert [name.rpartition(":")[0] for name in names] == ["template:json", "template:form", "template:json"]
    assert len(set(names)) == 3
    assert channels.stored_format(channel(format="flat")) == "flat"
    assert channels.stored_format(channel(format="cloudevents")) == "cloudevents"
    assert channels.stored_format(channel(format="cloudevents", contentMode="binary")) == "cloudevents:binary"


@pytest.mark.parametrize(
    "changed",
    [
        {"retrySchedule": []},  # no attempt at all
        {"retrySchedule": ["0s"] * 51},
        {"retrySchedule": ["soon"]},
        {"retrySchedule": ["0s", "61h"]},  # with jitter, past the 72 h that a delivery lives
        {"concurrency": 0},
        {"concurrency": 1001},
        {"expireAfter": "0s"},  # nothing could ever be sent
        {"expireAfter": 5},  # of what?
    ],
)
def test_one_that_could_not_work_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        channel(**changed)


def test_an_origin_to_ask_as_and_a_mask_of_a_secret_are_valid() -> None:
    made = channel(format="cloudevents", requestOrigin="Tollbell.example.com", secrets={"key": "***"})

    assert made.request_origin == "Tollbell.example.com"
    assert str((made.secrets or {})["key"]) == "***"
