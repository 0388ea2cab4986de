"""`cloudevents`: the event as a CloudEvent 1.0 in JSON (structured mode), its data byte for byte as frozen.

`id` is the event's, as in `webhook-id`; `source` names the rule, `subject` the entitlement or invoice.
"""

from typing import Final

import msgspec

CONTENT_TYPE: Final = "application/cloudevents+json"


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


def render(payload: bytes) -> bytes:
    """Return the body for an event's frozen *payload*.

    Raises:
        msgspec.MsgspecError: it is no event.
    """
    event = _event.decode(payload)
    data = _data.decode(event.data)
    subject = data.entitlement.id if data.entitlement is not None else data.id
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": f"/api/v1/notification/rules/{data.rule.id}",
            "type": f"tollbell.{event.type}",
            **({"subject": subject} if subject else {}),
            "time": event.timestamp,
            "datacontenttype": "application/json",
            "data": event.data,
        }
    )
