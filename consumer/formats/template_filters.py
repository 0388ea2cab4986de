"""The filters of templates that are ours. Amounts are texts in a template, so that they keep their digits."""

import math
from decimal import Decimal
from typing import Final

from consumer.formats import texts
from schemas import amounts, times

_ENGINES_LARGEST: Final = 2**127 - 1  # of its integers


def number(value: object) -> int | float:
    """Return the number that *value* is, to compare or calculate with; exact where it is whole."""
    exact = _decimal(value)
    whole = int(exact)
    return whole if whole == exact and abs(whole) <= _ENGINES_LARGEST else float(exact)


def number_if_any(value: object) -> int | float:
    """Return what `number` does; of what an event lacks a number that no comparison is true of."""
    return math.nan if value is None else number(value)


def grouped(value: object) -> str:
    """Return the amount *value* as people read it: `1,234.50`."""
    return texts.number(_decimal(value))


def moment(value: object) -> str:
    """Return the time *value* as people read it: `1 November 2026, 00:00 UTC`."""
    if not isinstance(value, str):
        raise ValueError("moment: takes a time such as 2026-11-22T10:15:30Z")  # noqa: TRY004 - as its other refusals
    return texts.moment(times.read(value))


def _decimal(value: object) -> Decimal:
    text = str(value)
    if isinstance(value, bool) or not amounts.GRAMMAR.fullmatch(text.encode()):
        raise ValueError("takes a number")
    try:
        exact = Decimal(text)
    except ArithmeticError:  # an exponent of twenty digits
        raise ValueError("takes a number of at most 38 digits") from None
    if problem := amounts.problem(exact):
        raise ValueError(f"takes a number, and this one {problem}")
    return exact
