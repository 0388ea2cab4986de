"""Ids: ULIDs of now, each sorted after the one before."""

import time

import pytest
from ulid_transform import ulid_to_timestamp

from consumer import ids


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: round(seconds * 1e9))


def test_ids_are_of_now_and_sort_in_the_order_made() -> None:
    made = [ids.new() for _ in range(20_000)]

    assert made == sorted(set(made))
    assert {len(one) for one in made} == {26}
    assert abs(ulid_to_timestamp(made[-1]) - time.time_ns() / 1e6) < 60_000


def test_ids_of_two_milliseconds_have_nothing_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ids.Ids()
    at(monkeypatch, 1_800_000_000.001)
    first, second = made.new(), made.new()
    at(monkeypatch, 1_800_000_000.002)
    third = made.new()

    assert first[:20] == second[:20]
    assert third > second
    assert third[10:20] != second[10:20]


def test_a_clock_that_is_put_right_leaves_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ids.Ids()
    at(monkeypatch, 1_800_000_060)
    before = made.new()
    at(monkeypatch, 1_800_000_000)

    assert made.new() > before


def test_a_clock_that_was_wrong_by_more_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ids.Ids()
    at(monkeypatch, 1_900_000_000)
    made.new()
    at(monkeypatch, 1_800_000_000)

    assert ulid_to_timestamp(made.new()) == 1_800_000_000_000
