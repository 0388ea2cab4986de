"""What a channel's run of failed attempts means: pause it, disable it, or neither. Pure.

The counts are facts that the store keeps (a row a channel, so replicas agree); what follows from them is decided here.
There are two runs, because they guard different things:

* *Downs*, since anybody last answered there, pause the channel: the breaker. Who has no answer, or answers 5xx, is not
  there; asking on costs our slots and the receiver's recovery. Who answers 4xx is there and refuses this event, or us;
  the next one may well be taken, and its answer costs nothing: it closes the breaker like a 2xx.
* *Failures*, since the last success, disable the channel in the end: a receiver that has refused everything for days,
  for whatever reason, is not going to take it.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from consumer.decide.outcome import Outcome, OutcomeClass

JITTER: Final = 0.2
MAX_EVENTS: Final = 10  # of a run that the store remembers
_GROWTH: Final = 2
_MOST_DOUBLINGS: Final = 20
_SERVER_ERROR: Final = 500
_UNANSWERED: Final = frozenset(
    {
        OutcomeClass.TIMEOUT,
        OutcomeClass.DNS,
        OutcomeClass.CONNECT,
        OutcomeClass.TLS,
        OutcomeClass.RESET,
        OutcomeClass.PROTOCOL,
    }
)
# Ours, not the receiver's: we stopped, could not make the body, or could not make the request (say, a lost key), or
# had nothing left to make a connection of.
_OURS: Final = frozenset(
    {OutcomeClass.INTERRUPTED, OutcomeClass.RENDERING, OutcomeClass.REQUEST, OutcomeClass.SHORTAGE}
)


def answered(outcome: Outcome) -> bool | None:
    """Return whether *outcome* shows that the receiver is there; None where it shows neither.

    `address` shows neither: no request was sent.
    """
    if outcome.status is not None:
        return outcome.status < _SERVER_ERROR
    return False if outcome.kind in _UNANSWERED else None


def is_receivers_failure(outcome: Outcome) -> bool:
    """Return whether *outcome* counts for disabling the channel.

    `address` does: the name leads where webhooks may not go, and only who owns the channel can mend that. What is ours
    (`interrupted`, `rendering`, `request`, `shortage`) does not: our lost key must not disable every channel.
    """
    return not outcome.is_success and outcome.kind not in _OURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When a channel is paused, and for how long.

    Attributes:
        failures: so many attempts without an answer, one after the other.
        pause: after the first opening; doubled with each probe that fails.
        longest: no pause is longer.
    """

    failures: int
    pause: dt.timedelta
    longest: dt.timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Endurance:
    """How long a channel may fail, without any success, before it is disabled: all three must be reached."""

    lasting: dt.timedelta
    attempts: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A channel's attempts since it last worked.

    Attributes:
        channel_id: whose.
        downs: attempts without an answer, since the last answer.
        opened: how often the breaker has opened since then; 0: it is closed.
        is_probe: whether the probe has just failed.
        failures: failed attempts since the last success.
        failing_since: the first of them, by the database.
        failing_for: since then.
        events: how many events they were of, at most `MAX_EVENTS`.
    """

    channel_id: str
    downs: int
    opened: int
    is_probe: bool
    failures: int
    failing_since: dt.datetime | None
    failing_for: dt.timedelta
    events: int


@dataclass(frozen=True, slots=True)
class Open:
    """Nothing is sent for *pause*; then one probe is."""

    pause: dt.timedelta


@dataclass(frozen=True, slots=True)
class StopSending:
    """The channel is disabled by Tollbell, for *reason*."""

    reason: str


def judge(run: Run, *, breaker: Breaker, endurance: Endurance, jitter: float) -> Open | StopSending | None:
    """Return what is to follow from *run*; None: nothing.

    Args:
        run: as the attempts just recorded have left it.
        breaker: when to pause.
        endurance: when to disable.
        jitter: in [-1, 1].
    """
    if (
        run.failing_for >= endurance.lasting
        and run.failures >= endurance.attempts
        and run.events >= min(endurance.events, MAX_EVENTS)
    ):
        return StopSending(
            f"no success for {_long(run.failing_for)}: {run.failures} attempts failed since the last one"
        )
    # While it is open, attempts that were in flight before still fail: only the probe may open it for longer.
    if run.is_probe or (run.opened == 0 and run.downs >= breaker.failures):
        return Open(pause(breaker, run.opened, jitter=jitter))
    return None


def pause(breaker: Breaker, opened: int, *, jitter: float) -> dt.timedelta:
    """Return how long *breaker* stays open, having opened *opened* times before."""
    grown = breaker.pause * float(_GROWTH ** min(opened, _MOST_DOUBLINGS))
    return min(min(grown, breaker.longest) * (1 + JITTER * jitter), breaker.longest)


def _long(span: dt.timedelta) -> str:
    """Return *span* in the largest unit of which there is one at least: `5.0 days`, `90 seconds` is `1.5 minutes`."""
    for unit in ("days", "hours", "minutes"):
        if (count := span / dt.timedelta(**{unit: 1})) >= 1:
            return f"{count:.1f} {unit}"
    return f"{span.total_seconds():.1f} seconds"
