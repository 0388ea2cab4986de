"""The only definition of "reached". Exact: multiplied, never divided, in a context that traps anything inexact."""

from decimal import Decimal
from typing import Final

from consumer.decide.model import Level, Reason
from schemas.amounts import EXACT
from schemas.thresholds import Line

_HUNDRED: Final = Decimal(100)


def amount(line: Line, level: Level) -> Decimal | None:
    """Return the amount at which *line* is reached: of usage from below, of the balance from above.

    Of an allowance a part, exactly; None where there is no part: it is not known, or zero or less.
    """
    if line.share is None:
        return line.value
    allowance = level.allowance
    return None if allowance is None or allowance <= 0 else EXACT.multiply(line.share, allowance)


def reached(line: Line, level: Level) -> bool | None:
    """Return whether *level* has reached *line*: exactly 100 % of the allowance has reached 100 %.

    None where it can't be judged: a missing amount is never taken for 0.
    """
    shown = level.balance if line.is_balance else level.usage
    needed = amount(line, level)
    if shown is None or needed is None:
        return None
    return shown <= needed if line.is_balance else shown >= needed


def lacks(line: Line) -> Reason:
    """Return why *line* can't be judged, where `reached` is None."""
    return Reason.NO_BALANCE if line.share is None else Reason.NO_ALLOWANCE


def advancement(line: Line, level: Level) -> tuple[int, Decimal, int]:
    """Return what lines reached at once are ordered by: usage kinds by absolute level, then balance falling.

    On a tie of levels the value comes before the percentage, so that the percentage is the most advanced.
    """
    if line.is_balance:
        return (1, EXACT.minus(line.value), 0)
    if line.share is None:
        return (0, EXACT.multiply(line.value, _HUNDRED), 0)
    allowance = level.allowance if level.allowance is not None else _HUNDRED
    return (0, EXACT.multiply(line.value, allowance), 1)
