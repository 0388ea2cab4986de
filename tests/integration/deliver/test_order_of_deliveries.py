"""Who is next on a channel: places are kept, a recovery gives way by half, and what waits for another is not due."""

import datetime as dt

import pytest

from consumer.decide.verdict import GiveUp, RetryIn
from consumer.store import deliveries, jobs, rendered, sweeps
from consumer.store.sweeps import HoldCursor
from tests.support.jobs import LONG_AGO, fail_all, state, work_off
from tests.support.stores import ENDS, URL, Store, ended, identity

HELD = "SELECT count(*) FROM delivery WHERE due_at = 'infinity'"
# Chains of two on a channel of which the first has long been open, an hour old each; none waits in vain.
CHAINS = """
    INSERT INTO delivery (event_id, channel_id, namespace, waits_for, state, due_at, round_from)
    SELECT '00' || what || n, $1, 'default', waits_for, 'PENDING', due_at, now() - interval '1 h'
    FROM generate_series(1, $2::int) n
    CROSS JOIN LATERAL (VALUES ('a', NULL, now()), ('b', '00a' || n, 'infinity')) v (what, waits_for, due_at)
"""

WRITTEN = """
    UPDATE delivery SET state = 'PENDING', due_at = 'infinity', ended_at = NULL, round_from = now() - $2::interval
    WHERE event_id = $1
"""


async def recover(stored: Store) -> None:
    await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
    await work_off(stored)


async def test_what_is_handed_back_is_in_its_place_again(stored: Store) -> None:
    await stored.configure({"hook": {}})
    events = await stored.events(20)
    before = await stored.sql("SELECT due_at, state, format FROM delivery ORDER BY id")

    await deliveries.hand_back(stored.database, (await stored.claim("hook", 6))[2:])
    in_order = [one.event_id for one in await stored.claim("hook", 6)]

    assert in_order == events[2:8]
    await deliveries.hand_back(stored.database, await stored.claim("hook", 20))
    rest = "SELECT due_at, state, format FROM delivery WHERE token IS NULL ORDER BY id"
    assert await stored.sql(rest) == before[8:]


