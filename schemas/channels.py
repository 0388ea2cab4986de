"""Channels: where to send. The field names are the API's and the rules file's."""

import datetime as dt
import hashlib
import re
from typing import Annotated, Final, Literal, NewType

import msgspec
from pydantic import Field, InstanceOf, PlainSerializer, StrictBool, StrictInt, WithJsonSchema
from pydantic.functional_validators import AfterValidator, BeforeValidator

from schemas import durations, events, headers, signing_secrets, urls
from schemas.model import Key, Metadata, Model, Name
from schemas.secret import MASK, Secret

ChannelId = NewType("ChannelId", str)
ContentMode = Literal["structured", "binary"]  # the CloudEvents specification's words
ContentType = Literal["json", "form"]
Format = Literal["openmeter", "flat", "cloudevents", "slack", "teams", "discord", "pagerduty", "template"]
SECRET_URLS: Final[frozenset[Format]] = frozenset({"slack", "teams", "discord"})  # anyone who knows one may post there
# Likewise whatever is sent there, by a template, say. Slack's, Discord's, and those of Teams' workflows.
SECRET_HOSTS: Final = re.compile(
    r"hooks\.slack(?:-gov)?\.com|(?:(?:ptb|canary)\.)?discord(?:app)?\.com|.+\.(?:logic\.azure|powerplatform)\.com",
    re.IGNORECASE,
)
BINARY: Final = "cloudevents:binary"  # the name of that format's bodies in binary mode, where they are kept
MAX_TEMPLATE: Final = 64 * 1024  # bytes, as JSON
SHORTEST_SECRET: Final = 6  # characters; what is shorter, `1` say, occurs in answers by itself
HOLE_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
NOT_PERMANENT: Final = frozenset({408, 410, 425, 429})  # RFC 9110, 8470 and 6585: later, gone, later, slower
LONGEST_ROUND: Final = dt.timedelta(hours=72)  # beyond it a delivery is too_old: later steps would never come
_JITTER: Final = 1.2  # of the retries' pauses, at most
LONGEST_EXPIRY: Final = dt.timedelta(
    days=730
)  # the longest retention: no event is older, and Postgres' clock has an end


def _url(url: str) -> str:
    if problem := urls.problem(url):
        raise ValueError(problem)
    return url


def _secret(value: object) -> object:
    if isinstance(value, str):
        return Secret(value)
    if not isinstance(value, Secret):
        raise ValueError("must be a text")  # noqa: TRY004 - pydantic turns ValueError into its own error
    return value


def _unless_masked(value: object) -> object:
    return None if value == MASK else value


def _signing_secret(value: Secret) -> Secret:
    signing_secrets.decode(value)
    return value


def _headers(values: dict[str, Secret]) -> dict[str, Secret]:
    if found := headers.problems(values):
        raise ValueError("; ".join(found))
    return values


def _origin(name: str) -> str:
    if not urls.is_name(name):
        raise ValueError("must be a DNS name, such as tollbell.example.com, without a scheme, a port or a path")
    return name


def _duration(value: object) -> object:
    return value if isinstance(value, dt.timedelta) else durations.parse(value)


def _expiry(delay: dt.timedelta) -> dt.timedelta:
    if not dt.timedelta() < delay <= LONGEST_EXPIRY:
        raise ValueError("must be from 1ms to 730d")
    return delay


def _rate(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic turns ValueError into its own error
    return value


def _schedule(delays: tuple[dt.timedelta, ...]) -> tuple[dt.timedelta, ...]:
    if sum(delays, dt.timedelta()) * _JITTER > LONGEST_ROUND:
        raise ValueError("is longer than 72h, with 20 % of jitter: its last attempts would never be made")
    return delays


def _short(value: Secret) -> Secret:
    if value == Secret(MASK):
        return value
    if not SHORTEST_SECRET <= len(value.reveal()) <= headers.MAX_VALUE_LENGTH:
        raise ValueError(
            f"must have {SHORTEST_SECRET} to {headers.MAX_VALUE_LENGTH} characters: a shorter one is no secret,"
            " and could not be masked in answers"
        )
    return value


def _permanent(status: int) -> int:
    if status in NOT_PERMANENT:
        raise ValueError(f"{status} asks for another try, or for none ever again: it has a meaning of its own")
    return status


def _tree(value: object) -> object:
    size = len(events.encode(value))
    if size > MAX_TEMPLATE:
        raise ValueError(f"has {size} bytes as JSON: at most {MAX_TEMPLATE} are allowed")
    return value


def _each_once(statuses: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(statuses)))


