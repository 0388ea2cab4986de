"""Intervals: every moment and every id is in exactly one; its bounds are the ids that can be made in it."""

import datetime as dt

from hypothesis import example, given
from hypothesis import strategies as st
from ulid_transform import bytes_to_ulid

from consumer import clock, ids
from consumer.store.intervals import LENGTH, containing, lowest_id

UTC = dt.UTC
MOMENTS = st.datetimes(dt.datetime(1970, 1, 5), dt.datetime(2999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - aware by `timezones`
RANDOMNESS = st.binary(min_size=10, max_size=10)
NEW_YEAR = dt.datetime(2027, 1, 1, tzinfo=UTC)
MONDAY = dt.datetime(2026, 11, 23, tzinfo=UTC)
TICK = dt.timedelta(milliseconds=1)


def ulid(at: dt.datetime, randomness: bytes) -> str:
    """An id as made at *at*, by the library that makes ours."""
    return bytes_to_ulid(whole_milliseconds(at).to_bytes(6, "big") + randomness)


def whole_milliseconds(at: dt.datetime) -> int:
    return (at - dt.datetime(1970, 1, 1, tzinfo=UTC)) // TICK


@given(MOMENTS, RANDOMNESS)
@example(NEW_YEAR, b"\x00" * 10)
@example(NEW_YEAR - TICK, b"\xff" * 10)
@example(MONDAY, b"\x00" * 10)
@example(MONDAY - TICK, b"\xff" * 10)
def test_an_interval_bounds_every_id_that_is_made_in_it(at: dt.datetime, randomness: bytes) -> None:
    interval = containing(at)

    assert interval.start <= at < interval.end
    assert interval.from_id <= ulid(at, randomness) < interval.to_id


@given(MOMENTS)
@example(NEW_YEAR)
def test_intervals_follow_each_other_without_gap_or_overlap(at: dt.datetime) -> None:
    interval = containing(at)

    assert interval.next() == containing(interval.end)
    assert interval.next().from_id == interval.to_id
    assert containing(interval.end - dt.timedelta(microseconds=1)) == interval
    assert interval.next(-1).to_id == interval.from_id
    assert interval.end - interval.start == LENGTH


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_time_and_names_as_intervals_do(one: dt.datetime, other: dt.datetime) -> None:
    assert (lowest_id(one) < lowest_id(other)) == (whole_milliseconds(one) < whole_milliseconds(other))
    assert (containing(one) < containing(other)) == (containing(one).name < containing(other).name)


def test_before_1970_no_id_was_made() -> None:
    for at in (dt.datetime.min.replace(tzinfo=UTC), dt.datetime(1969, 12, 31, tzinfo=UTC)):
        assert lowest_id(at) == "0" * 26


@given(MOMENTS)
def test_an_interval_begins_on_a_monday_and_its_name_says_which(at: dt.datetime) -> None:
    interval = containing(at)

    assert interval.start.weekday() == 0
    assert dt.datetime.strptime(interval.name, "%Y%m%d").replace(tzinfo=UTC) == interval.start


def test_an_id_of_ours_made_now_is_in_the_interval_of_now() -> None:
    before, made, after = clock.now(), ids.new(), clock.now()

    assert containing(before).from_id <= made < containing(after).to_id
    assert len(lowest_id(before)) == len(made)
