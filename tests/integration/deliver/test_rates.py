"""A channel's rate, on a real Postgres: beside other claimers, by the database's clock."""

import asyncio
import datetime as dt
from collections import Counter

import pytest
from msgspec.structs import replace

from consumer.store import deliveries
from consumer.store.deliveries import Claimed
from tests.support.stores import LEASE, STEPS, Store, ended


@pytest.mark.parametrize(("rate", "burst", "count"), [(8, 1, 16), (50, 5, 100)])
async def test_many_claimers_together_never_take_more_than_the_rate(
    stored: Store, rate: float, burst: int, count: int
) -> None:
    await stored.configure({"limited": {"rateLimit": rate}, "free": {}})
    await stored.events(count)
    taken: list[Claimed] = []

    async def claimer() -> None:
        while len(taken) < count:
            taken.extend(await stored.claim("limited", 50))

    async with asyncio.timeout(60):
        await asyncio.gather(*(claimer() for _ in range(6)))

    assert len({one.id for one in taken}) == len(taken) == count
    # A lease began when its slot was taken, a few milliseconds later at most: those are allowed for.
    rows = await stored.sql("SELECT due_at FROM delivery WHERE channel_id = $1 ORDER BY 1", stored.ids["limited"])
    begun = [due_at for (due_at,) in rows]
    for first in range(count):
        for last in range(first, count):
            seconds = (begun[last] - begun[first]).total_seconds() + 0.25
            assert last - first + 1 <= burst + rate * seconds
    assert len(await stored.claim("free", count)) == count


async def test_a_rate_below_one_allows_one_and_says_when_the_next(stored: Store) -> None:
    await stored.configure({"slow": {"rateLimit": 0.01}})
    await stored.events(3)
    (before,) = await deliveries.due_channels(stored.database)

    claimed = await stored.claim("slow")

    assert (before.due_in <= 0, before.most) == (True, 1)
    assert len(claimed) == 1
    assert 90 < await stored.due_in("slow") <= 100
    assert await stored.claim("slow") == []


async def test_a_rate_that_is_raised_holds_at_once(stored: Store) -> None:
    await stored.configure({"slow": {"rateLimit": 0.001}})
    await stored.events(3)
    await stored.claim("slow")
    before = await stored.due_in("slow")

    await stored.configure({"slow": {"rateLimit": 0.1}})

    assert 990 < before <= 1000
    assert 5 < await stored.due_in("slow") <= 10


async def test_a_slot_that_was_not_used_is_free_again(stored: Store) -> None:
    await stored.configure({"slow": {"rateLimit": 0.01}})
    await stored.events(3)

    await deliveries.hand_back(stored.database, await stored.claim("slow"))

    assert await stored.due_in("slow") <= 0
    assert len(await stored.claim("slow")) == 1
    assert 90 < await stored.due_in("slow") <= 100


async def test_a_slot_that_has_passed_does_not_come_back(stored: Store) -> None:
    """Else what is handed back late is a burst: it would come on top of what has been free since."""
    await stored.configure({"slow": {"rateLimit": 0.01}})
    await stored.events(3)
    (claimed,) = await stored.claim("slow")
    assert claimed.slot_until is not None
    passed = dt.timedelta(seconds=100)

    await deliveries.hand_back(stored.database, [replace(claimed, slot_until=claimed.slot_until - passed)])

    assert 90 < await stored.due_in("slow") <= 100


async def test_a_slot_handed_back_counts_at_the_new_rate(stored: Store) -> None:
    await stored.configure({"slow": {"rateLimit": 0.001}})
    await stored.events(3)
    claimed = await stored.claim("slow")
    await stored.configure({"slow": {"rateLimit": 0.01}})
    before = await stored.due_in("slow")

    await deliveries.hand_back(stored.database, claimed)
    await stored.sql("UPDATE channel_pace SET slots_from = slots_from - interval '850 s'")  # of 1000, 100 came back

    assert 90 < before <= 100
    assert 40 < await stored.due_in("slow") <= 50


async def test_a_claim_does_not_wait_for_a_locked_limited_channel(stored: Store) -> None:
    await stored.configure({"limited": {"rateLimit": 5}, "free": {}})
    await stored.events(2)
    async with stored.database.transaction() as holder:
        await holder.script("SELECT 1 FROM channel_pace FOR UPDATE")

        async with asyncio.timeout(10):
            slots = {stored.ids["limited"]: 2, stored.ids["free"]: 2}
            claimed = await deliveries.claim(stored.database, slots, LEASE, steps=STEPS)

    assert Counter(one.channel_id for one in claimed) == {stored.ids["free"]: 2}
    assert len(await stored.claim("limited", 2)) == 1


async def test_a_channel_without_a_rate_writes_no_row_for_its_pace(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(5)
    version = "SELECT xmin::text FROM channel_pace"
    before = await stored.one(version)

    claimed = await stored.claim("hook")
    await stored.record(*(ended(one, 200) for one in claimed))

    assert len(claimed) == 5
    assert await stored.one(version) == before
