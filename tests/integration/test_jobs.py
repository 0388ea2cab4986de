"""Resend and recover, on a real Postgres: durable, none of it twice, and the rounds that they begin."""

import asyncio
import datetime as dt
from collections import Counter

import pytest

from consumer.decide.outcome import OutcomeClass
from consumer.decide.verdict import Delivered, GiveUp, RetryIn
from consumer.errors import Refused, StoreUnavailable
from consumer.store import deliveries, jobs, rendered
from consumer.store.intervals import lowest_id
from consumer.store.jobs import Job
from tests.stores import DAYS, Store, ended, identity

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


async def work_off(stored: Store, batch: int = jobs.BATCH) -> list[Job]:
    """Work until nothing is left; return each step's job."""
    steps = []
    while job := await jobs.work(stored.database, batch=batch):
        steps.append(job)
    return steps


async def fail_all(stored: Store, key: str = "hook") -> None:
    claimed = await stored.claim(key, 10_000)
    await stored.record(*(ended(one, 500, GiveUp()) for one in claimed))


async def state(stored: Store, event_id: str, key: str = "hook") -> tuple[object, ...]:
    columns = "state, round, attempts, step, reason, never_expires, resend_asked"
    (row,) = await stored.sql(
        f"SELECT {columns} FROM delivery WHERE event_id = $1 AND channel_id = $2",  # noqa: S608 - our own names
        event_id,
        stored.ids[key],
    )
    return row


async def test_a_resend_begins_a_new_round_with_the_next_numbers_and_the_whole_schedule(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    await fail_all(stored)

    job_id = await jobs.resend(stored.database, "default", event)
    waiting = await jobs.get(stored.database, "default", job_id)
    (done,) = await work_off(stored)

    assert waiting is not None
    assert (waiting.kind, waiting.state, waiting.total, waiting.done, waiting.ended_at) == (
        "resend",
        "WAITING",
        1,
        0,
        None,
    )
    assert (done.id, done.state, done.done, done.event_id) == (job_id, "DONE", 1, event)
    assert await state(stored, event) == ("RESENDING", 2, 1, 0, None, True, False)
    (claimed,) = await stored.claim("hook")
    assert (claimed.number, claimed.step, claimed.interrupted) == (2, 0, 0)
    assert (await state(stored, event))[0] == "SENDING"
    await stored.record(ended(claimed, 200))
    assert await state(stored, event) == ("SUCCESS", 2, 2, 1, None, True, False)
    assert await stored.sql("SELECT number, status FROM attempt ORDER BY number") == [(1, 500), (2, 200)]


async def test_what_was_received_is_sent_again_too(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    (claimed,) = await stored.claim("hook")
    await stored.record(ended(claimed, 200))

    await jobs.resend(stored.database, "default", event)
    await work_off(stored)

    assert (await state(stored, event))[0] == "RESENDING"
    assert len(await stored.claim("hook")) == 1


async def test_a_hand_back_leaves_a_resend_as_it_was(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    before = await state(stored, event)

    await deliveries.hand_back(stored.database, await stored.claim("hook"))

    assert await state(stored, event) == before
    assert before[0] == "RESENDING"


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, Delivered()), (500, GiveUp()), (503, RetryIn(dt.timedelta(hours=1)))]
)
async def test_one_in_flight_is_sent_again_when_its_attempt_has_ended_however(
    stored: Store, status: int, verdict: Delivered | GiveUp | RetryIn
) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    (claimed,) = await stored.claim("hook")

    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    in_flight = await state(stored, event)
    recorded = await stored.record(ended(claimed, status, verdict))

    assert in_flight == ("SENDING", 1, 0, 0, None, False, True)
    assert recorded.is_freeing
    assert await state(stored, event) == ("RESENDING", 2, 1, 0, None, True, False)
    (again,) = await stored.claim("hook")
    assert (again.number, again.step) == (2, 0)


