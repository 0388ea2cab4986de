"""An occurrence and its id → the event's data, frozen; and what makes it the same event as another.

The same for every rule type; what each type's event holds is beside its judgement, in `decide/rules`.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from consumer.decide.model import Occurrence, Parties
from schemas import times
from schemas.events import encode
from schemas.sources import About

_SEPARATOR: Final = "\x00"  # no namespace, id, key or state holds a control character


def identity(occurrence: Occurrence) -> bytes:
    """Return 32 bytes that are equal for two occurrences if and only if they are one event."""
    return _hashed(*occurrence.identity())


def preceding(occurrence: Occurrence) -> bytes | None:
    """Return the identity of the event that a receiver must have had before this one, or None.

    Whether it was ever made is the store's to know.
    """
    parts = occurrence.preceding()
    return None if parts is None else _hashed(*parts)


class Frozen(Struct, frozen=True):
    """An event's data as it stays: the body of the `openmeter` format, and the parties it is found by."""

    body: bytes
    parties: Parties


def freeze(occurrence: Occurrence, event_id: str) -> Frozen:
    """Return the event's data: made once, stored, signed and sent byte for byte."""
    made = occurrence.payload(event_id, times.text(occurrence.occurred_at))
    return Frozen(encode(made.event), made.parties)


def payload(occurrence: Occurrence, event_id: str) -> bytes:
    """Return the body of the `openmeter` format alone."""
    return freeze(occurrence, event_id).body


def parties_of(about: About) -> Parties:
    """Return the parties that an entitlement's record names."""
    return parties(about.feature, about.subject, about.customer)


def parties(feature: Mapping[str, Any], subject: object, customer: object) -> Parties:
    """Return the parties of a payload's members."""
    return Parties(
        subject_key=_named(subject, "key"),
        feature_id=_named(feature, "id"),
        feature_key=_named(feature, "key"),
        customer_id=_named(customer, "id"),
        customer_key=_named(customer, "key"),
    )


def in_period(entitlement: dict[str, Any], start: dt.datetime, end: dt.datetime | None) -> dict[str, Any]:
    """Return *entitlement* of a record with another current usage period; one that never ends has no `to`."""
    period = {"from": times.text(start)} | ({} if end is None else {"to": times.text(end)})
    return {**entitlement, "currentUsagePeriod": period}


def _named(party: object, member: str) -> str | None:
    found = party.get(member) if isinstance(party, dict) else None
    return found if isinstance(found, str) and found else None


def _hashed(*parts: str) -> bytes:
    return hashlib.sha256(_SEPARATOR.join(parts).encode()).digest()
