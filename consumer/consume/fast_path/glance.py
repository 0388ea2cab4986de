"""A usage snapshot at a glance: the few fields that are judged, in one decoding, for records that change nothing.

Nearly all do: a record a minute for each entitlement, a crossing a month. `look` takes a tenth of the time of `parse`,
because it says nothing of what is wrong: where anything is unusual it is None, and the record is parsed. Names and
periods are not checked, but taken as they are, for a caller that knows a record that was parsed and said the same. So
the models here have the members of those in `native` and `openmeter` without their rules: a pattern for each name costs
more than all the rest of the decoding.
"""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas import amounts, native, openmeter, times
from schemas.amounts import EXACT
from schemas.parse import MAX_BYTES, Headers, is_binary
from schemas.sources import MAX_IDENTIFIER, OpenPeriod, Period

Number = int | Decimal
# What no record that was parsed has said the same of: its length is checked here as well.
_Name = Annotated[str, msgspec.Meta(max_length=MAX_IDENTIFIER)]
_INTEGER: Final[int] = 10**amounts.MAX_DIGITS
_FLOAT_INTEGER: Final[int] = 10**15  # up to it `judged_float` leaves a whole number as it is
# As numbers: a byte is found four times as fast as a text of one.
_BACKSLASH: Final = ord("\\")
_DELETE: Final = 0x7F


class Glance(msgspec.Struct, frozen=True, gc=False):
    """What a snapshot of a metered entitlement says.

    Attributes:
        key: namespace and id of the entitlement.
        said: everything that is judged beside time and level, as it was written. Equal in two records of one family:
            so are their feature, period, activity and allowance.
        at, usage, balance: when it was calculated, and the level, exactly as `parse` gives them; balance None where not
            known.
    """

    key: tuple[str, str]
    said: tuple[object, ...]
    at: dt.datetime
    usage: Number
    balance: Number | None


class _Party(msgspec.Struct, gc=False):
    key: _Name | None = None
    id: _Name | None = None


class _Envelope(msgspec.Struct, gc=False, kw_only=True, tag_field="type"):
    """A CloudEvent's attributes; what names it is its type, so each family adds its own data."""

    specversion: Literal["1.0"]
    id: str
    source: str
    subject: str | None = None
    time: str | None = None


class _Said(msgspec.Struct, gc=False, kw_only=True, rename="camel"):
    """What the data of both families has."""

    calculated_at: str
    customer: _Party | None = None
    subject: _Party | None = None


class _Feature(msgspec.Struct, gc=False):
    key: str
    id: str | None = None


class _Entitlement(msgspec.Struct, gc=False, rename="camel"):
    id: str
    period: OpenPeriod
    type: Literal["metered"] = "metered"
    active_from: str | None = None
    active_to: str | None = None


class _Value(msgspec.Struct, gc=False, rename="camel"):
    """Amounts untyped: so their types show what the JSON was: a number of digits, of a fraction, or anything else."""

    usage: Any
    allowance: Any = None
    balance: Any = None
    overage: Any = None
    has_access: bool | None = None


class _Data(_Said, gc=False, kw_only=True):
    entitlement: _Entitlement
    feature: _Feature
    value: _Value
    namespace: str = "default"


class _Native(_Envelope, gc=False, kw_only=True, tag=native.SNAPSHOT_TYPE):
    data: _Data
    subject: _Name | None = None


class _OpenMeterEntitlement(msgspec.Struct, gc=False, rename="camel"):
    id: str
    type: Literal["metered"]
    feature_id: str
    feature_key: str
    current_usage_period: Period
    created_at: str | None = None
    active_from: str | None = None
    active_to: str | None = None
    deleted_at: str | None = None


class _Namespace(msgspec.Struct, gc=False):
    id: str


class _OpenMeterValue(msgspec.Struct, gc=False, rename="camel"):
    usage: Any
    balance: Any
    total_available_grant_amount: Any
    overage: Any = None
    has_access: bool | None = None


class _OpenMeterData(_Said, gc=False, kw_only=True):
    entitlement: _OpenMeterEntitlement
    namespace: _Namespace
    operation: str
    value: _OpenMeterValue
    feature: _Party | None = None


