"""RFC 3339 in and out; UTC; truncated, never rounded."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import times


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-22T10:15:30Z", dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)),
        # offsets become UTC
        ("2026-11-22T10:15:30+05:30", dt.datetime(2026, 11, 22, 4, 45, 30, tzinfo=dt.UTC)),
        ("2026-11-22T23:15:30-02:00", dt.datetime(2026, 11, 23, 1, 15, 30, tzinfo=dt.UTC)),
        ("2026-11-22T10:15:30-00:00", dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)),
        # RFC 3339 allows small letters and a space
        ("2026-11-22t10:15:30z", dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)),
        ("2026-11-22 10:15:30Z", dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)),
        # fractions: any number of digits, truncated to microseconds
        ("2026-11-22T10:15:30.2Z", dt.datetime(2026, 11, 22, 10, 15, 30, 200_000, tzinfo=dt.UTC)),
        ("2026-11-22T10:15:30.123456Z", dt.datetime(2026, 11, 22, 10, 15, 30, 123_456, tzinfo=dt.UTC)),
        ("2026-11-22T10:15:30.999999999Z", dt.datetime(2026, 11, 22, 10, 15, 30, 999_999, tzinfo=dt.UTC)),
        # the ends of time
        ("0001-01-01T00:00:00Z", dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
        ("9999-12-31T23:59:59.999999Z", dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)),
        ("2028-02-29T00:00:00Z", dt.datetime(2028, 2, 29, tzinfo=dt.UTC)),
    ],
)
def test_a_time_is_read(text: str, time: dt.datetime) -> None:
    found = times.parse(text)

    assert found == time
    assert found.tzinfo is dt.UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-22",  # a day is no time
        "2026-11-22T10:15:30",  # whose?
        "2026-11-22T10:15Z",
        "20261122T101530Z",
        "2026-W47-7T10:15:30Z",
        "2026-11-22T10:15:30,5Z",
        "2026-11-22T10:15:30.Z",
        "2026-11-22T10:15:30+0530",
        "2026-11-22T10:15:30ZZ",
        "2026-11-22T10:15:30.1ZZ",
        "2026-11-22T10:15:3aZ",
        "2026-11-22T10:15:30.٣Z",
        "2026-11-22T10:15:30Z\n",
        " 2026-11-22T10:15:30Z",
        "٢٠٢٦-11-22T10:15:30Z",  # other digits
        "99999-01-01T00:00:00Z",
        "1795342530",
        "2026-11-22T10:15:30." + "1" * 100_000 + "Z",
    ],
)
def test_what_is_no_rfc_3339_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an RFC 3339 time, such as"):
        times.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-22T25:00:00Z",
        "2026-11-22T10:15:60Z",  # a leap second
        "2026-11-22T10:15:30+25:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",  # before the year 1
        "9999-12-31T23:59:59-01:00",  # after the year 9999
    ],
)
def test_a_day_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not exist, or a year outside 1 to 9999"):
        times.parse(text)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC), "2026-11-22T10:15:30Z"),
        (dt.datetime(2026, 11, 22, 10, 15, 30, 123_000, tzinfo=dt.UTC), "2026-11-22T10:15:30.123Z"),
        (dt.datetime(2026, 11, 22, 10, 15, 30, 123_456, tzinfo=dt.UTC), "2026-11-22T10:15:30.123456Z"),
        (dt.datetime(1, 1, 1, tzinfo=dt.UTC), "0001-01-01T00:00:00Z"),
        (dt.datetime(2026, 11, 22, 10, tzinfo=dt.timezone(dt.timedelta(hours=1))), "2026-11-22T09:00:00Z"),
    ],
)
def test_a_time_is_written_with_the_digits_that_say_something(time: dt.datetime, text: str) -> None:
    assert times.text(time) == text


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_what_is_written_is_read_as_the_same(time: dt.datetime) -> None:
    assert times.parse(times.text(time)) == time
