"""What an attempt's end means for its delivery, and what passes before the next one."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from consumer.decide import backoff
from consumer.decide.outcome import Outcome, OutcomeClass, Refusal
from consumer.decide.verdict import Delivered, Disable, GiveUp, RetryIn, Verdict, verdict
from tests.support.factories import NOW

DEFAULT = tuple(
    dt.timedelta(seconds=seconds) for seconds in (0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000)
)  # product.md 5
FAILURES = [kind for kind in OutcomeClass if kind not in {OutcomeClass.RENDERING, OutcomeClass.INTERRUPTED}]
OF_THE_SCHEDULE = [kind for kind in OutcomeClass if kind is not OutcomeClass.SHORTAGE]


def outcome(kind: OutcomeClass = OutcomeClass.STATUS, status: int | None = None) -> Outcome:
    return Outcome(kind=kind, started_at=NOW, duration_ms=12, status=status)


def decided(
    of: Outcome, step: int = 0, interrupted: int = 0, jitter: float = 0.0, schedule: tuple[dt.timedelta, ...] = DEFAULT
) -> Verdict:
    return verdict(of, step=step, interrupted=interrupted, schedule=schedule, jitter=jitter)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    assert decided(outcome(status=status)) == Delivered()


@pytest.mark.parametrize(
    ("refusal", "meaning"),
    [
        (Refusal.RETRY, RetryIn(dt.timedelta(seconds=5))),
        (Refusal.PERMANENT, GiveUp()),
        (Refusal.GONE, Disable("gone")),
    ],
)
@pytest.mark.parametrize("status", [200, 404])
def test_what_the_format_reads_goes_before_the_status(status: int, refusal: Refusal, meaning: Verdict) -> None:
    refused = replace(outcome(status=status), refusal=refusal, detail="gone")

    assert not refused.is_success
    assert decided(refused) == meaning


@pytest.mark.parametrize("status", [100, 199, 300, 301, 304, 307, 400, 401, 404, 500, 503, 599])
def test_every_other_status_is_tried_again(status: int) -> None:
    assert decided(outcome(status=status)) == RetryIn(dt.timedelta(seconds=5))


@pytest.mark.parametrize("kind", FAILURES)
def test_every_failure_of_the_wire_is_tried_again(kind: OutcomeClass) -> None:
    assert isinstance(decided(outcome(kind)), RetryIn)


@pytest.mark.parametrize(
    ("step", "seconds"),
    [
        # steps spent before this attempt → what passes before the next one
        (0, 5),
        (1, 300),
        (2, 1800),
        (3, 7200),
        (4, 18_000),
        (5, 36_000),
        (6, 36_000),
        (7, None),  # that was the eighth
        (8, None),
        (500, None),
    ],
)
def test_the_schedule_is_followed_step_by_step_and_ends(step: int, seconds: int | None) -> None:
    expected = GiveUp() if seconds is None else RetryIn(dt.timedelta(seconds=seconds))

    assert decided(outcome(status=503), step) == expected


@pytest.mark.parametrize(
    ("jitter", "seconds"),
    [(-1.0, 240), (-0.5, 270), (0.0, 300), (0.5, 330), (1.0, 360)],
)
def test_jitter_moves_a_delay_by_a_fifth_at_most(jitter: float, seconds: int) -> None:
    assert decided(outcome(status=503), 1, jitter=jitter) == RetryIn(dt.timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("schedule", "step", "seconds"),
    [
        # 5 s is too soon for a receiver that is overloaded
        (DEFAULT, 0, 60),
        # longer ones are as they are
        (DEFAULT, 1, 300),
        # the rest of the schedule has nothing that long: it is meant to be quick
        ((0, 1, 2), 0, 1),
        ((0, 600, 1, 2), 1, 1),
        # a minute itself is long enough, now or later on
        ((0, 5, 60), 0, 60),
        ((0, 60), 0, 60),
    ],
)
def test_a_retry_after_a_timeout_waits_for_at_least_a_minute(
    schedule: tuple[dt.timedelta | int, ...], step: int, seconds: int
) -> None:
    steps = tuple(one if isinstance(one, dt.timedelta) else dt.timedelta(seconds=one) for one in schedule)

    assert decided(outcome(OutcomeClass.TIMEOUT), step, schedule=steps) == RetryIn(dt.timedelta(seconds=seconds))


@pytest.mark.parametrize("interrupted", range(5))
def test_five_interruptions_spend_no_step_and_wait_for_nothing(interrupted: int) -> None:
    at_the_last_step = decided(outcome(OutcomeClass.INTERRUPTED), step=7, interrupted=interrupted)

    assert at_the_last_step == RetryIn(dt.timedelta(0), spends_step=False)


def test_the_sixth_interruption_spends_a_step() -> None:
    assert decided(outcome(OutcomeClass.INTERRUPTED), 0, interrupted=5) == RetryIn(dt.timedelta(seconds=5))
    assert decided(outcome(OutcomeClass.INTERRUPTED), 7, interrupted=5) == GiveUp()


@pytest.mark.parametrize("step", [0, 7, 500])
def test_a_shortage_of_ours_spends_no_step_and_lasts_a_second(step: int) -> None:
    assert decided(outcome(OutcomeClass.SHORTAGE), step) == RetryIn(dt.timedelta(seconds=1), spends_step=False)


def test_what_cannot_be_rendered_is_given_up_at_once() -> None:
    assert decided(outcome(OutcomeClass.RENDERING)) == GiveUp()


def test_a_schedule_of_one_step_is_one_attempt() -> None:
    assert decided(outcome(status=503), schedule=(dt.timedelta(0),)) == GiveUp()


SCHEDULES = st.lists(st.timedeltas(dt.timedelta(0), dt.timedelta(days=3)), min_size=1, max_size=50).map(tuple)


@given(SCHEDULES, st.integers(1, 60), st.floats(-1, 1), st.booleans())
def test_delays_are_not_negative_and_end_with_the_last_attempt(
    schedule: tuple[dt.timedelta, ...], step: int, jitter: float, is_timeout: bool
) -> None:
    delay = backoff.delay(schedule, step, jitter=jitter, is_timeout=is_timeout)

    assert (delay is None) is (step >= len(schedule))
    assert delay is None or dt.timedelta(0) <= delay <= max(*schedule, backoff.TIMEOUT_FLOOR) * 1.2


@given(SCHEDULES, st.floats(-1, 1), st.lists(st.sampled_from(OF_THE_SCHEDULE), min_size=60))
def test_every_delivery_ends(schedule: tuple[dt.timedelta, ...], jitter: float, met: list[OutcomeClass]) -> None:
    step = interrupted = 0
    decision: Delivered | RetryIn | GiveUp = Delivered()
    for kind in met:
        decision = decided(outcome(kind), step, interrupted, jitter, schedule)
        if not isinstance(decision, RetryIn):
            break
        step += decision.spends_step
        interrupted += kind is OutcomeClass.INTERRUPTED

    assert step < len(schedule)
    assert isinstance(decision, GiveUp)
