"""Many deliveries sent again by a filter: exactly those that were counted, each once, even if a process dies."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest

from consumer.decide.verdict import GiveUp
from consumer.errors import StoreUnavailable
from consumer.store import jobs, sweeps
from consumer.store.history import EventFilter
from consumer.store.jobs import NoneLeft, OtherCount
from tests.integration.deliver.test_races_of_deliveries import AT_ITS_TURN, TURN, open_transaction, run, waits
from tests.support.jobs import fail_all, state, work_off
from tests.support.stores import ENDS, Store, ended, identity

FAILED = EventFilter(states=("FAILED",))


async def ask(stored: Store, wanted: EventFilter = FAILED, expected: int | None = None) -> jobs.BulkResend:
    return await jobs.resend_many(stored.database, "default", wanted, written="{}", expected=expected)


async def rounds(stored: Store) -> list[tuple[Any, ...]]:
    return await stored.sql("SELECT state, round, count(*) FROM delivery GROUP BY 1, 2 ORDER BY 1, 2")


async def failed_on_two(stored: Store, count: int) -> Sequence[str]:
    """Make events whose deliveries to both of two channels have failed."""
    await stored.configure({"hook": {}, "other": {}})
    events = await stored.events(count)
    await fail_all(stored)
    await fail_all(stored, "other")
    return events


async def test_four_workers_send_all_of_it_again_and_nothing_twice(stored: Store) -> None:
    events = await failed_on_two(stored, 60)
    counted = await jobs.count_many(stored.database, "default", FAILED)
    asked = await ask(stored, expected=120)

    await asyncio.gather(*(work_off(stored, 7) for _ in range(4)))
    await work_off(stored, 7)

    done = await jobs.get(stored.database, "default", asked.job_id)
    assert done is not None
    assert (counted, asked.total, done.kind, done.state, done.total, done.done) == (
        120,
        120,
        "resend_many",
        "DONE",
        120,
        120,
    )
    assert await rounds(stored) == [("RESENDING", 2, 120)]
    assert await stored.sql("SELECT 1 FROM job_delivery") == []
    claimed = [one.event_id for _ in range(8) for one in sorted(await stored.claim("hook"), key=lambda one: one.id)]
    assert claimed == list(events[:64])


async def test_a_killed_bulk_resend_loses_and_doubles_nothing(stored: Store) -> None:
    await failed_on_two(stored, 10)
    asked = await ask(stored)
    await jobs.work(stored.database, batch=6)
    idle = "state = 'idle in transaction' AND datname = current_database()"

    async def killed() -> None:
        async with stored.database.transaction() as connection:
            assert await connection.row("jobs/resend_many", limit=6, but=[], after="")
            assert await jobs.work(stored.database) is None  # what one works on, no other does
            await stored.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {idle}")  # noqa: S608
            await connection.row("database/now")

    with pytest.raises(StoreUnavailable):
        await killed()
    left = await jobs.get(stored.database, "default", asked.job_id)
    await work_off(stored, 6)

    done = await jobs.get(stored.database, "default", asked.job_id)
    assert left is not None
    assert done is not None
    assert (left.state, left.done, done.state, done.done) == ("RUNNING", 6, "DONE", 20)
    assert await rounds(stored) == [("RESENDING", 2, 20)]


@pytest.mark.parametrize("expected", [0, 1, 3, 1000])
async def test_with_another_count_than_expected_nothing_is_sent(stored: Store, expected: int) -> None:
    await stored.configure({"hook": {}})
    await stored.events(2)
    await fail_all(stored)

    with pytest.raises(OtherCount, match=r"^2 deliveries match now"):
        await ask(stored, expected=expected)

    assert await stored.sql("SELECT 1 FROM job UNION ALL SELECT 1 FROM job_delivery") == []


async def test_where_none_matches_nothing_is_asked(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)

    with pytest.raises(NoneLeft):
        await ask(stored)


async def test_more_than_may_be_sent_at_once_are_refused(stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await stored.configure({"hook": {}})
    await stored.events(3)
    await fail_all(stored)
    monkeypatch.setattr(jobs, "MOST_AT_ONCE", 2)

    with pytest.raises(OtherCount, match="more than 2 deliveries match"):
        await ask(stored)

    assert await jobs.count_many(stored.database, "default", FAILED) == 3


async def test_what_ends_after_the_asking_is_not_sent(stored: Store) -> None:
    await stored.configure({"hook": {}})
    early, late = await stored.events(2)
    claimed = {one.event_id: one for one in await stored.claim("hook")}
    await stored.record(ended(claimed[early], 500, GiveUp()))
    await ask(stored)
    await stored.record(ended(claimed[late], 500, GiveUp()))

    (job,) = await work_off(stored)

    assert (job.total, job.done) == (1, 1)
    assert [(await state(stored, event))[0] for event in (early, late)] == ["RESENDING", "FAILED"]


async def test_what_another_has_sent_again_meanwhile_is_left_to_it(stored: Store) -> None:
    await stored.configure({"hook": {}})
    first, _ = await stored.events(2)
    await fail_all(stored)
    asked = await ask(stored)
    await jobs.resend(stored.database, "default", first)  # worked off before

    await work_off(stored)

    done = await jobs.get(stored.database, "default", asked.job_id)
    assert done is not None
    assert (done.state, done.total, done.done) == ("DONE", 2, 1)
    assert await rounds(stored) == [("RESENDING", 2, 2)]


async def test_what_was_received_is_sent_again_where_that_is_asked_for(stored: Store) -> None:
    await stored.configure({"hook": {"expireAfter": "1h"}})
    (event,) = await stored.events(1)
    (claimed,) = await stored.claim("hook")
    await stored.record(ended(claimed, 200))

    await ask(stored, EventFilter(states=("SUCCESS", "FAILED")))
    await work_off(stored)

    assert await state(stored, event) == ("RESENDING", 2, 1, 0, None, True, False)
    assert await stored.one("SELECT received FROM delivery") is True


async def test_a_disabled_channel_gets_nothing_and_is_not_counted(stored: Store) -> None:
    await failed_on_two(stored, 3)
    counted = await jobs.count_many(stored.database, "default", FAILED)
    asked = await ask(stored)
    await stored.sql("UPDATE channel SET disabled_by = 'person' WHERE id = $1", stored.ids["other"])

    await work_off(stored)

    done = await jobs.get(stored.database, "default", asked.job_id)
    assert done is not None
    assert (counted, done.total, done.done, done.state) == (6, 6, 3, "DONE")
    assert await rounds(stored) == [("FAILED", 1, 3), ("RESENDING", 2, 3)]
    with pytest.raises(NoneLeft):
        await ask(stored)


async def test_a_disabling_ends_bulk_resends_asked_for_before_it(stored: Store) -> None:
    """Though the channel is enabled again."""
    await failed_on_two(stored, 4)
    asked = await ask(stored)
    await jobs.work(stored.database, batch=2)  # the first event, on both

    await stored.sql("UPDATE channel SET disabled_by = 'person' WHERE id = $1", stored.ids["hook"])
    await stored.sql("UPDATE channel SET disabled_by = NULL WHERE id = $1", stored.ids["hook"])
    await sweeps.sweep(stored.database, ENDS)
    await stored.sql("UPDATE channel SET rounds_end_before = rounds_end_before - interval '2 min'")
    for channel in await sweeps.changed_channels(stored.database):
        await sweeps.settle(stored.database, channel)
    await stored.sql("UPDATE channel SET rounds_end_before = rounds_end_before + interval '2 min'")
    await work_off(stored, 2)

    done = await jobs.get(stored.database, "default", asked.job_id)
    assert done is not None
    assert (done.state, done.total, done.done) == ("DONE", 8, 5)
    of_hook = "SELECT state, reason, round FROM delivery WHERE channel_id = $1 ORDER BY event_id"
    assert await stored.sql(of_hook, stored.ids["hook"]) == [("FAILED", "channel_disabled", 2)] + 3 * [
        ("FAILED", None, 1)
    ]
    assert (await ask(stored)).total == 4  # which are sent: they were asked for after it
    (again,) = await work_off(stored)
    assert again.done == 4


async def test_bulk_resend_workers_that_meet_count_nothing_twice(stored: Store) -> None:
    await failed_on_two(stored, 4)
    asked = await ask(stored)
    await stored.sql(TURN)
    await stored.sql(AT_ITS_TURN.replace("ON delivery", "ON job"))
    async with open_transaction(stored) as first:
        await first.execute("SELECT pg_advisory_xact_lock(1)")
        await run(first, "jobs/resend_many", limit=3, but=[], after="")
        second = asyncio.create_task(stored.database.row("jobs/resend_many", limit=3, but=[], after=""))
        await waits(stored)  # it sees the names that the first one takes
    met = await second
    left = await work_off(stored, 3)

    assert met is not None
    assert (met["id"], met["state"], met["done"]) == (asked.job_id, "RUNNING", 3)
    assert [(job.state, job.done) for job in left] == [("RUNNING", 6), ("DONE", 8)]
    assert await rounds(stored) == [("RESENDING", 2, 8)]


async def test_each_filter_finds_its_own_and_no_other(stored: Store) -> None:
    first, second = await failed_on_two(stored, 2)
    await stored.sql(
        "UPDATE event SET subject_key = 's', feature_key = 'f', customer_id = 'c', customer_key = 'ck' WHERE id = $1",
        first,
    )
    at = await stored.one("SELECT now() - interval '1 h'")
    zero = dt.datetime.min.replace(tzinfo=dt.UTC)  # what Go writes of a time that is not set
    counts = {
        "channel": EventFilter(states=("FAILED",), channels=[stored.ids["hook"]]),
        "rule": EventFilter(states=("FAILED",), rules=[stored.rule_id]),
        "no rule": EventFilter(states=("FAILED",), rules=["none"]),
        "type": EventFilter(states=("FAILED",), types=["invoice.created"]),
        "subject": EventFilter(states=("FAILED",), subjects=["s"]),
        "feature": EventFilter(states=("FAILED",), features=["f", "g"]),
        "customer's id": EventFilter(states=("FAILED",), customer="c"),
        "customer's key": EventFilter(states=("FAILED",), customer="ck"),
        "since": EventFilter(states=("FAILED",), since=at),
        "until": EventFilter(states=("FAILED",), until=at),
        "since ever": EventFilter(states=("FAILED",), since=zero),
        "until ever": EventFilter(states=("FAILED",), until=zero),
        "state": EventFilter(states=("SUCCESS",)),
    }

    found = {name: await jobs.count_many(stored.database, "default", wanted) for name, wanted in counts.items()}

    assert found == {
        "channel": 2,
        "rule": 4,
        "no rule": 0,
        "type": 0,
        "subject": 2,
        "feature": 2,
        "customer's id": 2,
        "customer's key": 2,
        "since": 4,
        "until": 0,
        "since ever": 4,
        "until ever": 0,
        "state": 0,
    }
    assert await jobs.count_many(stored.database, "another", FAILED) == 0
    assert second


async def test_a_resent_recovery_waits_for_its_resent_alarm(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (alarm,) = await stored.events(1)
    (closing,) = await stored.events(1, after=identity(1))
    await fail_all(stored)
    await fail_all(stored)  # which has waited for it

    await ask(stored)
    await work_off(stored)

    dues = await stored.sql("SELECT event_id, due_at = 'infinity' FROM delivery ORDER BY event_id")
    assert dues == [(alarm, False), (closing, True)]
    (claimed,) = await stored.claim("hook")
    await stored.record(ended(claimed, 200))
    await sweeps.sweep(stored.database, ENDS)
    assert [one.event_id for one in await stored.claim("hook")] == [closing]


async def test_what_is_new_does_not_wait_for_a_resend_of_many(stored: Store) -> None:
    await stored.configure({"hook": {"expireAfter": "1h"}})
    old = await stored.events(20)
    await fail_all(stored)
    await stored.sql("UPDATE delivery SET created_at = created_at - interval '2 h'")
    await ask(stored)
    await work_off(stored)
    new = await stored.events(20)

    swept = await sweeps.over(stored.database, ENDS)
    both = [one.event_id for one in await stored.claim("hook", 8)]
    await stored.sql("DELETE FROM delivery WHERE token IS NULL AND event_id = ANY ($1)", new)
    alone = [one.event_id for one in await stored.claim("hook", 8)]

    assert swept == []
    assert both == [*new[:4], *old[:4]]
    assert alone == old[4:12]


async def test_with_its_job_goes_what_it_has_not_done(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    await fail_all(stored)
    asked = await ask(stored)

    await stored.sql("DELETE FROM job WHERE id = $1", asked.job_id)

    assert await stored.sql("SELECT 1 FROM job_delivery") == []
