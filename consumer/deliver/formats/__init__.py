"""Payload formats: pure functions of an event's frozen data, one module each."""

from typing import Final

from consumer.deliver.formats import openmeter

_RENDER: Final = {"openmeter": openmeter.render}


def render(fmt: str, payload: bytes) -> bytes:
    """Return the body of *fmt* for an event's frozen *payload*.

    Raises:
        KeyError: no such format: the channel was made by a newer release.
    """
    return _RENDER[fmt](payload)
