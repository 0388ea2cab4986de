"""`flat`: data's fields beside the envelope's, for receivers that map top-level fields only.

* of an invoice's event: `id`, `type`, `timestamp`, `action`, `rule`, `previousStatus`, and in `invoice` all the rest;
* of any other: `id`, `type`, `timestamp`, and each member of `data`, but one that is called like one of these three.

Members keep the bytes they have in the event's data: no number goes through a float, or is rewritten.
"""

from typing import Final

import msgspec

from consumer.decide.rules import INVOICES

_ENVELOPE: Final = ("id", "type", "timestamp")
_INVOICES: Final = frozenset(kind.value for kind in INVOICES)
_BESIDE: Final = ("action", "rule", "previousStatus")

_Members = dict[str, msgspec.Raw]
_members: Final = msgspec.json.Decoder(_Members)


def render(payload: bytes) -> bytes:
    """Return the flat body of an event's frozen *payload*.

    Raises:
        msgspec.DecodeError: it is no event.
    """
    event = _members.decode(payload)
    if missing := {*_ENVELOPE, "data"} - event.keys():
        raise msgspec.ValidationError(f"the event has no {min(missing)}")
    envelope = {name: event[name] for name in _ENVELOPE}
    members = _members.decode(event["data"])
    if msgspec.json.decode(event["type"]) in _INVOICES:
        beside = {name: members[name] for name in _BESIDE if name in members}
        invoice = {name: member for name, member in members.items() if name not in _BESIDE}
        return msgspec.json.encode({**envelope, **beside, "invoice": invoice})
    return msgspec.json.encode(envelope | {name: one for name, one in members.items() if name not in envelope})