Duration = Annotated[
    dt.timedelta,
    Field(ge=dt.timedelta()),
    BeforeValidator(_duration),
    PlainSerializer(durations.text),
    WithJsonSchema({"type": "string", "pattern": durations.PATTERN}),
]
Rate = Annotated[float, Field(ge=0.001, le=10_000, allow_inf_nan=False), BeforeValidator(_rate)]
Url = Annotated[
    str,
    AfterValidator(_url),
    WithJsonSchema({"type": "string", "maxLength": urls.MAX_LENGTH, "pattern": urls.PATTERN}),
]
SecretText = Annotated[
    InstanceOf[Secret], BeforeValidator(_secret), PlainSerializer(str), WithJsonSchema({"type": "string"})
]
SigningSecret = Annotated[
    SecretText,
    AfterValidator(_signing_secret),
    WithJsonSchema({"type": "string", "pattern": signing_secrets.PATTERN}),
]
Headers = Annotated[
    dict[str, SecretText],
    AfterValidator(_headers),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": headers.MAX_HEADERS,
            "propertyNames": {"maxLength": headers.MAX_NAME_LENGTH, "pattern": headers.NAME_PATTERN},
            "additionalProperties": {
                "type": "string",
                "maxLength": headers.MAX_VALUE_LENGTH,
                "pattern": headers.VALUE_PATTERN,
            },
        }
    ),
]


Secrets = Annotated[
    dict[Annotated[str, Field(pattern=HOLE_NAME)], Annotated[SecretText, AfterValidator(_short)]],
    Field(max_length=20),
]
PermanentStatus = Annotated[StrictInt, Field(ge=400, le=499), AfterValidator(_permanent)]


