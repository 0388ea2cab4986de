"""Payload formats: pure functions of an event's frozen data, one module each."""

from typing import Final, assert_never

from consumer.deliver.formats import cloudevents, flat, openmeter
from schemas.channels import Format

JSON: Final = "application/json"


def content_type(fmt: str) -> str:
    """Return the media type of a body in *fmt*, as stored: a newer release's format, too, is JSON."""
    return cloudevents.CONTENT_TYPE if fmt == "cloudevents" else JSON


def render(fmt: Format, payload: bytes) -> bytes:
    """Return the body of *fmt* for an event's frozen *payload*.

    Raises:
        msgspec.MsgspecError: *payload* is no event of ours.
    """
    match fmt:
        case "openmeter":
            return openmeter.render(payload)
        case "flat":
            return flat.render(payload)
        case "cloudevents":
            return cloudevents.render(payload)
        case _:
            assert_never(fmt)
