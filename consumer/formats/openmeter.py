"""The default: the reference product's envelope, which is the event's data as frozen, byte for byte."""


def render(payload: bytes) -> bytes:
    """Return *payload*."""
    return payload
