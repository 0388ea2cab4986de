"""Recover, on a real Postgres: durable, in the order of events, none of it twice."""

import asyncio

import pytest

from consumer.decide.verdict import GiveUp
from consumer.errors import Refused, StoreUnavailable
from consumer.store import jobs, sweeps
from consumer.store.intervals import lowest_id
from tests.support.jobs import LONG_AGO, fail_all, state, work_off
from tests.support.stores import ENDS, Store, ended


async def test_two_workers_recover_in_order_and_nothing_twice(stored: Store) -> None:
    await stored.configure({"hook": {}, "other": {}})
    events = await stored.events(100)
    await fail_all(stored)
    await fail_all(stored, "other")
    job_id = await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)

    steps = [job for part in await asyncio.gather(*(work_off(stored, 7) for _ in range(4))) for job in part]
    while rest := await work_off(stored, 7):
        steps += rest

    done = await jobs.get(stored.database, "default", job_id)
    assert done is not None
    assert (done.state, done.total, done.done, done.channel_id) == ("DONE", 100, 100, stored.ids["hook"])
    assert max(job.done for job in steps) == 100
    rounds = await stored.sql(
        "SELECT channel_id = $1, state, round, count(*) FROM delivery GROUP BY 1, 2, 3 ORDER BY 1", stored.ids["hook"]
    )
    assert rounds == [(False, "FAILED", 1, 100), (True, "RESENDING", 2, 100)]
    claimed = [
        one.event_id for _ in range(10) for one in sorted(await stored.claim("hook", 10), key=lambda one: one.id)
    ]
    assert claimed == events


async def test_a_recovery_takes_what_had_failed_when_asked_for(stored: Store) -> None:
    """Of events since the time that it names."""
    await stored.configure({"hook": {}})
    made, since, late = await stored.events(3)
    before = lowest_id(await stored.one("SELECT now() - interval '2 h'"))  # an id begins with the time it was made
    await stored.sql("UPDATE event SET id = $2 WHERE id = $1", made, before)
    await stored.sql("UPDATE delivery SET event_id = $2 WHERE event_id = $1", made, before)
    claimed = {one.event_id: one for one in await stored.claim("hook")}
    await stored.record(*(ended(claimed[one], 500, GiveUp()) for one in (before, since)))

    hour_ago = await stored.one("SELECT now() - interval '1 h'")
    await jobs.recover(stored.database, "default", stored.ids["hook"], since=hour_ago)
    await stored.record(ended(claimed[late], 500, GiveUp()))
    (job,) = await work_off(stored)

    assert (job.total, job.done) == (1, 1)
    states = {event: (await state(stored, event))[0] for event in (before, since, late)}
    assert states == {before: "FAILED", since: "RESENDING", late: "FAILED"}


async def test_a_recovery_is_not_exempt_from_expiry(stored: Store) -> None:
    await stored.configure({"hook": {"expireAfter": "1h"}})
    (event,) = await stored.events(1)
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    await fail_all(stored)
    await stored.sql("UPDATE delivery SET created_at = now() - interval '2 h'")

    await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
    await work_off(stored)
    swept = await sweeps.sweep(stored.database, ENDS)

    assert swept == 1
    assert (await state(stored, event))[4] == "expired"


async def test_a_recovery_of_a_disabled_channel_is_refused_or_stops(
    stored: Store,
) -> None:
    await stored.configure({"hook": {}})
    await stored.events(10)
    await fail_all(stored)
    hook = stored.ids["hook"]
    await jobs.recover(stored.database, "default", hook, since=LONG_AGO)
    first = await jobs.work(stored.database, batch=4)

    await stored.sql("UPDATE channel SET disabled_by = 'person'")
    (stopped,) = await work_off(stored, 4)

    assert first is not None
    assert (first.state, first.done) == ("RUNNING", 4)
    assert (stopped.state, stopped.reason, stopped.done) == ("STOPPED", "channel_disabled", 4)
    for channel, says in [(hook, "is disabled"), ("no-such", "is not there")]:
        with pytest.raises(Refused, match=says):
            await jobs.recover(stored.database, "default", channel, since=LONG_AGO)


async def test_a_recovery_resumes_where_its_dead_worker_left_it(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(10)
    await fail_all(stored)
    job_id = await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)

    idle = "state = 'idle in transaction' AND datname = current_database()"

    async def die_at_work() -> None:
        async with stored.database.transaction() as connection:
            assert await connection.row("jobs/recover", limit=4, but=[], after="")
            assert await jobs.work(stored.database) is None  # what one works on, no other does
            await stored.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {idle}")  # noqa: S608
            await connection.row("database/now")

    with pytest.raises(StoreUnavailable):
        await die_at_work()
    job = await jobs.get(stored.database, "default", job_id)
    assert job is not None
    assert (job.state, job.done) == ("WAITING", 0)
    assert [step.done for step in await work_off(stored, 4)] == [4, 8, 10]


async def test_a_recoverys_total_counts_what_fails_meanwhile(stored: Store) -> None:
    """Of what was in flight when it was asked for."""
    await stored.configure({"hook": {}})
    await stored.events(2)
    waiting, in_flight = await stored.claim("hook")
    await stored.record(ended(waiting, 503))
    job_id = await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
    asked = await jobs.get(stored.database, "default", job_id)
    await stored.record(ended(in_flight, 503))

    (job,) = await work_off(stored)

    assert asked is not None
    assert asked.total == 1
    assert (job.total, job.done) == (2, 2)
