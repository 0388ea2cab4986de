"""What an attempt's outcome means for its delivery. Pure.

A verdict holds a delay; the database adds it to its own clock.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from consumer.decide import backoff, retry_after
from consumer.decide.outcome import Outcome, OutcomeClass, Refusal

GONE: Final = 410  # Standard Webhooks 1.0.0: disable the endpoint
TOO_MANY_REQUESTS: Final = 429
SHORTAGE_PAUSE: Final = dt.timedelta(seconds=1)
FREE_INTERRUPTIONS: Final = 5  # that spend no step of the schedule: a deploy must not cost a receiver its retries


class Delivered(Struct, frozen=True):
    """The receiver has it: SUCCESS."""


class RetryIn(Struct, frozen=True):
    """Due again after *delay*; the whole channel waits *pause*, where the receiver asks for that."""

    delay: dt.timedelta
    spends_step: bool = True
    pause: dt.timedelta | None = None


class GiveUp(Struct, frozen=True):
    """FAILED; the attempt says why. The whole channel waits *pause*, where the receiver asks for that."""

    pause: dt.timedelta | None = None


class Disable(Struct, frozen=True):
    """FAILED, and the channel is disabled by Tollbell, for *reason*: the receiver wants no more of it."""

    reason: str


Verdict = Delivered | RetryIn | GiveUp | Disable


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
    if outcome.refusal is Refusal.GONE or outcome.status == GONE:
        return Disable(outcome.detail or "410 Gone: the receiver wants no more webhooks here")
    if (decided := _regardless(outcome, interrupted)) is not None:
        return decided
    is_timeout = outcome.kind is OutcomeClass.TIMEOUT
    delay = backoff.delay(schedule, step + 1, jitter=jitter, is_timeout=is_timeout)
    pause = retry_after.asked(outcome)
    if pause is None and outcome.status == TOO_MANY_REQUESTS:
        # After the last attempt there is no delay to take: what passed before it is of the schedule's own size.
        pause = min(schedule[-1] if delay is None else delay, retry_after.LONGEST)
    if delay is None:
        return GiveUp(pause)
    return RetryIn(delay if pause is None else max(delay, pause), pause=pause)


def _regardless(outcome: Outcome, interrupted: int) -> Verdict | None:
    """Return what follows whatever the schedule says; None where that decides."""
    if outcome.refusal is Refusal.PERMANENT:
        return GiveUp()  # the same body would be refused again
    if outcome.kind is OutcomeClass.RENDERING:
        return GiveUp()  # the same event and format would fail again
    if outcome.kind is OutcomeClass.SHORTAGE:
        return RetryIn(SHORTAGE_PAUSE, spends_step=False)  # over as soon as others have ended
    if outcome.kind is OutcomeClass.INTERRUPTED and interrupted < FREE_INTERRUPTIONS:
        return RetryIn(dt.timedelta(), spends_step=False)
    return None
