"""Pauses grow with each failure, and never above their bound, however long something fails."""

import pytest

from consumer import pauses
from consumer.pauses import Pauses


def test_a_pause_doubles_up_to_the_longest() -> None:
    assert [Pauses(0.2, 5.0).after(failures) for failures in range(1, 8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


@pytest.mark.parametrize("one", [pauses.DUTY, pauses.CLAIM, pauses.ROW, pauses.CONFLICT])
def test_a_failure_that_lasts_for_months_has_the_longest_pause(one: Pauses) -> None:
    assert one.after(1_000_000) == one.longest
