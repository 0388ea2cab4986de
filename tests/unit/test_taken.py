"""Who has which slot, and who is next: claimed ahead of channels that work, handed back where it may not be sent."""

import random
import uuid
from collections import Counter
from collections.abc import Sequence

import pytest

from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.verdict import Delivered, GiveUp
from consumer.deliver.fair_share import Allotted
from consumer.deliver.prefetched import AHEAD_SECONDS, Leased
from consumer.deliver.slots import Limits
from consumer.deliver.taken import Taken
from consumer.store.deliveries import Claimed, DueChannel, Ended
from tests.support.factories import NOW


def due(
    *names: str, most: int | None = None, concurrency: int | None = None, namespace: str = "default"
) -> list[DueChannel]:
    return [DueChannel(name, namespace, 0.0, concurrency, most) for name in names]


def claimed(channel: str, count: int) -> list[Claimed]:
    return [
        Claimed(
            id=n,
            event_id=f"{channel}-{n}",
            channel_id=channel,
            token=uuid.UUID(int=n),
            number=1,
            step=0,
            interrupted=0,
            round=1,
            was_lost=False,
            was_due_at=NOW,
            was_state="PENDING",
            revision=1,
            payload=b"{}",
            recorded_at=NOW,
            url="https://example.com",
            format="openmeter",
            headers=None,
            signing_secret=b"",
            retry_schedule=None,
            rendered=None,
        )
        for n in range(count)
    ]


def ended(channel: str, *, status: int = 200, duration_ms: int = 10) -> Ended:
    what = Outcome(kind=OutcomeClass.STATUS, started_at=NOW, status=status, duration_ms=duration_ms)
    return Ended(claimed(channel, 1)[0], what, Delivered() if status == 200 else GiveUp())


def taken(*, total: int = 16, channel: int = 4, timeout_seconds: float = 15) -> Taken:
    return Taken(Limits(total, channel), timeout_seconds=timeout_seconds)


def claim(of: Taken, channels: Sequence[DueChannel], *, most: int = 100) -> list[Leased]:
    """Claim all that is allotted, at most so many of each; return what starts. It is second 0."""
    allotted = of.allot(channels)
    return of.take(
        [one for channel, count in allotted.slots.items() for one in claimed(channel, min(count, most))], 0, allotted
    )


def busy(**limits: int) -> Taken:
    """A channel that works, with all its slots taken and as many deliveries ahead."""
    one = taken(**limits)
    one.see(ended("a"))
    assert len(claim(one, due("a"))) == 4
    return one


def full(*waiting: str) -> Taken:
    """Of four slots a has all, and *waiting* channels wait; those that work have as many turns."""
    one = taken(total=4)
    assert len(claim(one, due("a"))) == 4
    for name in ("a", "b", "c"):
        one.see(ended(name))
    assert claim(one, due("a", *waiting)) == []
    return one


def test_a_channel_that_works_has_as_many_ahead_as_it_has_slots() -> None:
    one = taken()
    before = one.allot(due("a"))
    one.see(ended("a"))

    assert (before.now, before.ahead) == ({"a": 4}, {})
    assert one.allot(due("a")) == Allotted({"a": 4}, {"a": 4})
    assert one.allot(due("a", concurrency=2)) == Allotted({"a": 2}, {"a": 2})


@pytest.mark.parametrize("last", [ended("a", status=503), ended("a", duration_ms=501), ended("b")])
def test_a_new_failed_or_slow_channel_has_nothing_prefetched(last: Ended) -> None:
    one = taken()
    one.see(last)

    assert one.allot(due("a")).ahead == {}


def test_a_slow_channel_prefetches_nothing_at_a_short_timeout() -> None:
    one = taken(timeout_seconds=0.5)
    one.see(ended("a", duration_ms=300))

    assert one.allot(due("a")) == Allotted({"a": 4}, {})


def test_neither_has_one_with_a_rate_or_a_probe() -> None:
    one = taken()
    one.see(ended("a"))

    assert one.allot(due("a", most=3)) == Allotted({"a": 3}, {})


def test_prefetch_is_for_working_channels_while_one_waits() -> None:
    one = taken(total=4)
    one.see(ended("a"))
    claim(one, due("a"), most=4)

    assert one.allot(due("a")) == Allotted({}, {"a": 4})
    assert one.allot(due("a", "b")) == Allotted({}, {})  # a has its four, and b is new
    one.see(ended("b"))
    assert one.allot(due("a", "b")) == Allotted({}, {"b": 4})
    assert one.allot([*due("a"), *due("b", most=3)]) == Allotted({}, {})


