"""How long records gather: not at all while idle or behind, and never long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.consume.gathering import LONGEST, Gathering


def steady(*, every: float, cost: float, batches: int = 500, is_full: bool = False) -> tuple[Gathering, float]:
    """What a consumer learns from one record at a time; and when its last batch began."""
    learned = Gathering()
    for n in range(batches):
        learned.took(1, began=n * every, ended=n * every + cost, is_full=is_full)
    return learned, (batches - 1) * every


def test_the_first_record_is_taken_at_once() -> None:
    assert Gathering().pause(1_000.0) is None


def test_an_idle_consumer_takes_a_record_at_once() -> None:
    learned, began = steady(every=0.02, cost=0.003)

    assert learned.pause(began + 0.003) is None


def test_a_consumer_that_keeps_up_takes_each_record_at_once() -> None:
    learned, began = steady(every=0.005, cost=0.0035)

    assert learned.pause(began + 0.0035) is None


def test_a_busy_consumer_gathers_records_since_its_last_batch() -> None:
    learned, began = steady(every=0.001, cost=0.003)

    assert learned.pause(began + 0.003) == pytest.approx(LONGEST - 0.003)
    assert learned.pause(began + 0.2) is None


def test_a_batch_that_took_long_enough_is_followed_at_once() -> None:
    learned, began = steady(every=0.001, cost=0.01)

    assert learned.pause(began + 0.01) == 0


def test_a_consumer_becomes_idle_as_soon_as_records_stay_away() -> None:
    learned, began = steady(every=0.001, cost=0.003)

    learned.took(1, began=began + 5, ended=began + 5.003, is_full=False)

    assert learned.pause(began + 5.003) is None


def test_a_consumer_that_is_behind_does_not_wait() -> None:
    learned, began = steady(every=0.001, cost=0.003, is_full=True)

    assert learned.pause(began + 0.003) is None


@given(
    st.lists(st.tuples(st.integers(1, 4000), st.floats(0, 10), st.floats(0, 10), st.booleans()), max_size=20),
    st.floats(0, 100),
)
def test_nothing_gathers_longer_than_the_longest(batches: list[tuple[int, float, float, bool]], later: float) -> None:
    learned, now = Gathering(), 0.0

    for records, waited, cost, is_full in batches:
        began = now + waited
        now = began + cost
        learned.took(records, began=began, ended=now, is_full=is_full)

    assert 0 <= (learned.pause(now + later) or 0) <= LONGEST
