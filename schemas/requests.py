"""Bodies of the API's calls that are neither a channel nor a rule."""

import datetime as dt
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from schemas import times
from schemas.channels import Duration, SigningSecret
from schemas.model import Model

MAX_CHANNELS: Final = 100
MAX_NAME_LENGTH: Final = 260  # `key:` and a key; a refusal repeats what was given
OVERLAP: Final = dt.timedelta(hours=24)
LONGEST_OVERLAP: Final = dt.timedelta(days=7)


def _overlap(overlap: dt.timedelta) -> dt.timedelta:
    if overlap > LONGEST_OVERLAP:
        raise ValueError("must be at most 7d")
    return overlap


def _time(given: object) -> dt.datetime:
    if not isinstance(given, str):
        raise ValueError("must be a text")  # noqa: TRY004 - pydantic turns ValueError into its own error
    return times.parse(given)


class ResendRequest(Model):
    """To whom an event is sent again."""

    channels: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH)], ...] | None,
        Field(
            max_length=MAX_CHANNELS,
            description="Channels, by id or `key:NAME`; all of the event's where empty or absent.",
        ),
    ] = None


class ExplainRequest(Model):
    """A record, to be explained by a rule."""

    record: Annotated[dict[str, Any], Field(description="The CloudEvent, as it is on Kafka.")]


class PreviewRequest(ExplainRequest):
    """A record, to be explained by a rule that is not made."""

    rule: Annotated[dict[str, Any], Field(description="The rule, as it would be made.")]


class RotateRequest(Model):
    """A new signing secret."""

    overlap: Annotated[
        Annotated[Duration, AfterValidator(_overlap)],
        Field(description="How long the secret before stays valid, 0 to 7 days.", json_schema_extra={"default": "24h"}),
    ] = OVERLAP
    signing_secret: Annotated[SigningSecret | None, Field(description="Made where absent.")] = None


class RecoverRequest(Model):
    """What a channel has missed."""

    since: Annotated[
        dt.datetime,
        BeforeValidator(_time),
        WithJsonSchema({"type": "string", "format": "date-time"}),
        Field(description="Of events made since then."),
    ]
    until: Annotated[
        dt.datetime | None,
        BeforeValidator(_time),
        WithJsonSchema({"type": "string", "format": "date-time"}),
        Field(description="Of events made before then; all of them where absent."),
    ] = None
