"""Payload formats: pure functions of an event's frozen data, one module each."""

from typing import assert_never

from consumer.deliver.formats import flat, openmeter
from schemas.channels import Format


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
        case _:
            assert_never(fmt)
