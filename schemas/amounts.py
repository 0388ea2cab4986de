"""Exact decimals: what an amount may be, and the one way to compare what OpenMeter computed in binary floats."""

import decimal
import re
from decimal import Decimal
from typing import Annotated, Final

import msgspec

MAX_DIGITS: Final = 38  # the contract's limit; a 128-bit integer has as many
MAX_EXPONENT: Final = 38

# The same for JSON Schema, of an amount that is given as a string.
STRING_PATTERN: Final = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
GRAMMAR: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")  # RFC 8259 section 6
# A string behind a colon that is not a number of RFC 8259: only then need each amount be looked at alone.
_FOREIGN_STRING: Final = re.compile(
    rb':[ \t\r\n]*"(?!-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")',
)
# Every loss is a signal here: more digits, a larger or smaller exponent.
_LIMITS: Final = decimal.Context(
    prec=MAX_DIGITS,
    Emax=MAX_EXPONENT,
    Emin=-MAX_EXPONENT,
    traps=[
        decimal.Clamped,
        decimal.Inexact,
        decimal.InvalidOperation,
        decimal.Overflow,
        decimal.Rounded,
        decimal.Subnormal,
        decimal.Underflow,
    ],
)
# Sums and products of amounts within the limits have at most 3 * 115 digits; anything inexact is our mistake.
EXACT: Final = decimal.Context(
    prec=400,
    Emax=10_000,
    Emin=-10_000,
    traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow],
)
_FLOAT_DECIMALS: Final = 9  # what OpenMeter computed is compared to nine decimals …
_FLOAT_DIGITS: Final = 15  # … or as many digits as a binary double has for certain, whichever is coarser
_ROUNDING: Final = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_EVEN)

Amount = Annotated[
    Decimal,
    msgspec.Meta(
        description="An exact decimal: a JSON number, or a string of the JSON number grammar; "
        "at most 38 significant digits, exponent within ±38.",
        extra_json_schema={"pattern": STRING_PATTERN},
    ),
]


def problem(amount: Decimal) -> str | None:
    """Return what is wrong with *amount* as an input, or None: not finite, too many digits, too large or small."""
    if not amount.is_finite():
        return "is not a finite number"
    try:
        _LIMITS.plus(amount)
    except decimal.DecimalException:
        return f"has more than {MAX_DIGITS} significant digits, or an exponent beyond ±{MAX_EXPONENT}"
    return None


def has_foreign_string(raw: bytes) -> bool:
    """Return whether the JSON object *raw* may hold a string that is no number: a fast look, never a false no."""
    return _FOREIGN_STRING.search(raw) is not None


def judged_float(amount: Decimal) -> Decimal:
    """Return a binary float's decimal text rounded to nine decimals and 15 digits, whichever is coarser.

    So that 99.99999999999999 of 100 is 100 %, and 0.1 + 0.2 of 0.3 as well.
    """
    if not amount:
        return amount
    exponent = max(-_FLOAT_DECIMALS, amount.adjusted() - (_FLOAT_DIGITS - 1))
    return amount.quantize(Decimal((0, (1,), exponent)), context=_ROUNDING)
