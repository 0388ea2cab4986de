"""Failures in a row: a partition's are, whatever is taken of others between two."""

import pytest
from aiokafka import TopicPartition

from consumer.consume.failures import Failures
from consumer.errors import SourceUnavailable, StoreFailed, StoreUnavailable, Unavailable

HERE, THERE = TopicPartition("usage", 0), TopicPartition("usage", 1)
FAILED = StoreFailed("a damaged row")


def after(*failed: Unavailable) -> Failures:
    failures = Failures()
    for one in failed:
        failures.failed([HERE], one)
    return failures


def test_the_third_failure_in_a_row_narrows_and_says_how_many() -> None:
    twice, thrice = after(FAILED, FAILED), after(FAILED, FAILED, FAILED)

    assert (twice.is_narrowed, thrice.is_narrowed) == (False, True)
    assert thrice.why == "a damaged row (3 times in a row)"


def test_what_is_taken_of_another_partition_begins_no_new_count() -> None:
    failures = after(FAILED, FAILED)

    failures.taken([THERE], failed_alone=0)
    failures.failed([HERE, THERE], FAILED)

    assert (failures.is_narrowed, failures.why) == (True, "a damaged row (3 times in a row)")


def test_once_its_partition_is_taken_nothing_is_narrowed() -> None:
    failures = after(FAILED, FAILED, FAILED)

    failures.taken([HERE, THERE], failed_alone=0)

    assert (failures.is_narrowed, failures.why) == (False, None)


def test_narrowing_goes_on_after_records_that_failed_alone() -> None:
    failures = after(FAILED, FAILED, FAILED)

    failures.taken([HERE], failed_alone=1)
    still = failures.is_narrowed, failures.why
    failures.taken([HERE], failed_alone=0)

    assert (still, failures.is_narrowed) == ((True, None), False)


@pytest.mark.parametrize("away", [StoreUnavailable("gone"), SourceUnavailable("gone")])
def test_a_server_that_is_unavailable_begins_a_new_count(away: Unavailable) -> None:
    failures = after(FAILED, FAILED, away)

    assert (failures.count, failures.why) == (0, "gone")


def test_a_partition_that_has_moved_on_is_another_owners() -> None:
    failures = after(FAILED)

    failures.forget([HERE])

    assert failures.why is None