async def test_a_retry_that_is_handed_back_is_still_between_attempts(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    (claimed,) = await stored.claim("hook")
    await stored.record(ended(claimed, 503))
    before = await stored.sql("SELECT * FROM delivery")

    await deliveries.hand_back(stored.database, await stored.claim("hook"))

    assert await stored.sql("SELECT * FROM delivery") == before


async def test_a_recovery_shares_a_claim_evenly_with_new_events(stored: Store) -> None:
    """While something new is due; then a recovery has all of it."""
    await stored.configure({"hook": {}})
    old = await stored.events(40)
    await fail_all(stored)
    await recover(stored)
    new = await stored.events(6)

    shares = []
    for count in (8, 4, 8):
        claimed = [one.event_id for one in await stored.claim("hook", count)]
        shares.append((sum(one in new for one in claimed), sum(one in old for one in claimed)))
    taken = await stored.sql("SELECT event_id FROM delivery WHERE token IS NOT NULL AND recovered ORDER BY id")

    assert shares == [(4, 4), (2, 2), (0, 8)]
    assert [event for (event,) in taken] == old[:14]


async def test_of_claims_of_one_about_half_are_a_recoverys(stored: Store) -> None:
    await stored.configure({"hook": {"rateLimit": 10_000}})
    await stored.events(150)
    await fail_all(stored)
    await recover(stored)
    new = set(await stored.events(150))

    of_new = sum([(await stored.claim("hook", 1))[0].event_id in new for _ in range(120)])

    assert 35 <= of_new <= 85  # of 120: 4.5 standard deviations


async def test_a_resend_is_new_and_a_recoverys_retry_is_not(stored: Store) -> None:
    await stored.configure({"hook": {}})
    resent, *_ = await stored.events(3)
    await fail_all(stored)
    await recover(stored)
    claimed = await stored.claim("hook")
    await stored.record(*(ended(one, 503) for one in claimed))

    await jobs.resend(stored.database, "default", resent)
    await work_off(stored)

    assert await stored.sql("SELECT recovered, state FROM delivery ORDER BY id") == [
        (False, "RESENDING"), (True, "SENDING"), (True, "SENDING"),
    ]  # fmt: skip


async def test_what_waits_for_another_is_not_due_until_that_has_ended(stored: Store) -> None:
    await stored.configure({"hook": {}, "other": {}})
    first = await stored.events(1)
    second = await stored.events(1, after=identity(1))
    await stored.events(1, after=identity(2))
    (claimed,) = await stored.claim("hook", 8)
    held = await stored.one(HELD)
    await stored.sql("UPDATE delivery SET created_at = now() - interval '1 h'")
    seen = await deliveries.gauges(stored.database)

    retried = await stored.record(ended(claimed, 503, RetryIn(dt.timedelta())))
    (claimed,) = await stored.claim("hook", 8)
    done = await stored.record(ended(claimed, 500, GiveUp()))
    now = [one.event_id for one in await stored.claim("hook", 8)]

    assert claimed.event_id == first[0]
    assert (held, retried.is_freeing, done.is_freeing, now) == (4, False, True, second)
    assert (seen.due, seen.oldest_seconds < 60) == (1, True)  # the other channel's first


@pytest.mark.parametrize("how", ["expired", "too_old", "worn"])
async def test_what_the_sweep_ends_lets_the_next_one_go(stored: Store, how: str) -> None:
    await stored.configure({"hook": {"expireAfter": "1h", "retrySchedule": ["0s"]}})
    first = await stored.events(1)
    second = await stored.events(1, after=identity(1))
    moved = {
        "expired": "created_at = now() - interval '2 h', round_from = now() - interval '2 h'",
        "too_old": "round_from = now() - interval '80 h'",
        "worn": "token = gen_random_uuid(), interrupted = 5, due_at = now() - interval '1 s'",
    }
    await stored.sql(f"UPDATE delivery SET {moved[how]} WHERE event_id = $1", first[0])  # noqa: S608 - the test's own

    await sweeps.sweep(stored.database, ENDS)

    assert [one.event_id for one in await stored.claim("hook")] == second


async def test_a_delivery_held_for_an_ended_one_is_freed(stored: Store) -> None:
    """It was written as that one ended, and is held again once that one is resent."""
    await stored.configure({"hook": {}})
    first = await stored.events(1)
    await stored.events(1, after=identity(1))
    await fail_all(stored)
    await stored.sql(
        "UPDATE delivery SET due_at = 'infinity' WHERE waits_for IS NOT NULL"
    )  # as if nothing had freed it
    place, is_freeing = await sweeps.hold(stored.database, HoldCursor())
    freed = await stored.one(HELD)

    await jobs.resend(stored.database, "default", first[0])
    await work_off(stored)
    await sweeps.hold(stored.database, place)

    assert (place, is_freeing, freed) == (HoldCursor(), True, 0)
    assert await stored.one(HELD) == 1


async def test_the_next_look_frees_what_was_written_as_its_first_ended(
    stored: Store,
) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    (second,) = await stored.events(1, after=identity(1))
    await fail_all(stored)
    await stored.sql(CHAINS, stored.ids["hook"], 2 * sweeps.HOLD_LIMIT)
    ahead = HoldCursor(since=await stored.database.now() + dt.timedelta(hours=1))  # by the clock before a failover
    frees = []
    for seconds, place in [
        (0, HoldCursor()),
        (5, HoldCursor()),
        (5, ahead),
        (7200, HoldCursor()),
    ]:  # ago it was written
        await stored.sql(WRITTEN, second, dt.timedelta(seconds=seconds))
        _, is_freeing = await sweeps.hold(stored.database, place)
        frees.append(is_freeing)

    # Not while what has ended as it was written may be still to be committed; the last one is not new any more.
    assert frees == [False, True, True, False]


async def test_what_is_held_is_looked_at_as_new_once_each_in_turn(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.sql(CHAINS, stored.ids["hook"], 2 * sweeps.HOLD_LIMIT + 1)
    await stored.sql("UPDATE delivery SET round_from = now() - interval '10 s'")
    place, seen = HoldCursor(), []
    for _ in range(4):
        place, _ = await sweeps.hold(stored.database, place)
        seen.append(place.since_id)

    held = [row[0] for row in await stored.sql("SELECT id FROM delivery WHERE waits_for IS NOT NULL ORDER BY id")]
    assert seen == [held[499], held[999], held[1000], held[1000]]


async def test_a_recovery_keeps_the_order_and_place_of_a_chain(stored: Store) -> None:
    await stored.configure({"hook": {}})
    first = await stored.events(1)
    second = await stored.events(1, after=identity(1))
    await stored.events(20)
    for _ in range(2):
        await fail_all(stored)
    await recover(stored)
    held = await stored.one(HELD)

    (claimed,) = await stored.claim("hook", 1)
    await stored.record(ended(claimed, 200))
    (then,) = await stored.claim("hook", 1)

    assert (held, claimed.event_id, then.event_id) == (1, first[0], second[0])


async def test_a_recovery_takes_no_delivery_in_flight_or_held(stored: Store) -> None:
    """It takes those of its span that have failed or wait for their next attempt."""
    await stored.configure({"hook": {}})
    failed, waiting, in_flight = await stored.events(3)
    (held,) = await stored.events(1, after=identity(3))
    claimed = {one.event_id: one for one in await stored.claim("hook", 3)}
    retry = RetryIn(dt.timedelta(hours=5))
    await stored.record(ended(claimed[failed], 500, GiveUp()), ended(claimed[waiting], 503, retry))
    now = await stored.database.now()
    past = [
        await jobs.recover(
            stored.database, "default", stored.ids["hook"], since=LONG_AGO, until=now - dt.timedelta(days=1)
        ),
        await jobs.recover(
            stored.database, "default", stored.ids["hook"], since=LONG_AGO, until=now + dt.timedelta(days=1)
        ),
    ]
    await work_off(stored)

    done = [await jobs.get(stored.database, "default", one) for one in past]
    assert [(one.total, one.done) for one in done if one is not None] == [(0, 0), (2, 2)]
    states = [(await state(stored, event))[:4] for event in (failed, waiting, in_flight, held)]
    assert states == [("RESENDING", 2, 1, 0), ("RESENDING", 2, 1, 0), ("SENDING", 1, 0, 0), ("PENDING", 1, 0, 0)]
    assert [one.event_id for one in await stored.claim("hook")] == [failed, waiting]


async def test_a_format_is_of_the_round_from_its_first_attempt_on(stored: Store) -> None:
    await stored.configure({"hook": {}})
    begun, handed_back = await stored.events(2)
    claimed = {one.event_id: one for one in await stored.claim("hook")}
    await deliveries.hand_back(stored.database, [claimed[handed_back]])
    await stored.configure({"hook": {"format": "flat"}})
    await stored.record(ended(claimed[begun], 503))

    formats = {one.event_id: one.format for one in await stored.claim("hook")}
    await jobs.resend(stored.database, "default", begun)
    await work_off(stored)
    asked = await stored.one("SELECT resend_asked FROM delivery WHERE event_id = $1", begun)
    await stored.sql("UPDATE delivery SET due_at = now() - interval '1 s'")
    again = {one.event_id: one.format for one in await stored.claim("hook")}

    assert formats == {begun: "openmeter", handed_back: "flat"}
    assert (asked, again) == (True, {begun: "flat", handed_back: "flat"})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pagerduty", "discord"),
        ("openmeter", "discord"),
        ("teams", "flat"),
        ("openmeter", "template"),
        ("template", "cloudevents"),
        ("teams", "template"),
    ],
)
async def test_a_changed_format_applies_to_rounds_under_way(stored: Store, before: str, after: str) -> None:
    keys = {"secrets": {"routing_key": "0123456789abcdef0123456789ABCDEF"}}
    more = {"pagerduty": keys, "template": {"template": {"a": "{{ id }}"}}}
    await stored.configure({"hook": {"format": before} | more.get(before, {})})
    await stored.events(1)
    (first,) = await stored.claim("hook")
    await rendered.keep(stored.database, {(first.event_id, first.format): (b"of the old one", ())})
    await stored.record(ended(first, 503))
    await stored.configure({"hook": {"format": after, "url": f"{URL}/new"} | more.get(after, {})})

    (again,) = await stored.claim("hook")

    assert [one.format.partition(":")[0] for one in (first, again)] == [before, after]
    assert again.rendered is None
