"""Bytes → source event | Reject | Ignored. Pure: the time it is comes as an argument.

CloudEvents 1.0, JSON. A `content-type` of `application/cloudevents+json` says structured mode: the value is the whole
event. Else binary mode where both `ce_specversion` and `ce_id` are headers: the value is the data (OpenMeter sends
other `ce_*` headers beside a structured value). Else structured. Header names count in any case.
The type decides what a record is, never the topic.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from schemas import native, native_invoices, openmeter, openmeter_invoices
from schemas.reading import Rejected, RejectReason, check_numbers, check_text, invalid, read
from schemas.sources import Invoice, Loose, Snapshot, SourceEvent

Headers = Sequence[tuple[str, bytes | None]]
_MODE: Final = ("ce_specversion", "ce_id")
_PREFIX: Final = "ce_"
_OF_HTTP: Final = "ce-"  # how the same attributes are written in HTTP
_STRUCTURED: Final = b"application/cloudevents+json"
_REGISTRY: Final = b"\x00"  # the first byte of Confluent's wire format, four bytes of the schema's id after it
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


class Attributes(msgspec.Struct, frozen=True):
    """What names a CloudEvent beside its data: for people who look for it."""

    id: str
    source: str
    traceparent: str | None = None


_NULL: Final = msgspec.Raw(b"null")


class _Named(msgspec.Struct, frozen=True):
    """The same in structured mode. *traceparent* was not checked: it may be anything."""

    id: str
    source: str
    traceparent: msgspec.Raw = _NULL


_REQUIRED: Final = ("specversion", "id", "source", "type")
_envelope: Final = msgspec.json.Decoder(_Envelope)
_named: Final = msgspec.json.Decoder(_Named)
_text: Final = msgspec.json.Decoder(str | None)


class _ReadInvoice(Protocol):
    def __call__(self, data: bytes, *, source: str, event_id: str, time: str) -> Invoice: ...


def _of_invoice(read_invoice: _ReadInvoice) -> Callable[[bytes, _Envelope], SourceEvent]:
    def read_data(data: bytes, envelope: _Envelope) -> SourceEvent:
        if not envelope.time:
            raise invalid("time", "is missing: by it an invoice's records are put in order")
        return read_invoice(data, source=envelope.source, event_id=envelope.id, time=envelope.time)

    return read_data


# What reads the data of each CloudEvent type: the one place to add an input.
_READERS: Final[Mapping[str, Callable[[bytes, _Envelope], SourceEvent]]] = {
    native.SNAPSHOT_TYPE: lambda data, envelope: native.read_native_snapshot(data, subject=envelope.subject),
    native.RESET_TYPE: lambda data, envelope: native.read_native_reset(data, subject=envelope.subject),
    native_invoices.CREATED_TYPE: _of_invoice(native_invoices.read_native_created),
    native_invoices.UPDATED_TYPE: _of_invoice(native_invoices.read_native_updated),
    openmeter.SNAPSHOT_TYPE: lambda data, _: openmeter.read_snapshot(data),
    openmeter_invoices.CREATED_TYPE: _of_invoice(openmeter_invoices.read_created),
    openmeter_invoices.UPDATED_TYPE: _of_invoice(openmeter_invoices.read_updated),
}
KNOWN_TYPES: Final = frozenset(_READERS)


def parse(value: bytes | None, headers: Headers, *, latest: dt.datetime) -> Parsed:
    """Return what a record is. *latest*: the last moment that is not the future, by the database's clock.

    Never raises for what the bytes may be.
    """
    if value is None:
        return IGNORED
    attributes = _attributes(headers) if is_binary(headers) else None
    try:
        envelope = _read_envelope(value, attributes) if attributes is not None else _read_structured(value, headers)
        if envelope.specversion != "1.0" or not envelope.id or not envelope.source or not envelope.type:
            raise Rejected(RejectReason.NOT_CLOUDEVENT, "specversion must be 1.0; id, source and type not empty")
        if envelope.type not in KNOWN_TYPES:
            return IGNORED
        source = _read_data(envelope, is_checked=attributes is None)
        _check_times(source, latest)
    except Rejected as exc:
        return Reject(exc.reason, exc.error[:_MAX_DETAIL])
    return source


def attributes_of(value: bytes, headers: Headers) -> Attributes:
    """Return what names the CloudEvent of a record that `parse` understood."""
    if not is_binary(headers):
        named = _named.decode(value)
        return Attributes(named.id, named.source, _text_of(named.traceparent))
    given = {name: text.decode() for name, text in _attributes(headers).items()}
    return Attributes(given["id"], given["source"], given.get("traceparent"))


def _text_of(raw: msgspec.Raw) -> str | None:
    if raw is _NULL:
        return None
    try:
        return _text.decode(raw)
    except msgspec.MsgspecError:
        return None


def is_binary(headers: Headers) -> bool:
    """Return whether the attributes of the event are in *headers*, and its value is the data alone."""
    if not headers:
        return False
    given = [(name.lower(), text) for name, text in headers if text is not None]
    if any(name == "content-type" and _media_type(text) == _STRUCTURED for name, text in given):
        return False
    names = {name for name, _ in given}
    return all(name in names for name in _MODE)


def _media_type(text: bytes) -> bytes:
    return text.partition(b";")[0].strip().lower()


def _attributes(headers: Headers) -> dict[str, bytes]:
    lowered = ((name.lower(), text) for name, text in headers if text is not None)
    return {name[len(_PREFIX) :]: text for name, text in lowered if name.startswith(_PREFIX)}


def _read_structured(value: bytes, headers: Headers) -> _Envelope:
    try:
        _check_is_json(value)
        check_text(value)
        return read(_envelope, value)
    except Rejected as exc:
        reason = RejectReason.NOT_CLOUDEVENT if exc.reason is RejectReason.INVALID else exc.reason
        error = exc.error if reason is exc.reason else f"not a CloudEvent: {exc.error}"
        raise Rejected(reason, error + _meant(headers)) from None


def _meant(headers: Headers) -> str:
    """Return what to say where headers look as if binary mode was meant."""
    names = {name.lower() for name, text in headers if text is not None}
    if any(name.startswith(_OF_HTTP) for name in names):
        return "; in Kafka the headers of binary mode begin with ce_, not with ce-"
    missing = [name for name in _MODE if name not in names]
    if len(missing) == len(_MODE) or not missing:
        return ""
    return f"; binary mode needs the header {missing[0]} too"


def _read_envelope(data: bytes, attributes: Mapping[str, bytes]) -> _Envelope:
    """Return the envelope of binary mode: what is wrong with it is wrong in a header."""
    try:
        made = msgspec.json.encode({name: text.decode() for name, text in attributes.items()})
        return msgspec.structs.replace(read(_envelope, made), data=msgspec.Raw(data))
    except UnicodeDecodeError:
        raise Rejected(RejectReason.NOT_CLOUDEVENT, "not a CloudEvent: a header ce_* is not UTF-8") from None
    except Rejected as exc:
        absent = next((name for name in _REQUIRED if name not in attributes), None)
        wrong = f"header {_PREFIX}{absent}: is missing" if absent else f"header {_PREFIX}{exc.error}"
        raise Rejected(RejectReason.NOT_CLOUDEVENT, f"not a CloudEvent: {wrong}") from None


def _check_is_json(value: bytes) -> None:
    """Check what is no JSON at the first look, and is often sent: say what it is."""
    if not value:
        raise Rejected(RejectReason.NOT_JSON, "is empty: not a tombstone, whose value is null, and no JSON")
    if value.startswith(_REGISTRY):
        raise Rejected(
            RejectReason.NOT_JSON,
            "not JSON: begins with a byte 0, as a Schema Registry's serializer writes it (5 bytes before the value):"
            " send the JSON alone",
        )


def _read_data(envelope: _Envelope, *, is_checked: bool) -> SourceEvent:
    data = bytes(envelope.data)
    if not data and is_checked:
        raise invalid("data", "is missing")
    if len(data) > MAX_BYTES:
        raise Rejected(RejectReason.TOO_LARGE, f"data: has {len(data)} bytes: at most {MAX_BYTES} are read")
    if not is_checked:  # in binary mode it was not checked yet
        _check_is_json(data)
        check_text(data)
    source = _READERS[envelope.type](data, envelope)
    check_numbers(data)
    return source


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
