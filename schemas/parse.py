"""Bytes → source event | Reject | Ignored. Pure: the time it is comes as an argument.

CloudEvents 1.0, JSON. Structured mode: the value is the whole event. Binary mode only where both `ce_specversion` and
`ce_id` are headers (OpenMeter sends other `ce_*` headers beside a structured value): the value is the data.
The type decides what a record is, never the topic.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from schemas import native, native_invoices, openmeter, openmeter_invoices
from schemas.reading import Rejected, RejectReason, check_numbers, check_text, invalid, read
from schemas.sources import Invoice, Loose, Snapshot, SourceEvent

Headers = Sequence[tuple[str, bytes | None]]
_MODE: Final = ("ce_specversion", "ce_id")
MAX_BYTES: Final = 1_048_576  # of data; a broker takes no larger record by default, and real ones have 3 KiB
_MAX_DETAIL: Final = 500  # characters of an error that reach a header and a log line


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that can't be understood: for the dead letters."""

    reason: RejectReason
    error: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record that is none of ours: a tombstone, or a CloudEvent of another type."""


IGNORED: Final = Ignored()
Parsed = SourceEvent | Reject | Ignored


class _Envelope(msgspec.Struct, frozen=True):
    """CloudEvents 1.0 section 3: the required attributes, and what we read beside them. None has control characters."""

    specversion: Loose
    id: Loose
    source: Loose
    type: Loose
    data: msgspec.Raw = msgspec.Raw(b"")
    subject: Loose | None = None
    time: Loose | None = None


_envelope: Final = msgspec.json.Decoder(_Envelope)
_INVOICES: Final = {
    native_invoices.CREATED_TYPE: native_invoices.read_native_created,
    native_invoices.UPDATED_TYPE: native_invoices.read_native_updated,
    openmeter_invoices.CREATED_TYPE: openmeter_invoices.read_created,
    openmeter_invoices.UPDATED_TYPE: openmeter_invoices.read_updated,
}
_KNOWN: Final = frozenset({native.SNAPSHOT_TYPE, native.RESET_TYPE, openmeter.SNAPSHOT_TYPE, *_INVOICES})


def parse(value: bytes | None, headers: Headers, *, latest: dt.datetime) -> Parsed:
    """Return what a record is. *latest*: the last moment that is not the future, by the database's clock.

    Never raises for what the bytes may be.
    """
    if not value:
        return IGNORED
    try:
        envelope = _read_envelope(value, headers)
        if envelope.specversion != "1.0" or not envelope.id or not envelope.source or not envelope.type:
            raise Rejected(RejectReason.NOT_CLOUDEVENT, "specversion must be 1.0; id, source and type not empty")
        if envelope.type not in _KNOWN:
            return IGNORED
        source = _read_data(envelope, is_checked=not is_binary(headers))
        _check_times(source, latest)
    except Rejected as exc:
        return Reject(exc.reason, exc.error[:_MAX_DETAIL])
    return source


def is_binary(headers: Headers) -> bool:
    """Return whether the attributes of the event are in *headers*, and its value is the data alone."""
    if not headers:
        return False
    given = {name for name, text in headers if text is not None}
    return all(name in given for name in _MODE)


def _read_envelope(value: bytes, headers: Headers) -> _Envelope:
    try:
        if not is_binary(headers):
            check_text(value)
            return read(_envelope, value)
        attributes = {name: text for name, text in headers if name.startswith("ce_") and text is not None}
        made = msgspec.json.encode({name[len("ce_") :]: text.decode() for name, text in attributes.items()})
        return msgspec.structs.replace(read(_envelope, made), data=msgspec.Raw(value))
    except UnicodeDecodeError:
        raise Rejected(RejectReason.NOT_CLOUDEVENT, "not a CloudEvent: a header ce_* is not UTF-8") from None
    except Rejected as exc:
        if exc.reason is RejectReason.INVALID:
            raise Rejected(RejectReason.NOT_CLOUDEVENT, f"not a CloudEvent: {exc.error}") from None
        raise


def _read_data(envelope: _Envelope, *, is_checked: bool) -> SourceEvent:
    data = bytes(envelope.data)
    if not data:
        raise invalid("data", "is missing")
    if len(data) > MAX_BYTES:
        raise Rejected(RejectReason.TOO_LARGE, f"data: has {len(data)} bytes: at most {MAX_BYTES} are read")
    if not is_checked:  # in binary mode nobody has looked at it yet
        check_text(data)
    source = _read_source(envelope, data)
    check_numbers(data)
    return source


def _read_source(envelope: _Envelope, data: bytes) -> SourceEvent:
    if envelope.type == native.SNAPSHOT_TYPE:
        return native.read_native_snapshot(data, subject=envelope.subject)
    if envelope.type == openmeter.SNAPSHOT_TYPE:
        return openmeter.read_snapshot(data)
    if envelope.type == native.RESET_TYPE:
        return native.read_native_reset(data, subject=envelope.subject)
    if not envelope.time:
        raise invalid("time", "is missing: by it an invoice's records are put in order")
    return _INVOICES[envelope.type](data, source=envelope.source, event_id=envelope.id, time=envelope.time)


def _check_times(source: SourceEvent, latest: dt.datetime) -> None:
    """One wrong clock must not silence an entitlement for a year: what is ahead moves no memory."""
    match source:
        case Snapshot():
            times = {"data: calculatedAt": source.calculated_at, "data: the period's start": source.period_from}
        case Invoice():
            times = {"time": source.at}
        case _:
            times = {}
    for name, time in times.items():
        if time > latest:
            raise Rejected(RejectReason.IN_FUTURE, f"{name} is ahead of the database's clock")
        if time.year == 1:
            raise invalid(name.partition(":")[0], f"{name.rpartition(': ')[2]} is in the year 1: it was never set")