def test_a_freed_slot_goes_to_the_channel_whose_turn_it_is() -> None:
    one = full("b", "c")

    following, wanted = [], []
    for _ in range(4):
        following.append(one.free("a", 0.5))
        wanted.append(one.wants_more)

    assert [leased.delivery.channel_id for leased in following if leased] == ["b", "c", "b", "c"]
    assert wanted == [False, True, True, True]


def test_prefetched_deliveries_start_once_no_channel_waits() -> None:
    one = full("b", "c")
    assert claim(one, []) == []

    following = one.free("a", 0)
    promised = full("b", "new")
    assert [promised.free("a", 0) for _ in range(2)] == [None, None]

    assert following
    assert following.delivery.channel_id == "b"
    assert [leased.delivery.channel_id for leased in claim(promised, [])] == ["b", "b"]


def test_no_channel_has_more_than_may_be_in_flight() -> None:
    one = taken(total=4)
    claim(one, due("a"), most=3)
    claim(one, due("b"), most=1)
    one.see(ended("b"))
    one.see(ended("c"))
    assert claim(one, due("b", "c")) == []
    one.allot([*due("b", concurrency=2), *due("c")])

    following = [one.free("a", 0) for _ in range(3)]

    assert [leased.delivery.channel_id for leased in following if leased] == ["b", "c", "c"]
    assert one.free("b", 0)


def test_what_waited_too_long_for_its_turn_is_handed_back() -> None:
    one = full("b", "c")

    assert one.free("a", AHEAD_SECONDS + 0.1) is None
    assert [delivery.channel_id for delivery in one.unsent] == ["b", "b", "c", "c"]


def test_a_turn_without_prefetching_is_a_slot_left_free() -> None:
    one = full("b", "new")

    following = [one.free("a", 0) for _ in range(3)]

    assert [leased.delivery.channel_id if leased else None for leased in following] == [None, None, "b"]
    assert one.allot(due("b", "new")).now == {"new": 1, "b": 1}


def test_turns_leave_another_namespace_its_half() -> None:
    one = taken(total=4)
    channels = [*due("a", "b"), *due("c", namespace="other", concurrency=1)]
    claim(one, channels)
    for name in ("a", "b"):
        one.see(ended(name))

    assert len(claim(one, channels)) == 0
    assert one.free("c", 0) is None
    assert one.free("a", 0)


def test_a_turn_counts_slots_that_another_namespace_is_claiming() -> None:
    one = taken(total=8)
    for name in ("a", "b", "c", "d"):
        one.see(ended(name))
    other = due("other", namespace="other", concurrency=2)
    assert len(claim(one, [*due("a", concurrency=2), *other])) == 4  # and two of a are ahead

    allotted = one.allot([*due("b", "c", "d"), *other])

    assert sum(allotted.now.values()) == 2
    assert one.free("other", 0) is None
    assert len(one.take([], 0, allotted)) == 2


def test_turns_come_round_to_all_and_no_slot_is_given_twice() -> None:
    names, ill = [f"c{n}" for n in range(40)], {"c0", "c1"}
    one, served, in_flight = taken(total=16), Counter[str](), Counter[str]()

    def start(leased: Leased) -> None:
        served[leased.delivery.channel_id] += 1
        in_flight[leased.delivery.channel_id] += 1

    order = random.Random(7)
    for n in range(4000):
        if one.wants_more or n % 50 == 0:
            allotted = one.allot(due(*order.sample(names, len(names))))
            some = [given for channel, count in allotted.slots.items() for given in claimed(channel, count)]
            for leased in one.take(some, 0, allotted):
                start(leased)
        channel = order.choice(list(in_flight.elements()))
        one.see(ended(channel, status=503 if channel in ill else 200))
        in_flight[channel] -= 1
        if leased := one.free(channel, 0):
            start(leased)
        assert in_flight.total() <= 16
        assert max(in_flight.values()) <= 4

    assert min(served.values()) * 3 > max(served.values())


def test_a_freed_slot_takes_the_prefetched_ones_in_order() -> None:
    one = busy()

    following = [one.free("a", 0.5) for _ in range(5)]

    assert [leased.delivery.id for leased in following if leased] == [4, 5, 6, 7]
    assert following[4] is None
    assert one.allot(due("a")).now == {"a": 1}


def test_what_waited_too_long_is_handed_back_instead() -> None:
    one = busy()

    assert one.free("a", AHEAD_SECONDS + 0.1) is None
    assert [delivery.id for delivery in one.unsent] == [4, 5, 6, 7]


