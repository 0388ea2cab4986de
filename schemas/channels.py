"""Channels: where to send. The field names are the API's and the rules file's."""

import datetime as dt
from typing import Annotated, Final, Literal, NewType

from pydantic import Field, InstanceOf, PlainSerializer, StrictBool, StrictInt, WithJsonSchema
from pydantic.functional_validators import AfterValidator, BeforeValidator

from schemas import durations, headers, signing_secrets, urls
from schemas.model import Key, Metadata, Model, Name
from schemas.secret import MASK, Secret

ChannelId = NewType("ChannelId", str)
Format = Literal["openmeter", "flat", "cloudevents"]
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


class ChannelConfig(Model):
    """A channel as a person writes it. `disabled` left out keeps who disabled it."""

    type: Literal["WEBHOOK"]
    name: Name
    url: Annotated[Url, Field(description="Where to POST: http or https, no user, no fragment.")]
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
        Rate | None, Field(description="Attempts a second, over all replicas; left out: no limit.")
    ] = None
    expire_after: Annotated[
        Annotated[Duration, AfterValidator(_expiry)] | None,
        Field(description="A delivery not sent by then after its event ends FAILED, `expired`. At most 730 days."),
    ] = None
    disabled: Annotated[
        StrictBool | None, Field(description="Left out: as it was. While true, no event makes a delivery for it.")
    ] = None
    metadata: Metadata
