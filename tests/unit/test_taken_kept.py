"""ReservedSlots kept for what is about to be made: as if it were in flight, and out of no other channel's share."""

import random
from collections import Counter

import pytest

from consumer.deliver.prefetched import AHEAD_SECONDS
from consumer.store.outbox import ReservedSlots
from tests.unit.test_taken import busy, claim, claimed, due, ended, full, taken


def test_slots_reserved_for_a_write_count_as_in_flight() -> None:
    one = taken(total=64)
    assert len(claim(one, due("a", "b", concurrency=1))) == 2

    first = one.keep({("default", "a"): 2, ("default", "new"): 9})
    again = one.keep({("default", "a"): 9, ("default", "new"): 1})

    assert first == {"a": ReservedSlots(free=2, in_flight=1), "new": ReservedSlots(free=4, in_flight=0)}
    assert again == {"a": ReservedSlots(free=1, in_flight=3)}
    assert one.allot(due("a", "new", "b")).now == {"b": 3}
    one.free("a", 0)
    assert one.keep({("default", "a"): 9}) == {"a": ReservedSlots(free=1, in_flight=3)}


@pytest.mark.parametrize(("total", "some"), [(20, 1), (64, 8)])
def test_slots_kept_during_a_claim_exceed_no_limit_in_flight(total: int, some: int) -> None:
    names, order = [f"c{n}" for n in range(9)], random.Random(11)
    one, in_flight, kept, most_kept = taken(total=total), Counter[str](), Counter[str](), 0

    def keep() -> None:
        wanted = {("default", name): order.randint(1, 5) for name in order.sample(names, 3)}
        kept.update({name: slots.free for name, slots in one.keep(wanted).items()})

    def free() -> None:
        for _ in range(min(4, in_flight.total())):
            channel = order.choice(list(in_flight.elements()))
            one.see(ended(channel))
            in_flight[channel] -= 1
            if leased := one.free(channel, 0):
                in_flight[leased.delivery.channel_id] += 1

    for _ in range(2000):
        allotted = one.allot(due(*order.sample(names, order.randint(0, 9))))
        for step in order.sample([keep, free, keep], 3):
            step()
        due_now = [given for name, count in allotted.slots.items() for given in claimed(name, order.randint(0, count))]
        in_flight.update(leased.delivery.channel_id for leased in one.take(due_now, 0, allotted))
        most_kept = max(most_kept, kept.total())
        assert max((in_flight + kept).values(), default=0) <= 4
        assert (in_flight + kept).total() <= total
        for name in list(kept.elements()):  # what was to be made is made, and has ended
            one.see(ended(name))
            if leased := one.free(name, 0):
                in_flight[leased.delivery.channel_id] += 1
        kept.clear()

    assert most_kept >= some


def test_slots_are_reserved_while_half_are_free_by_namespace() -> None:
    one = taken(total=12)
    one.take([], 0, one.allot([]))

    kept = one.keep({("other", "a"): 4, ("default", "b"): 4})

    assert kept == {"a": ReservedSlots(4, 0), "b": ReservedSlots(2, 0)}
    assert one.keep({("default", "c"): 1}) == {}
    assert one.allot([*due("d"), *due("e", namespace="other")]).now == {"d": 4, "e": 2}


@pytest.mark.parametrize("why", ["slow", "ahead", "others wait"])
def test_no_slot_is_reserved_for_a_slow_or_prefetched_channel(why: str) -> None:
    """Nor for any while others wait."""
    one = {"slow": taken, "ahead": lambda: busy(total=64), "others wait": lambda: full("b")}[why]()
    if why == "slow":
        one.see(ended("a", duration_ms=10_000))
    if why == "others wait":
        for _ in range(4):
            one.free("a", AHEAD_SECONDS + 0.1)

    kept = one.keep({("default", "a"): 1, ("default", "c"): 1})

    assert kept == ({} if why == "others wait" else {"c": ReservedSlots(1, 0)})
