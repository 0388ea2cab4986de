"""Who may start how many requests: shared evenly, and no slow or busy channel takes them all."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.deliver.slots import Limits, allot
from consumer.store.deliveries import DueChannel

LIMITS = Limits(total=16, channel=4)


def due(*names: str, namespace: str = "default") -> list[DueChannel]:
    return [DueChannel(name, namespace, 0.0) for name in names]


def test_one_channel_has_its_own_limit_and_no_more() -> None:
    assert allot(due("a"), {}, [], LIMITS, {}) == {"a": 4}


def test_what_is_in_flight_counts_against_the_channels_limit() -> None:
    assert allot(due("a", "b"), {"a": 3, "b": 4}, [], LIMITS, {}) == {"a": 1}


def test_the_room_is_shared_evenly() -> None:
    given_to = allot(due(*"abcdef"), {}, [], LIMITS, {})

    assert sorted(given_to.values()) == [2, 2, 3, 3, 3, 3]


def test_more_channels_than_slots_get_one_each_in_order() -> None:
    names = [f"c{n}" for n in range(20)]

    assert allot(due(*names), {}, [], LIMITS, {}) == dict.fromkeys(names[:16], 1)


@pytest.mark.parametrize("busy", [16, 17])
def test_without_room_no_request_starts(busy: int) -> None:
    assert allot(due("a"), {"b": busy}, [], LIMITS, {}) == {}


def test_nothing_due_is_nothing_given() -> None:
    assert allot([], {}, [], LIMITS, {}) == {}


def test_channels_that_timed_out_share_a_quarter() -> None:
    names = [f"c{n}" for n in range(10)]

    given_to = allot(due(*names), {}, names, LIMITS, {})

    assert sum(given_to.values()) == 4


def test_slow_ones_in_flight_count_against_their_quarter() -> None:
    given_to = allot(due("slow", "quick"), {"hung": 3}, ["slow", "hung"], LIMITS, {"hung": "default"})

    assert given_to == {"slow": 1, "quick": 4}


def test_63_black_holes_leave_three_quarters_to_the_others() -> None:
    holes = [f"hole{n}" for n in range(63)]
    limits = Limits(total=500, channel=8)

    given_to = allot(due(*holes, "good"), dict.fromkeys(holes, 1) | {"hole0": 62}, holes, limits, {})

    assert sum(given_to.get(hole, 0) for hole in holes) == 1
    assert given_to["good"] == 8


def test_a_slow_channel_alone_in_a_small_process_still_gets_one() -> None:
    assert allot(due("slow"), {}, ["slow"], Limits(total=2, channel=2), {}) == {"slow": 1}


def test_a_namespace_has_half_while_another_has_something_due() -> None:
    loud = due(*"abcdefgh", namespace="loud")

    given_to = allot([*loud, *due("z", namespace="quiet")], {}, [], LIMITS, {})

    assert sum(given_to[channel.id] for channel in loud) == 8
    assert given_to["z"] == 4


def test_a_namespace_alone_has_all() -> None:
    assert sum(allot(due(*"abcdefgh"), {}, [], LIMITS, {}).values()) == 16


def test_a_namespaces_requests_in_flight_count_against_its_half() -> None:
    both = [*due("a", namespace="loud"), *due("z", namespace="quiet")]

    given_to = allot(both, {"b": 7}, [], LIMITS, {"b": "loud"})

    assert given_to == {"a": 1, "z": 4}


CHANNELS = st.lists(
    st.builds(DueChannel, st.sampled_from("abcdefghij"), st.sampled_from(["x", "y", "z"]), st.just(0.0)),
    unique_by=lambda channel: channel.id,
)


@given(
    CHANNELS,
    st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 5)),
    st.sets(st.sampled_from("abcdefghij")),
    st.builds(Limits, st.integers(1, 40), st.integers(1, 8)),
)
def test_no_limit_is_ever_exceeded_by_what_is_given(
    channels: list[DueChannel], in_flight: dict[str, int], slow: set[str], limits: Limits
) -> None:
    home = {channel.id: channel.namespace for channel in channels}

    given_to = Counter(allot(channels, in_flight, slow, limits, home))

    used = Counter(in_flight) + given_to
    assert given_to.total() <= max(limits.total - sum(in_flight.values()), 0)
    assert all(used[name] <= limits.channel for name in given_to)
    of_slow = sum(count for name, count in used.items() if name in slow)
    assert not any(name in slow for name in given_to) or of_slow <= max(limits.total // 4, 1)
    assert set(given_to) <= set(home)
    if len(set(home.values())) > 1:
        for name in given_to:
            of_namespace = sum(count for one, count in used.items() if home.get(one) == home[name])
            assert of_namespace <= -(-limits.total // 2)