class _OpenMeter(_Envelope, gc=False, kw_only=True, tag=openmeter.SNAPSHOT_TYPE):
    data: _OpenMeterData


_snapshot: Final = msgspec.json.Decoder(_Native | _OpenMeter, float_hook=Decimal)
# What decoding raises, beside msgspec's own: an integer or exponent beyond Python's, more levels than it goes down.
_UNUSUAL: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)


def look(value: bytes | None, headers: Headers) -> Glance | None:
    """Return what the record says, or None: it must be parsed. Never raises for what the bytes may be.

    Passed over here, where `parse` refuses it: in a member that is not judged, a number that does not fit, or a
    nesting that is not read, since they matter only in a payload; and an amount that is given again, and right, after
    it was given wrong.
    """
    if value is None or len(value) > MAX_BYTES or (headers and is_binary(headers)):
        return None
    # No character can be a control character then: msgspec itself refuses those below a space.
    is_plain = value.isascii() and _BACKSLASH not in value and _DELETE not in value
    try:
        seen = _snapshot.decode(value)
        if not seen.id or not seen.source or not (is_plain or _is_printable(value, seen)):
            return None
        return _native(seen.data) if isinstance(seen, _Native) else _openmeter(seen.data)
    except _UNUSUAL:
        return None


def _is_printable(value: bytes, seen: _Native | _OpenMeter) -> bool:
    value.decode()  # all of it: RFC 8259 section 8.1
    texts = [seen.id, seen.source, seen.subject, seen.time]
    for party in (seen.data.customer, seen.data.subject, seen.data.feature):
        if party is not None:
            texts += [party.key, party.id]
    return all(text.isprintable() for text in texts if text)


def _native(data: _Data) -> Glance | None:
    entitlement, value = data.entitlement, data.value
    usage, allowance, balance = value.usage, value.allowance, value.balance
    if value.overage is not None:
        return None
    are_usual = type(usage) is type(allowance) is int and balance is None
    if are_usual and -_INTEGER < usage < _INTEGER and -_INTEGER < allowance < _INTEGER:  # in half the time of the rest
        balance = allowance - usage if allowance > usage else 0
    elif not _are_amounts(usage, allowance, balance):
        return None
    elif allowance is not None and balance is None:
        balance = max(EXACT.subtract(Decimal(allowance), Decimal(usage)), 0)
    period, feature = entitlement.period, data.feature
    said = (
        feature.key,
        feature.id,
        period.from_,
        period.to,
        entitlement.active_from,
        entitlement.active_to,
        allowance,
    )
    return Glance((data.namespace, entitlement.id), said, times.read(data.calculated_at), usage, balance)


def _openmeter(data: _OpenMeterData) -> Glance | None:
    entitlement, value = data.entitlement, data.value
    allowance, overage = value.total_available_grant_amount, value.overage
    if not (_is_amount(value.usage) and _is_amount(allowance) and _is_amount(value.balance)):
        return None
    usage, balance = _judged(value.usage), _judged(value.balance)
    if overage is not None and (not _is_amount(overage) or (overage > 0 and balance > 0)):
        return None
    period = entitlement.current_usage_period
    said = (
        entitlement.feature_key,
        entitlement.feature_id,
        period.from_,
        period.to,
        entitlement.active_from,
        entitlement.active_to,
        entitlement.deleted_at,
        data.operation,
        allowance,
    )
    return Glance((data.namespace.id, entitlement.id), said, times.read(data.calculated_at), usage, balance)


def _are_amounts(usage: object, allowance: object, balance: object) -> bool:
    """Whether they are what a native record may have; without an allowance it has no balance."""
    if allowance is None:
        return balance is None and _is_amount(usage)
    return _is_amount(usage) and _is_amount(allowance) and (balance is None or _is_amount(balance))


def _is_amount(given: object) -> bool:
    """Whether *given* is a JSON number within the contract's limits; a string that is one is parsed."""
    if type(given) is int:
        return -_INTEGER < given < _INTEGER
    return isinstance(given, Decimal) and amounts.problem(given) is None


def _judged(amount: Number) -> Number:
    if type(amount) is int and -_FLOAT_INTEGER < amount < _FLOAT_INTEGER:
        return amount
    return amounts.judged_float(Decimal(amount))
