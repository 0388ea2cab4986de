"""What a receiver asks for: seconds or a date, never more than an hour."""

import datetime as dt

import pytest

from consumer.decide import retry_after
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.verdict import Disable, GiveUp, RetryIn, verdict

ANSWERED = dt.datetime(2026, 11, 22, 10, 0, 0, tzinfo=dt.UTC)


def answer(status: int, header: str | None = None) -> Outcome:
    started = ANSWERED - dt.timedelta(seconds=2)
    return Outcome(kind=OutcomeClass.STATUS, started_at=started, duration_ms=2000, status=status, retry_after=header)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),  # as RFC 9110 has it
        (" 1.5 ", 1.5),  # a float, as servers in the wild send
        ("0", 0),  # at once
        ("86400", 3600),  # longer than an hour: an hour
        ("9999999999", 3600),  # likewise
        ("9" * 200, 3600),  # however many digits
        ("Sun, 22 Nov 2026 10:05:00 GMT", 300),  # a date
        ("Sun, 22 Nov 2026 10:05:00 -0000", 300),  # one that says it knows no zone
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0),  # a date gone by
        ("Fri, 31 Dec 2199 23:59:59 GMT", 3600),  # a far one
    ],
)
def test_a_receivers_wish_is_heard_up_to_an_hour(header: str, seconds: float) -> None:
    assert retry_after.asked(answer(503, header)) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "soon", "-5", "1e9", "12, 13", "Sun, 99 Nov 2026", "\x00"),
        "Sun, 22 Nov 99999 10:05:00 GMT",  # a year that no calendar of ours has
        f"Sun, 22 Nov {10**20} 10:05:00 GMT",  # one that no integer of the machine holds
        "Sun, 22 Nov 2026 99999999999999:05:00 GMT",  # likewise an hour
        f"Sun, 22 Nov 2026 10:05:00 +{10**20}",  # and a zone
    ],
)
def test_what_is_no_wish_is_none(header: str | None) -> None:
    assert retry_after.asked(answer(503, header)) is None


SCHEDULE = [dt.timedelta(), dt.timedelta(seconds=5), dt.timedelta(minutes=5)]


def judged(outcome: Outcome, step: int = 0) -> object:
    return verdict(outcome, step=step, interrupted=0, schedule=SCHEDULE, jitter=0)


def test_retry_after_pauses_the_channel_and_delays_the_retry() -> None:
    minute = dt.timedelta(minutes=1)

    assert judged(answer(503, "60")) == RetryIn(minute, pause=minute)


def test_a_schedule_longer_than_the_wish_stays() -> None:
    assert judged(answer(503, "60"), step=1) == RetryIn(dt.timedelta(minutes=5), pause=dt.timedelta(minutes=1))


def test_429_without_retry_after_pauses_for_the_retrys_delay() -> None:
    five = dt.timedelta(seconds=5)

    assert judged(answer(429)) == RetryIn(five, pause=five)


def test_429_without_retry_after_pauses_for_an_hour_at_most() -> None:
    two_hours = dt.timedelta(hours=2)

    verdict_of_429 = verdict(answer(429), step=0, interrupted=0, schedule=[dt.timedelta(), two_hours], jitter=0)

    assert verdict_of_429 == RetryIn(two_hours, pause=dt.timedelta(hours=1))


@pytest.mark.parametrize(
    ("status", "header", "pause"),
    [
        # a wish does not lengthen the schedule, and holds for the channel all the same
        (429, "60", dt.timedelta(minutes=1)),
        (503, "60", dt.timedelta(minutes=1)),
        # without one: what passed before this attempt
        (429, None, dt.timedelta(minutes=5)),
        (503, None, None),
    ],
)
def test_the_last_attempts_wish_pauses_the_channel(status: int, header: str | None, pause: dt.timedelta | None) -> None:
    assert judged(answer(status, header), step=2) == GiveUp(pause)


def test_410_disables_the_channel_and_other_failures_do_not() -> None:
    assert isinstance(judged(answer(410)), Disable)
    assert judged(answer(404)) == RetryIn(dt.timedelta(seconds=5))
