"""What a run of failures means: which outcomes count, when a channel is paused, how long, and when disabled."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.decide import breaker
from consumer.decide.breaker import Breaker, Endurance, Open, Run, StopSending, judge
from consumer.decide.outcome import Outcome, OutcomeClass
from tests.support.factories import NOW

BREAKER = Breaker(failures=5, pause=dt.timedelta(seconds=5), longest=dt.timedelta(minutes=5))
ENDURANCE = Endurance(lasting=dt.timedelta(days=5), attempts=10, events=2)
DAY = dt.timedelta(days=1)


def make_run(**changed: Any) -> Run:
    usual: dict[str, Any] = {
        "channel_id": "c-1",
        "downs": 1,
        "opened": 0,
        "is_probe": False,
        "failures": 1,
        "failing_since": NOW,
        "failing_for": dt.timedelta(0),
        "events": 1,
    }
    return Run(**usual | changed)


def judged(run: Run, jitter: float = 0.0) -> Open | StopSending | None:
    return judge(run, breaker=BREAKER, endurance=ENDURANCE, jitter=jitter)


def outcome(kind: OutcomeClass, status: int | None = None) -> Outcome:
    return Outcome(kind=kind, started_at=NOW, duration_ms=1, status=status)


@pytest.mark.parametrize(
    ("status", "answered", "fails"),
    [
        (200, True, False),
        (204, True, False),
        (301, True, True),  # the receiver is there, and refuses it
        (400, True, True),
        (401, True, True),
        (429, True, True),  # it asks for a pause of its own
        (500, False, True),
        (503, False, True),
    ],
)
def test_a_4xx_is_an_answer_a_5xx_is_not_and_both_are_failures(status: int, answered: bool, fails: bool) -> None:
    seen = outcome(OutcomeClass.STATUS, status)

    assert (breaker.answered(seen), breaker.is_receivers_failure(seen)) == (answered, fails)


WITHOUT_STATUS = {
    OutcomeClass.TIMEOUT: (False, True),
    OutcomeClass.DNS: (False, True),
    OutcomeClass.CONNECT: (False, True),
    OutcomeClass.TLS: (False, True),
    OutcomeClass.RESET: (False, True),
    OutcomeClass.PROTOCOL: (False, True),
    OutcomeClass.ADDRESS: (None, True),  # no request was sent; only the channel's owner can mend it
    OutcomeClass.REQUEST: (None, False),  # our lost key must not disable every channel
    OutcomeClass.RENDERING: (None, False),
    OutcomeClass.SHORTAGE: (None, False),  # what we lack opens no breaker, and disables no channel
    OutcomeClass.INTERRUPTED: (None, False),
}


@pytest.mark.parametrize("kind", [kind for kind in OutcomeClass if kind is not OutcomeClass.STATUS])
def test_what_is_ours_shows_nothing_of_the_receiver(kind: OutcomeClass) -> None:
    seen = outcome(kind)

    assert (breaker.answered(seen), breaker.is_receivers_failure(seen)) == WITHOUT_STATUS[kind]


@pytest.mark.parametrize(("downs", "pause"), [(1, None), (4, None), (5, 5), (9, 5)])
def test_the_breaker_opens_at_the_failure_that_the_setting_names(downs: int, pause: int | None) -> None:
    decided = judged(make_run(downs=downs))

    assert decided == (None if pause is None else Open(dt.timedelta(seconds=pause)))


def test_while_it_is_open_only_the_probe_opens_it_for_longer() -> None:
    stray = make_run(downs=12, opened=1)
    probe = make_run(downs=12, opened=1, is_probe=True)

    assert judged(stray) is None
    assert judged(probe) == Open(dt.timedelta(seconds=10))


def test_pauses_double_up_to_the_longest() -> None:
    pauses = [breaker.pause(BREAKER, opened, jitter=0).total_seconds() for opened in range(9)]

    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@given(opened=st.integers(0, 10**9), jitter=st.floats(-1, 1))
def test_a_pause_with_jitter_is_between_the_first_and_longest(opened: int, jitter: float) -> None:
    pause = breaker.pause(BREAKER, opened, jitter=jitter)

    assert dt.timedelta(seconds=4) <= pause <= BREAKER.longest


@given(
    downs=st.integers(0, 20),
    opened=st.integers(0, 20),
    failures=st.integers(1, 20),
    days=st.integers(0, 10),
    events=st.integers(1, 10),
    is_probe=st.booleans(),
)
def test_a_channel_is_disabled_after_days_attempts_and_events(
    downs: int, opened: int, failures: int, days: int, events: int, is_probe: bool
) -> None:
    run = make_run(
        downs=downs, opened=opened, failures=failures, failing_for=days * DAY, events=events, is_probe=is_probe
    )

    decided = judged(run)

    assert isinstance(decided, StopSending) == (days >= 5 and failures >= 10 and events >= 2)


@pytest.mark.parametrize(
    ("failing_for", "says"),
    [
        (6.5 * DAY, "6.5 days"),
        (DAY / 2, "12.0 hours"),
        (DAY / 24, "1.0 hours"),
        (DAY / 960, "1.5 minutes"),
        (DAY / 86400, "1.0 seconds"),
    ],
)
def test_the_reason_says_for_how_long_and_how_often(failing_for: dt.timedelta, says: str) -> None:
    soon = Endurance(lasting=dt.timedelta(), attempts=10, events=2)
    run = make_run(failures=31, failing_for=failing_for, events=10)

    decided = breaker.judge(run, breaker=BREAKER, endurance=soon, jitter=0)

    assert decided == StopSending(f"no success for {says}: 31 attempts failed since the last one")
