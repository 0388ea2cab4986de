"""What a soak judges by: does a series keep growing, and how many events its load makes."""

from collections.abc import Callable

import pytest

from tests.soak.growth import Bound, quarters
from tests.soak.load import VISITS, steady

MINUTES = [float(n) for n in range(60)]


@pytest.mark.parametrize(
    ("of", "is_held"),
    [
        (lambda _: 100.0, True),
        (lambda minute: 50 + min(minute, 15) * 4, True),  # fills a cache, and stays
        (lambda minute: 100.0 + 30 * (minute % 7 == 0), True),  # peaks, and comes back
        (lambda minute: 100.0 + minute, False),  # leaks
        (lambda minute: 100.0 * 1.02**minute, False),
        (lambda minute: 100.0 + (50 if minute > 40 else 0), False),
    ],
    ids=["flat", "warms up", "peaks", "leaks", "leaks ever faster", "jumps late"],
)
def test_a_leak_is_distinguished_from_warming_up(of: Callable[[float], float], is_held: bool) -> None:
    medians = quarters([(minute, of(minute)) for minute in MINUTES], 0, 60)

    assert medians is not None
    assert Bound(1.1, 8).held(*medians) is is_held


def test_a_series_without_a_second_or_last_quarter_says_nothing() -> None:
    assert quarters([(minute, 1.0) for minute in MINUTES if minute < 40], 0, 60) is None


def test_small_things_may_double() -> None:
    assert Bound(1.2, 1).held(0.1, 0.9)
    assert not Bound(1.2, 1).held(0.1, 1.2)


def test_the_steady_load_makes_six_events_a_period_spread_out() -> None:
    load = steady("ns", entitlements=VISITS, records=VISITS * VISITS * 3, seed=1)

    of_one = [event for event in load.story().events if event.about == ("ns", "ent-0")]
    assert len(of_one) == 6 * 3  # three whole periods, each ended by a record or by the clock
    first = {record.about: record.usage for record in reversed(load.records)}
    assert len(set(first.values())) == VISITS
    assert len(load.records) > VISITS * VISITS * 3  # some come twice
