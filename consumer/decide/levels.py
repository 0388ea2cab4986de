"""The only definition of "reached". Exact: multiplied, never divided, in a context that traps anything inexact."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from consumer.decide.model import Level, Reason
from schemas.amounts import EXACT
from schemas.thresholds import Line

_HUNDRED: Final = Decimal(100)
_TEN: Final = Decimal(10)
_ZERO: Final = Decimal(0)
_multiplied, _whole_parts = EXACT.multiply, EXACT.divide_int
COARSE_MOST: Final = 1000  # per cent: without an end, a plan of 10 that is used 50,000 times would be written each time


_PARTS: Final = {percent: EXACT.scaleb(Decimal(percent), -2) for percent in range(0, COARSE_MOST + 10, 10)}
# Where a level is beside one line: the amount at which that is reached, and whether it is (`placed`). A plain pair is
# made fastest: a record that fires makes one for each line, three times.
BesideLine: TypeAlias = tuple[Decimal | None, bool | None]


def placed(lines: Sequence[Line], level: Level) -> list[BesideLine]:
    """Return where *level* is beside each of *lines*.

    Returns:
        The amount at which the line is reached: of usage from below, of the balance from above. Of an allowance a part,
        exactly; None where there is no part: it is not known, or zero or less. And whether it is reached: exactly 100 %
        of the allowance has reached 100 %; None where that can't be judged: a missing amount is never taken for 0.
    """
    usage, balance, allowance = level.usage, level.balance, level.allowance
    whole = allowance if allowance is not None and allowance > 0 else None
    places: list[BesideLine] = []
    for _, is_balance, amount, share, _ in lines:
        if share is not None:
            if whole is None:
                places.append((None, None))
                continue
            amount = EXACT.multiply(share, whole)  # noqa: PLW2901 - of the line: as written, or this part
        if is_balance:
            places.append((amount, None if balance is None else balance <= amount))
        else:
            places.append((amount, None if usage is None else usage >= amount))
    return places


def coarse(usage: Decimal | None, allowance: Decimal | None) -> int | None:
    """Return how much of the allowance is used, in per cent: a multiple of ten, rounded down, 0 to `COARSE_MOST`.

    None where there is no part of it: usage or allowance is not known, or the allowance is zero or less.
    """
    if usage is None or allowance is None or allowance <= _ZERO:
        return None
    if usage <= _ZERO:
        return 0
    level = int(_whole_parts(_multiplied(usage, _TEN), allowance)) * 10
    return min(COARSE_MOST, level)


def coarse_amount(percent: int, allowance: Decimal) -> Decimal:
    """Return the usage at which *percent* of *allowance* begins, exactly."""
    return EXACT.multiply(_PARTS[percent], allowance)


def lacks(line: Line) -> Reason:
    """Return why *line* can't be judged, where no place says whether it is reached."""
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
