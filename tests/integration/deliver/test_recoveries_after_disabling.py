"""A recovery asked for right after a disabling: the sweep ends what it is about, before it, after it or meanwhile."""

import asyncio
import datetime as dt

import pytest

from consumer.decide.verdict import GiveUp, RetryIn
from consumer.store import deliveries, jobs, sweeps
from consumer.store.intervals import lowest_id
from consumer.store.jobs import StoredJob
from tests.integration.deliver.test_changed_channels import disabled_and_enabled
from tests.integration.deliver.test_races_of_deliveries import open_transaction, run, waits
from tests.support.jobs import LONG_AGO, fail_all, work_off
from tests.support.stores import ENDS, Store, ended

HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize("sweep_at", range(4))
async def test_a_recovery_has_what_an_earlier_disabling_ends(stored: Store, sweep_at: int) -> None:
    """Whether the sweep comes before it, in between or after it."""
    await stored.configure({"hook": {}})
    events = await stored.events(6)
    await stored.record(*(ended(one, 503, RetryIn(HOUR)) for one in await stored.claim("hook", 1)))
    await disabled_and_enabled(stored)
    steps: list[StoredJob] = []
    for n in range(4):
        if n == sweep_at:
            await sweeps.sweep(stored.database, ENDS)
        if n == 0:
            job_id = await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
        elif (job := await jobs.work(stored.database, batch=2)) is not None:
            steps.append(job)
    steps += await work_off(stored, 2)
    swept = await sweeps.sweep(stored.database, ENDS)

    job = await jobs.get(stored.database, "default", job_id)
    assert job is not None
    assert (job.state, job.total, job.done, swept) == ("DONE", 6, 6, 0)
    assert await stored.sql("SELECT DISTINCT round FROM delivery") == [(2,)]
    assert sorted(one.event_id for one in await stored.claim("hook")) == events


async def test_a_recovery_that_meets_the_sweep_has_what_that_ends(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(6)
    await disabled_and_enabled(stored)
    await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
    ids = await sweeps.over(stored.database, ENDS)
    async with open_transaction(stored) as sweep:
        given = {"longest_round": ENDS.longest_round, "steps": ENDS.steps, "free_interruptions": 5}
        await run(sweep, "sweeps/sweep", ids=ids[:3], **given)
        working = asyncio.create_task(jobs.work(stored.database))
        await waits(stored)

    job = await working

    assert job is not None
    assert job.done == 6
    assert await stored.sql("SELECT DISTINCT state, round FROM delivery") == [("RESENDING", 2)]


async def test_a_recovery_keeps_its_span_of_what_the_sweep_ends(stored: Store) -> None:
    await stored.configure({"hook": {}})
    before, within, after = await stored.events(3)
    now = await stored.one("SELECT now()")
    for event, at in [(before, now - 2 * HOUR), (after, now + 2 * HOUR)]:
        moved = lowest_id(at)
        await stored.sql("UPDATE event SET id = $2 WHERE id = $1", event, moved)
        await stored.sql("UPDATE delivery SET event_id = $2 WHERE event_id = $1", event, moved)
    await disabled_and_enabled(stored)
    hook = stored.ids["hook"]
    await jobs.recover(stored.database, "default", hook, since=now - HOUR, until=now + HOUR)
    await sweeps.sweep(stored.database, ENDS)

    (job,) = await work_off(stored)

    assert (job.total, job.done) == (1, 1)
    assert await stored.sql("SELECT event_id FROM delivery WHERE state = 'RESENDING'") == [(within,)]


@pytest.mark.parametrize("is_sent", [False, True])
async def test_a_delivery_leased_at_a_disabling_can_be_recovered(stored: Store, *, is_sent: bool) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    (leased,) = await stored.claim("hook")
    await disabled_and_enabled(stored)
    await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)

    (job,) = await work_off(stored)
    if is_sent:
        await stored.record(ended(leased, 500, GiveUp()))
    else:
        await deliveries.hand_back(stored.database, [leased])
    swept = await sweeps.sweep(stored.database, ENDS)
    (again,) = await stored.claim("hook")

    assert (job.total, job.done, swept) == (1, 1, 0)
    assert (again.number, again.step, again.round) == (2 if is_sent else 1, 0, 1)


async def test_a_delivery_that_succeeds_meanwhile_is_not_recovered(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    (leased,) = await stored.claim("hook")
    await disabled_and_enabled(stored)
    await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
    await work_off(stored)

    await stored.record(ended(leased, 200))

    assert await stored.sql("SELECT state, attempts FROM delivery") == [("SUCCESS", 1)]


async def test_a_recovery_stops_for_a_later_disabling(stored: Store) -> None:
    """Though the channel is enabled again."""
    await stored.configure({"hook": {}})
    await stored.events(4)
    await fail_all(stored)
    await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
    await jobs.work(stored.database, batch=2)

    await disabled_and_enabled(stored)
    await sweeps.sweep(stored.database, ENDS)
    await stored.sql("UPDATE delivery SET round_from = round_from - interval '3 min'")
    await stored.sql("UPDATE channel SET rounds_end_before = rounds_end_before - interval '2 min'")
    for channel in await sweeps.changed_channels(stored.database):
        await sweeps.settle(stored.database, channel)
    is_known = await stored.one("SELECT rounds_end_before IS NOT NULL FROM channel")
    await stored.sql("UPDATE channel SET rounds_end_before = rounds_end_before + interval '2 min'")
    (stopped,) = await work_off(stored, 2)

    assert is_known, "it is not forgotten while a recovery is under way"
    assert (stopped.state, stopped.reason, stopped.done) == ("STOPPED", "channel_disabled", 2)
    assert await stored.sql("SELECT DISTINCT state FROM delivery") == [("FAILED",)]