async def test_one_in_flight_whose_sender_died_begins_its_round_when_the_lease_has_run_out(stored: Store) -> None:
    await stored.configure({"hook": {"expireAfter": "1h"}})
    (event,) = await stored.events(1)
    (zombie,) = await stored.claim("hook")
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    moved = "due_at = now() - interval '1 s', created_at = now() - interval '2 h', round_from = now() - interval '80 h'"
    await stored.sql(f"UPDATE delivery SET {moved}")  # noqa: S608 - our own text

    swept = await deliveries.sweep(stored.database, longest_round=DAYS)
    (again,) = await stored.claim("hook")

    assert swept == 0
    assert (again.number, again.step, again.interrupted, again.round, again.was_lost) == (2, 0, 0, 2, True)
    assert await state(stored, event) == ("SENDING", 2, 1, 0, None, True, False)
    # The 2xx of the round before is kept; the round that a person asked for goes on.
    await stored.record(ended(zombie, 200))
    assert (await state(stored, event))[0] == "SENDING"
    assert await stored.sql("SELECT number, outcome, status FROM attempt") == [(1, "status", 200)]


async def test_a_resend_goes_to_the_rules_channels_of_now_and_to_those_that_got_it(stored: Store) -> None:
    await stored.configure({"old": {}, "off": {}})
    (event,) = await stored.events(1)
    await stored.configure({"new": {}, "off": {"disabled": True}})
    old_and_new = {stored.ids["old"], stored.ids["new"]}

    await jobs.resend(stored.database, "default", event)
    (done,) = await work_off(stored)

    assert (done.total, done.done) == (2, 2)
    rows = await stored.sql("SELECT channel_id FROM delivery WHERE state = 'RESENDING'")
    assert {channel for (channel,) in rows} == old_and_new


async def test_a_channel_named_alone_gets_it_alone(stored: Store) -> None:
    await stored.configure({"one": {}, "two": {}})
    (event,) = await stored.events(1)
    await fail_all(stored, "one")
    await fail_all(stored, "two")

    await jobs.resend(stored.database, "default", event, channels=[stored.ids["two"], stored.ids["two"]])
    await work_off(stored)

    assert (await state(stored, event, "one"))[0] == "FAILED"
    assert (await state(stored, event, "two"))[0] == "RESENDING"


async def test_a_resend_that_cannot_be_is_refused_and_nothing_asked(stored: Store) -> None:
    await stored.configure({"hook": {}, "off": {"disabled": True}})
    (event,) = await stored.events(1)
    off = stored.ids["off"]

    for namespace, event_id, channels, says in [
        ("default", "01K9ZBC3K9YJ4M2V7Q8R5T6W1X", None, "event 01K9ZBC3K9YJ4M2V7Q8R5T6W1X: is not there"),
        ("other", event, None, "is not there"),
        ("default", event, [stored.ids["hook"], off], f"channel {off} is disabled"),
        ("default", event, ["nobody"], "channel nobody is none of the event's"),
    ]:
        with pytest.raises(Refused, match=says):
            await jobs.resend(stored.database, namespace, event_id, channels=channels)

    assert await work_off(stored) == []
    assert await stored.one("SELECT count(*) FROM job") == 0


