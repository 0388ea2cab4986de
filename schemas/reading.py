"""JSON bytes into models, with errors that a producer's engineer understands: which field, what is wrong."""

import itertools
import json
import re
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar, get_args

import msgspec

from schemas import amounts

T = TypeVar("T")
StructT = TypeVar("StructT", bound=msgspec.Struct)

_ENUM_VALUE: Final = re.compile(r"^Invalid enum value .*$", re.DOTALL)
_PATH: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
# A number that Python's int or Decimal may refuse when read untyped: 400 digits, or an exponent of five. All digits and
# signs made one, so that a plain search finds them: linear in any input, and 20 times as fast as a pattern.
_ONE_DIGIT: Final = bytes.maketrans(b"123456789+-E", b"00000000000e")
_HUGE_NUMBERS: Final = (b"0" * 400, b"e00000")
# Records have 8 levels. Python's own limit depends on the caller's depth: what is parsed must be readable later on.
MAX_LEVELS: Final = 100
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # an open one runs to the end: linear in any input
_LEVEL: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_LEVEL: Final = bytes(byte for byte in range(256) if byte not in _LEVEL)
_untyped: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class RejectReason(StrEnum):
    """Why a record went to the dead letters. Finite: a metric's label and a header."""

    NOT_RECORDS = "not_records"
    NOT_JSON = "not_json"
    NOT_CLOUDEVENT = "not_cloudevent"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    CONTRADICTORY = "contradictory"
    IN_FUTURE = "in_future"
    REFUSED = "refused_by_database"
    TOO_MANY_EVENTS = "too_many_events"


class Rejected(Exception):
    """A record cannot be understood; carries the reason, and one line for a person that repeats no input."""

    def __init__(self, reason: RejectReason, error: str) -> None:
        super().__init__(error)
        self.reason = reason
        self.error = error


def invalid(path: str, problem: str) -> Rejected:
    """Return the rejection that says *path* *problem*."""
    return Rejected(RejectReason.INVALID, f"{path}: {problem}")


def check_text(value: bytes) -> None:
    """Check what the models' fast decoding passes over: the encoding, and how deep it goes.

    Raises:
        Rejected: not UTF-8 (RFC 8259 section 8.1), or more than 100 levels.
    """
    try:
        value.decode()
    except UnicodeDecodeError as exc:
        raise Rejected(RejectReason.NOT_JSON, f"not UTF-8 at byte {exc.start}") from None
    if value.count(b"[") + value.count(b"{") > MAX_LEVELS and _levels(value) > MAX_LEVELS:
        raise Rejected(RejectReason.NOT_JSON, "nested deeper than any record needs")


def check_numbers(value: bytes) -> None:
    """Check that all of *value*, an object that was read, can be read untyped later on.

    Raises:
        Rejected: it holds a number that no reader could.
    """
    digits = value.translate(_ONE_DIGIT)
    if any(huge in digits for huge in _HUGE_NUMBERS):
        read_all(value)


def read(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw, *, at: str = "") -> T:
    """Return *raw* decoded; *at* is the path of *raw* in its record.

    Raises:
        Rejected: NOT_JSON, or INVALID with the path of the field.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as exc:
        raise _named(str(exc), at) from None
    except msgspec.DecodeError as exc:
        raise Rejected(RejectReason.NOT_JSON, f"not JSON: {_broken(bytes(raw), exc)}") from None


def read_all(raw: bytes) -> dict[str, Any]:
    """Return the whole object of *raw*, which was read by a model before; numbers exact: fractions as Decimal.

    Raises:
        Rejected: INVALID: a number that cannot be held.
    """
    try:
        return _untyped.decode(raw)
    except (msgspec.ValidationError, ValueError, ArithmeticError):
        raise invalid("record", "holds a number too large to be read") from None


def read_amounts(decoder: msgspec.json.Decoder[StructT], raw: msgspec.Raw, *, at: str) -> StructT:
    """Return the model of amounts in *raw*, each within the contract's limits.

    Raises:
        Rejected: INVALID: a string that is no JSON number (`NaN`, `1_000`), not finite, too many digits.
    """
    if amounts.has_foreign_string(bytes(raw)):
        _check_strings(decoder, raw, at)
    values = read(decoder, raw, at=at)
    for name, value in msgspec.structs.asdict(values).items():
        if isinstance(value, Decimal) and (problem := amounts.problem(value)):
            raise invalid(f"{at}.{name}", problem)
    return values


def _check_strings(decoder: msgspec.json.Decoder[StructT], raw: msgspec.Raw, at: str) -> None:
    model: Any = decoder.type  # a `TypeForm` to mypy since msgspec 0.23, which `fields` does not take
    fields = {f.encode_name for f in msgspec.structs.fields(model) if bool not in get_args(f.type)}
    for name, member in read(_members, raw, at=at).items():
        text = bytes(member).strip()
        if name in fields and text.startswith(b'"') and not amounts.GRAMMAR.fullmatch(text[1:-1]):
            raise invalid(f"{at}.{name}", "is a string that is not a JSON number")


def _named(message: str, at: str) -> Rejected:
    found = _PATH.match(message)
    what, path = (found["what"], found["path"] or "$") if found else (message, "$")
    where = f"{at}{path[1:]}" if at else path.removeprefix("$.").removeprefix("$")
    if "matching regex" in what:  # the one pattern that the models use; its text would say nothing to a person
        plain = "has a control character"
    else:
        plain = _ENUM_VALUE.sub("is none of the values that are allowed", what).replace("`", "")
    return Rejected(RejectReason.INVALID, f"{where or 'record'}: {plain[:1].lower()}{plain[1:]}")


def _levels(value: bytes) -> int:
    brackets = _STRING.sub(b"", value).translate(None, _NO_LEVEL)
    return max(itertools.accumulate(map(_LEVEL.__getitem__, brackets)), default=0)


def _broken(raw: bytes, exc: msgspec.DecodeError) -> str:
    def no_json(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(raw.decode(), parse_constant=no_json)  # accepts what is no character: so the two are distinguished
    except ValueError:
        return str(exc).removeprefix("JSON is malformed: ")
    return "a \\u escape that is no character (half of a surrogate pair)"
