"""Bodies of the API's calls that are neither a channel nor a rule."""

from typing import Annotated, Any, Final

from pydantic import Field

from schemas.model import Model

MAX_CHANNELS: Final = 100


class ResendRequest(Model):
    """To whom an event is sent again."""

    channels: Annotated[
        tuple[str, ...] | None,
        Field(max_length=MAX_CHANNELS, description="Ids of channels; all of the event's where empty or absent."),
    ] = None


class ExplainRequest(Model):
    """A record, to be explained by a rule."""

    record: Annotated[dict[str, Any], Field(description="The CloudEvent, as it is on Kafka.")]


class PreviewRequest(ExplainRequest):
    """A record, to be explained by a rule that is not made."""

    rule: Annotated[dict[str, Any], Field(description="The rule, as it would be made.")]
