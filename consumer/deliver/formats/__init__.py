"""Payload formats: pure functions of an event's frozen data, one module each."""

from typing import assert_never

from consumer.deliver.formats import openmeter
from schemas.channels import Format


def render(fmt: Format, payload: bytes) -> bytes:
    """Return the body of *fmt* for an event's frozen *payload*."""
    match fmt:
        case "openmeter":
            return openmeter.render(payload)
        case _:
            assert_never(fmt)
