"""Which record an event was made of: where it lies in Kafka, and what its producer calls it."""

import contextlib
import re
from typing import Final

import msgspec

from schemas.parse import Headers, attributes_of

_MAX: Final = 256  # characters that are kept of a source and an id: enough to find it, whatever a producer writes
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context, level 1
# What reading raises where a record may be anything: besides msgspec's own, more levels than it goes down, and what a
# binary one lacks.
_UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, UnicodeError, KeyError)
_INVALID: Final = ("ff-", "0" * 32, "0" * 16)  # a version, a trace and a parent that are none


class Traced(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record, for people who look for it.

    Attributes:
        topic: in which it lies, with partition and offset.
        source: the CloudEvent's, as its `id`; their first 256 characters.
        traceparent: of the record's header of that name, or the CloudEvent's attribute (its distributed tracing
            extension): the trace that it is part of. None where there is none that W3C Trace Context allows.
    """

    topic: str
    partition: int
    offset: int
    source: str
    id: str
    traceparent: str | None = None

    def fields(self) -> dict[str, str | int]:
        """Return the fields by which a line of the log is found; `id` as `source_id`: it is not the event's."""
        found: dict[str, str | int] = {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "source": self.source,
            "source_id": self.id,
        }
        if self.traceparent is not None:
            found["traceparent"] = self.traceparent
        return found


def traced(topic: str, partition: int, offset: int, value: bytes, headers: Headers) -> Traced:
    """Return what is kept of a record that was understood."""
    names = attributes_of(value, headers)
    parent = names.traceparent
    for name, text in headers:
        if text is not None and name.lower() == "traceparent":
            parent = text.decode(errors="replace")
            break
    return Traced(topic, partition, offset, names.source[:_MAX], names.id[:_MAX], parent if _is_valid(parent) else None)


def located(topic: str, partition: int, offset: int, value: object, headers: Headers) -> dict[str, str | int]:
    """Return the fields by which a line about a record is found that may not be understood: those that can be read."""
    if isinstance(value, bytes):
        with contextlib.suppress(*_UNREADABLE):
            return traced(topic, partition, offset, value, headers).fields()
    return {"topic": topic, "partition": partition, "offset": offset}


def _is_valid(parent: str | None) -> bool:
    if parent is None or not _TRACEPARENT.fullmatch(parent):
        return False
    version, trace, span = _INVALID
    return not parent.startswith(version) and parent[3:35] != trace and parent[36:52] != span