def test_a_failure_hands_back_what_is_prefetched_or_claimed() -> None:
    one = busy()
    assert one.free("a", 0)
    allotted = one.allot(due("a"))

    one.see(ended("a", status=503))
    starting = one.take(claimed("a", 1), 0, allotted)

    assert (allotted, starting) == (Allotted({}, {"a": 1}), [])
    assert [delivery.id for delivery in one.unsent] == [5, 6, 7, 0]
    assert one.free("a", 0) is None


def test_at_the_stop_all_that_is_ahead_is_handed_back() -> None:
    one = busy()

    one.stop()

    assert len(one.unsent) == 4
    assert one.free("a", 0) is None


def test_a_slot_that_gets_free_during_the_claim_is_filled_by_it() -> None:
    one = taken()
    claim(one, due("a"))
    one.see(ended("a"))
    allotted = one.allot(due("a"))
    one.free("a", 0)

    starting = one.take(claimed("a", 3), 0, allotted)

    assert (len(starting), one.allot(due("a"))) == (1, Allotted({}, {"a": 2}))


def test_more_is_wanted_of_who_has_more_when_little_is_ahead() -> None:
    one = busy()
    wanted = []
    for _ in range(4):
        one.free("a", 0)
        wanted.append(one.wants_more)

    assert wanted == [False, True, True, True]


def test_no_more_is_wanted_of_a_channel_that_gave_too_few() -> None:
    one = taken()
    claim(one, due("a"), most=3)

    one.free("a", 0)

    assert not one.wants_more


def test_more_is_claimed_when_half_of_a_channels_slots_are_free() -> None:
    few, many = taken(total=64, channel=32), taken(total=64, channel=32)
    claim(few, due("a", concurrency=4))
    claim(few, due("b"))
    claim(many, due("a", "b"))
    wanted = []
    for one, channel in ((few, "a"), (few, "a"), (many, "a"), (many, "b"), (many, "a"), (many, "a")):
        one.free(channel, 0)
        wanted.append(one.wants_more)

    assert wanted == [False, False, False, False, False, True]


def test_a_channel_without_a_slot_gets_the_next_free_one() -> None:
    one = taken(total=4)
    claim(one, due("a"), most=4)
    assert one.allot(due("b")) == Allotted({}, {})

    one.free("a", 0)

    assert one.wants_more


def test_a_failed_attempts_slot_goes_to_another_channel() -> None:
    """Its own channel waits until the failure is recorded."""
    one = full("b")
    one.see(ended("a", status=503))

    following = [one.let_go("a", 0.5) for _ in range(2)]
    before = one.allot(due("a")).now
    for _ in range(2):
        one.recorded("a")

    assert [leased.delivery.channel_id for leased in following if leased] == ["b", "b"]
    assert before == {}


def test_an_unrecorded_failure_blocks_claims_of_its_channel() -> None:
    one = taken(total=4)
    assert len(claim(one, due("a"))) == 4

    one.let_go("a", 0.5)

    assert one.allot(due("a")).now == {}
    assert one.allot(due("a", "b")).now == {"b": 1}
    one.recorded("a")
    assert one.allot(due("a")).now == {"a": 1}


def test_a_shortage_halves_the_limit_in_flight_once() -> None:
    one = taken(total=64, channel=64)
    begun = len(claim(one, due("a")))
    for n in range(begun):
        one.lack(0, 1 + n / 1000)
        one.let_go("a", 2)
        one.recorded("a")
    half = len(claim(one, due("a")))
    one.lack(3, 4)  # begun when it was known of: it is not over
    for _ in range(half):
        one.free("a", 5)

    assert (begun, half, one.allot(due("a")).now) == (64, 32, {"a": 16})


def test_an_ended_shortage_doubles_what_it_gives_back() -> None:
    one = taken(total=64, channel=64)
    for _ in claim(one, due("a"), most=16):
        one.lack(0, 1)

    assert [one.lack_less() for _ in range(4)] == [True, True, False, False]
    assert one.allot(due("a")).now == {"a": 48}


def test_a_slot_freed_during_the_claim_is_left_to_who_waits() -> None:
    one = taken(total=4, channel=8)
    claim(one, due("a"))
    one.see(ended("a"))
    allotted = one.allot(due("a", "new"))

    following = one.free("a", 0)
    starting = one.take(claimed("a", 2), 0, allotted)

    assert (allotted, following, starting) == (Allotted({}, {"a": 2}), None, [])
    assert one.allot(due("a", "new")).now == {"new": 1}