class ChannelConfig(Model):
    """A channel as a person writes it. `disabled` left out keeps who disabled it."""

    type: Literal["WEBHOOK"]
    name: Name
    url: Annotated[
        Url,
        Field(
            repr=False,
            description="Where to POST: http or https, no user, no fragment. One that is a secret is shown as its"
            " origin and `/***`, which keeps what is stored.",
        ),
    ]
    key: Annotated[Key | None, Field(description="By which `tollbell apply` finds it again.")] = None
    custom_headers: Annotated[
        Headers | None,
        Field(description="Sent with every webhook; stored encrypted. At most 50. `***` keeps what is stored."),
    ] = None
    signing_secret: Annotated[
        Annotated[SigningSecret, WithJsonSchema({"type": "string", "pattern": signing_secrets.PATTERN_OR_MASK})] | None,
        BeforeValidator(_unless_masked),
        Field(description="`whsec_` and base64 of 24 to 75 bytes; made where absent."),
    ] = None
    format: Annotated[Format, Field(description="The payload's form.")] = "openmeter"
    retry_schedule: Annotated[
        Annotated[tuple[Duration, ...], Field(min_length=1, max_length=50), AfterValidator(_schedule)] | None,
        Field(description="What passes before each attempt, such as [0s, 5s, 5m]; left out: the service's."),
    ] = None
    concurrency: Annotated[
        StrictInt | None,
        Field(ge=1, le=1000, description="Requests in flight in each process; left out: the service's."),
    ] = None
    rate_limit: Annotated[
        Rate | None,
        Field(
            description="Attempts a second, over all replicas; left out: 1 of `slack`, 2 of `pagerduty`, else no limit."
        ),
    ] = None
    expire_after: Annotated[
        Annotated[Duration, AfterValidator(_expiry)] | None,
        Field(description="A delivery not sent by then after its event ends FAILED, `expired`. At most 730 days."),
    ] = None
    secret_url: Annotated[
        StrictBool,
        Field(
            description="Whether its path or query is a secret: then stored encrypted, and never shown again. Of"
            " `slack`, `teams` and `discord`, and of their own hosts, it always is."
        ),
    ] = False
    secrets: Annotated[
        Secrets | None,
        Field(
            description="Texts that go into bodies when they are sent, by name, such as PagerDuty's `routing_key`;"
            " stored encrypted. At most 20. `***` keeps what is stored."
        ),
    ] = None
    template: Annotated[
        Annotated[object, AfterValidator(_tree), WithJsonSchema({"type": ["object", "array", "string"]})] | None,
        Field(
            description="Of the format `template`: the body as a tree, whose texts are templates in Jinja's language,"
            " over the event's members."
        ),
    ] = None
    content_type: Annotated[
        ContentType, Field(description="Of the format `template`: the body as JSON, or as a form's fields.")
    ] = "json"
    content_mode: Annotated[
        ContentMode,
        Field(
            description="Of the format `cloudevents`: `structured`, the whole CloudEvent as the body, or `binary`, its"
            " attributes as headers `ce-…` and its data alone as the body."
        ),
    ] = "structured"
    request_origin: Annotated[
        Annotated[
            str,
            AfterValidator(_origin),
            WithJsonSchema({"type": "string", "maxLength": 253, "pattern": urls.NAME_PATTERN}),
        ]
        | None,
        Field(
            description="Of the format `cloudevents`: the DNS name that we go by. Then the receiver is asked for its"
            " consent with OPTIONS and `WebHook-Request-Origin`, and nothing is sent before it has given it."
        ),
    ] = None
    permanent_statuses: Annotated[
        Annotated[tuple[PermanentStatus, ...], Field(max_length=50), AfterValidator(_each_once)] | None,
        Field(
            description="Answers, 400 to 499, that end a delivery FAILED at once, beside those of its format. Not"
            " 408, 410, 425 and 429, which say something else."
        ),
    ] = None
    disabled: Annotated[
        StrictBool | None, Field(description="Left out: as it was. While true, no event makes a delivery for it.")
    ] = None
    metadata: Metadata


REST: Final = {
    "metadata": "metadata",
    "secret_url": "secretUrl",
    "rate_limit": "rateLimit",
    "content_type": "contentType",
    "content_mode": "contentMode",
}
"""What of a configuration is stored together, as JSON: fields that no statement filters, computes or sends by."""
HIDDEN: Final = ("custom_headers", "signing_secret", "secrets", "disabled")
"""What is kept beside a stored configuration: secrets, and who disabled the channel."""
MASKED_PATH: Final = f"/{MASK}"


def rest(config: ChannelConfig) -> str:
    """Return the fields of `REST`, without defaults, as JSON; the column of the rate may hold the format's own."""
    return msgspec.json.encode(config.model_dump(by_alias=True, include=set(REST), exclude_defaults=True)).decode()


def template_text(config: ChannelConfig) -> str | None:
    """Return the channel's template as JSON, numbers with all their digits; None where it has none."""
    return None if config.template is None else events.encode(config.template).decode()


def stored_format(config: ChannelConfig) -> str:
    """Return the name under which bodies in the channel's format are kept: of a template, with its hash."""
    text = template_text(config)
    if text is None:
        return BINARY if config.format == "cloudevents" and config.content_mode == "binary" else config.format
    return f"template:{config.content_type}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def is_url_secret(config: ChannelConfig) -> bool:
    """Whether path and query of the channel's URL are a secret."""
    host = urls.host(config.url).rstrip(".")
    return config.secret_url or config.format in SECRET_URLS or SECRET_HOSTS.fullmatch(host) is not None


def shown_url(config: ChannelConfig) -> str:
    """Return the channel's URL as people may see it."""
    return urls.redacted(config.url) + MASKED_PATH if is_url_secret(config) else config.url
