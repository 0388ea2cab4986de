"""The only definition of "reached". Exact: multiplied, never divided, in a context that traps anything inexact."""

from decimal import Decimal
from typing import Final, assert_never

from consumer.decide.model import Level, Reason
from schemas.amounts import EXACT
from schemas.thresholds import Threshold, ThresholdType

_HUNDRED: Final = Decimal(100)


def unknown(threshold: Threshold, level: Level) -> Reason | None:
    """Return why *threshold* cannot be judged at *level*, or None where it can.

    A percentage of an allowance of zero or less has no meaning; a missing amount is never taken for 0.
    """
    usage, allowance, balance = level
    if threshold.is_percentage:
        return Reason.NO_ALLOWANCE if usage is None or allowance is None or allowance <= 0 else None
    return Reason.NO_BALANCE if (balance if threshold.is_balance else usage) is None else None


def line(threshold: Threshold, level: Level) -> Decimal:
    """Return the amount at which *threshold* is reached: of usage from below, of the balance from above.

    Of an allowance a part, exactly. Call it only where `unknown` is None.
    """
    share = threshold.share
    if share is None:
        return threshold.value
    assert level.allowance is not None  # noqa: S101 - `unknown` said so
    return EXACT.multiply(share, level.allowance)


def reached(threshold: Threshold, level: Level) -> bool:
    """Return whether *level* has reached *threshold*: exactly 100 % of the allowance has reached 100 %.

    Call it only where `unknown` is None.
    """
    if threshold.is_balance:
        assert level.balance is not None  # noqa: S101 - `unknown` said so
        return level.balance <= line(threshold, level)
    assert level.usage is not None  # noqa: S101 - `unknown` said so
    return level.usage >= line(threshold, level)


def advancement(threshold: Threshold, level: Level) -> tuple[int, Decimal, int]:
    """Return what thresholds reached at once are ordered by: usage kinds by absolute level, then balance falling.

    On a tie of levels the value comes before the percentage, so that the percentage is the most advanced.
    """
    match threshold.type:
        case ThresholdType.USAGE_PERCENTAGE | ThresholdType.PERCENT:
            allowance = level.allowance if level.allowance is not None else _HUNDRED
            return (0, EXACT.multiply(threshold.value, allowance), 1)
        case ThresholdType.USAGE_VALUE | ThresholdType.NUMBER:
            return (0, EXACT.multiply(threshold.value, _HUNDRED), 0)
        case ThresholdType.BALANCE_VALUE:
            return (1, EXACT.minus(threshold.value), 0)
        case _:
            assert_never(threshold.type)