async def test_a_resent_delivery_waits_for_the_open_one_before_it_on_a_new_channel_too(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (first,) = await stored.events(1)
    (second,) = await stored.events(1, after=identity(1))
    await fail_all(stored)  # the first
    await fail_all(stored)  # the second, which waited for it
    await stored.configure({"hook": {}, "new": {}})

    for event in (second, first):
        await jobs.resend(stored.database, "default", event)
    await work_off(stored)

    for key in ("hook", "new"):
        (claimed,) = await stored.claim(key)
        assert claimed.event_id == first
        await stored.record(ended(claimed, 200))
        (claimed,) = await stored.claim(key)
        assert claimed.event_id == second


async def test_a_resend_is_exempt_from_expiry_and_not_from_the_longest_round(stored: Store) -> None:
    await stored.configure({"hook": {"expireAfter": "1h"}})
    (event,) = await stored.events(1)
    await stored.sql("UPDATE delivery SET created_at = now() - interval '2 h'")
    await deliveries.sweep(stored.database, longest_round=DAYS)
    expired = await state(stored, event)

    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    kept = await deliveries.sweep(stored.database, longest_round=DAYS)
    claimed = await stored.claim("hook")
    await deliveries.hand_back(stored.database, claimed)
    await stored.sql("UPDATE delivery SET round_from = now() - interval '73 h'")
    await deliveries.sweep(stored.database, longest_round=DAYS)

    assert expired[4] == "expired"
    assert (kept, len(claimed)) == (0, 1)
    assert (await state(stored, event))[4] == "too_old"


async def test_two_workers_recover_everything_in_the_order_of_events_and_nothing_twice(stored: Store) -> None:
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


async def test_a_recovery_takes_what_had_failed_since_the_time_when_it_was_asked_for(stored: Store) -> None:
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


async def test_a_recovery_is_not_exempt_from_expiry_even_after_a_resend(stored: Store) -> None:
    await stored.configure({"hook": {"expireAfter": "1h"}})
    (event,) = await stored.events(1)
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    await fail_all(stored)
    await stored.sql("UPDATE delivery SET created_at = now() - interval '2 h'")

    await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
    await work_off(stored)
    swept = await deliveries.sweep(stored.database, longest_round=DAYS)

    assert swept == 1
    assert (await state(stored, event))[4] == "expired"


async def test_a_recovery_is_refused_of_a_disabled_channel_and_stops_where_it_is_disabled_meanwhile(
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
    for channel, says in [(hook, "is disabled"), ("nobody", "is not there")]:
        with pytest.raises(Refused, match=says):
            await jobs.recover(stored.database, "default", channel, since=LONG_AGO)


async def test_a_worker_that_dies_in_the_midst_leaves_the_job_where_it_was(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(10)
    await fail_all(stored)
    job_id = await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)

    idle = "state = 'idle in transaction' AND datname = current_database()"

    async def die_at_work() -> None:
        async with stored.database.transaction() as connection:
            assert await connection.row("jobs/recover", limit=4)
            assert await jobs.work(stored.database) is None  # what one works on, no other does
            await stored.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {idle}")  # noqa: S608
            await connection.row("database/now")

    with pytest.raises(StoreUnavailable):
        await die_at_work()
    job = await jobs.get(stored.database, "default", job_id)
    assert job is not None
    assert (job.state, job.done) == ("WAITING", 0)
    assert [step.done for step in await work_off(stored, 4)] == [4, 8, 10]


async def test_a_lease_that_ran_out_before_a_sweep_shows_as_interrupted(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    await stored.claim("hook")
    await stored.sql("UPDATE delivery SET due_at = now() - interval '1 s'")
    await stored.sql("UPDATE channel SET disabled_by = 'person'")

    await deliveries.sweep(stored.database, longest_round=DAYS)

    assert await state(stored, event) == ("FAILED", 1, 1, 0, "channel_disabled", False, False)
    rows = await stored.sql("SELECT number, outcome FROM attempt")
    assert rows == [(1, OutcomeClass.INTERRUPTED.value)]


async def test_a_flat_body_is_kept_once_and_the_first_one_is_sent_ever_after(stored: Store) -> None:
    await stored.configure({"hook": {"format": "flat"}, "own": {}})
    (event,) = await stored.events(1)
    (unrendered,) = await stored.claim("hook")

    kept = await asyncio.gather(*(rendered.keep(stored.database, event, "flat", b"%d" % n) for n in range(6)))
    await stored.record(ended(unrendered, 500, GiveUp()))
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    (again,) = await stored.claim("hook")
    (own,) = await stored.claim("own")

    assert unrendered.rendered is None
    assert Counter(kept) == {kept[0]: 6}
    assert again.rendered == kept[0]
    assert own.rendered is None
