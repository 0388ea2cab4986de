"""What an attempt's outcome means for its delivery. Pure.

A verdict holds a delay; the database adds it to its own clock.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from consumer.decide import backoff
from consumer.decide.outcome import Outcome, OutcomeClass

FREE_INTERRUPTIONS = 5  # that spend no step of the schedule: a deploy must not cost a receiver its retries


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it: SUCCESS."""


@dataclass(frozen=True, slots=True)
class RetryIn:
    """Due again after *delay*."""

    delay: dt.timedelta
    spends_step: bool = True


@dataclass(frozen=True, slots=True)
class GiveUp:
    """FAILED; the attempt says why."""


Verdict = Delivered | RetryIn | GiveUp


def verdict(
    outcome: Outcome, *, step: int, interrupted: int, schedule: Sequence[dt.timedelta], jitter: float
) -> Verdict:
    """Return what *outcome* means.

    Args:
        outcome: of the attempt just ended.
        step: steps of the schedule spent in this round before it.
        interrupted: attempts of this round that were interrupted before it.
        schedule: the channel's, or the service's.
        jitter: in [-1, 1].
    """
    if outcome.is_success:
        return Delivered()
    if outcome.kind is OutcomeClass.RENDERING:
        return GiveUp()  # the same event and format would fail again
    if outcome.kind is OutcomeClass.INTERRUPTED and interrupted < FREE_INTERRUPTIONS:
        return RetryIn(dt.timedelta(), spends_step=False)
    is_timeout = outcome.kind is OutcomeClass.TIMEOUT
    pause = backoff.delay(schedule, step + 1, jitter=jitter, is_timeout=is_timeout)
    return GiveUp() if pause is None else RetryIn(pause)
