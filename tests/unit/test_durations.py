"""Durations as people write them, there and back."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("250ms", 0.25), ("1.5s", 1.5), ("5m", 300), ("2h", 7200), ("90d", 7_776_000), (" 1s ", 1)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert durations.parse(text) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "5 m", "-1s", "1w", "1h30m", "inf", 5, None, "9" * 30 + "d"])
def test_anything_else_is_none(text: object) -> None:
    with pytest.raises(ValueError, match=r"duration|too long"):
        durations.parse(text)


@pytest.mark.parametrize("text", ["0.5ms", "1.0001s", "0.00001m", "0." + "0" * 50 + "1s"])
def test_what_could_not_be_written_again_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="finer than a millisecond"):
        durations.parse(text)


@pytest.mark.parametrize("text", ["1.5ms0", "9" * 64 + "d", "9" * 100_000 + "d"])
def test_a_text_of_any_length_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|too long"):
        durations.parse(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    duration = dt.timedelta(milliseconds=milliseconds)

    assert durations.parse(durations.text(duration)) == duration
