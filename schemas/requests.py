"""Bodies of the API's calls that are neither a channel nor a rule."""

import datetime as dt
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from schemas import times
from schemas.channels import Duration, SigningSecret
from schemas.model import Model
from schemas.rules import RuleType

MAX_CHANNELS: Final = 100
MAX_NAME_LENGTH: Final = 260  # `key:` and a key; a refusal repeats what was given
OVERLAP: Final = dt.timedelta(hours=24)
LONGEST_OVERLAP: Final = dt.timedelta(days=7)


def _overlap(overlap: dt.timedelta) -> dt.timedelta:
    if overlap > LONGEST_OVERLAP:
        raise ValueError("must be at most 7d")
    return overlap


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise ValueError("must be a text")  # noqa: TRY004 - pydantic turns ValueError into its own error
    return given


def _time(given: object) -> dt.datetime:
    return times.parse(_text(given))


class ResendRequest(Model):
    """The channels to which an event is sent again."""

    channels: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH)], ...] | None,
        Field(
            max_length=MAX_CHANNELS,
            description="Channels, by id or `key:NAME`; all of the event's where empty or absent.",
        ),
    ] = None


_Given = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH, pattern=r"^[^\x00]+$")]
# An empty list or null is refused: a program that has found nothing to name must not send everything again.
_Names = Annotated[tuple[_Given, ...], Field(min_length=1, max_length=MAX_CHANNELS)]
_Name = Annotated[
    _Given | None,
    BeforeValidator(_text),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH, "pattern": r"^[^\x00]+$"}),
]
_Moment = Annotated[
    dt.datetime | None, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})
]


def _describe_filter(schema: dict[str, Any]) -> None:
    schema["minProperties"] = 1
    for described in schema["properties"].values():
        if described.get("default") == []:  # which is not there, and may not be given
            del described["default"]


class ResendFilter(Model):
    """Which deliveries, by the names that the list of events has for its filters."""

    model_config = ConfigDict(json_schema_extra=_describe_filter)

    rule: Annotated[_Names, Field(description="Of one of these rules, by id or `key:NAME`.")] = ()
    type: Annotated[
        tuple[RuleType, ...],
        Field(min_length=1, max_length=MAX_CHANNELS, description="Of events of these types."),
    ] = ()
    channel: Annotated[_Names, Field(description="To one of these channels, by id or `key:NAME`.")] = ()
    state: Annotated[
        tuple[Literal["SUCCESS", "FAILED"], ...],
        Field(min_length=1, max_length=2, description="That have ended so: what is open is being sent already."),
    ] = ("FAILED",)
    subject: Annotated[_Names, Field(description="About one of these subjects, by key.")] = ()
    feature: Annotated[_Names, Field(description="About one of these features, by id or key.")] = ()
    customer: Annotated[_Name, Field(description="About this customer, by id or key.")] = None
    from_: Annotated[_Moment, Field(alias="from", description="Of events made at or after this time.")] = None
    to: Annotated[_Moment, Field(description="Of events made before this time.")] = None


class ResendManyRequest(Model):
    """Which deliveries are sent again."""

    filter: Annotated[ResendFilter, Field(description="Which; at least one field.")]
    expected: Annotated[
        int | None,
        Field(
            strict=True,
            ge=0,
            le=1_000_000,
            description="How many there must be; with another number nothing is sent: 409.",
        ),
    ] = None
    dry_run: Annotated[bool, Field(description="Only say how many there are.")] = False


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
