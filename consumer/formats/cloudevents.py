"""`cloudevents`: the event as a CloudEvent 1.0, its data byte for byte as frozen.

`id` is the event's, as in `webhook-id`; `source` names the rule, `subject` the entitlement or invoice. In structured
mode the CloudEvent is the body; in binary mode its attributes are headers, and the data is the body.
"""

import re
from typing import Final

import msgspec

from consumer.formats.rendered import JSON, Rendered

CONTENT_TYPE: Final = "application/cloudevents+json"
_PREFIX: Final = "ce-"
HEADERS: Final = frozenset(
    f"{_PREFIX}{name}"
    for name in ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
)
"""What the specification defines: in binary mode headers of the format's, or of none."""
# HTTP protocol binding 3.1.3.2: printable ASCII stays, but for the double quote and the escape itself.
_TO_ENCODE: Final = re.compile(r"[^!#$&-~]+")


class _Id(msgspec.Struct):
    id: str


class _Data(msgspec.Struct):
    rule: _Id
    entitlement: _Id | None = None
    id: str | None = None  # an invoice's own


class _Event(msgspec.Struct):
    id: str
    type: str
    timestamp: str
    data: msgspec.Raw


_event: Final = msgspec.json.Decoder(_Event)
_data: Final = msgspec.json.Decoder(_Data)


def render(payload: bytes, *, is_binary: bool = False) -> Rendered:
    """Return the CloudEvent of an event's frozen *payload*.

    Raises:
        msgspec.MsgspecError: it is no event.
    """
    event = _event.decode(payload)
    if is_binary:
        return Rendered(bytes(event.data), JSON, _headers(event))
    body = msgspec.json.encode({**_attributes(event), "datacontenttype": JSON, "data": event.data})
    return Rendered(body, CONTENT_TYPE)


def binary_headers(payload: bytes) -> tuple[tuple[str, str], ...]:
    """Return the headers of binary mode for an event's frozen *payload*: the same at every attempt.

    Raises:
        msgspec.MsgspecError: it is no event.
    """
    return _headers(_event.decode(payload))


def _headers(event: _Event) -> tuple[tuple[str, str], ...]:
    return tuple((f"{_PREFIX}{name}", _TO_ENCODE.sub(_encoded, value)) for name, value in _attributes(event).items())


def _attributes(event: _Event) -> dict[str, str]:
    data = _data.decode(event.data)
    subject = data.entitlement.id if data.entitlement is not None else data.id
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/api/v1/notification/rules/{data.rule.id}",
        "type": f"tollbell.{event.type}",
        **({"subject": subject} if subject else {}),
        "time": event.timestamp,
    }


def _encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())
