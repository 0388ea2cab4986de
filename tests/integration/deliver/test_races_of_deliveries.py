"""Statements that meet: one waits within an open transaction for the other, so the order is certain."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator

import asyncpg
import pytest

from consumer.decide.verdict import Disable, RetryIn
from consumer.deliver.sweep import Sweep
from consumer.metrics import Metrics
from consumer.store import deliveries, paces, queries, sweeps
from consumer.store.database import SETTINGS
from consumer.store.sweeps import HoldCursor
from tests.integration.deliver.test_deliverers import until
from tests.support.jobs import fail_all
from tests.support.stores import ENDS, LEASE, STEPS, Store, ended, identity

HOUR = dt.timedelta(hours=1)
WAITING = """
    SELECT count(*) = $1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
SENT_ELSEWHERE = """
    UPDATE channel SET url = 'http://127.0.0.1:8080/new';
    UPDATE channel_pace SET paused_until = NULL, downs = 0, failures = 0, failing_since = NULL, failing_events = '{}'
"""
# A statement that updates deliveries waits for its turn when it has its snapshot, and has locked nothing yet.
TURN = """
    CREATE FUNCTION await_turn() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$
"""
AT_ITS_TURN = "CREATE TRIGGER at_its_turn BEFORE UPDATE ON delivery FOR EACH STATEMENT EXECUTE FUNCTION await_turn()"


@contextlib.asynccontextmanager
async def open_transaction(stored: Store) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection in a transaction, with the service's settings; what it did is committed at the end."""
    connection = await asyncpg.connect(stored.url, server_settings=SETTINGS)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def run(connection: asyncpg.Connection, name: str, **arguments: object) -> list[asyncpg.Record]:
    """Run the statement *name* there."""
    query = queries.load(name)
    return await connection.fetch(query.sql, *query.arguments(arguments))


async def waits(stored: Store, count: int = 1) -> None:
    """Return once *count* statements wait for a lock."""
    await until(stored, WAITING.replace("$1", str(count)))


# --- an edit that commits while an answer is recorded ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "verdict"), [(410, Disable("gone")), (429, RetryIn(HOUR, pause=HOUR)), (503, RetryIn(HOUR))]
)
async def test_an_answer_recorded_during_an_edit_does_not_count(
    stored: Store, status: int, verdict: Disable | RetryIn
) -> None:
    await stored.configure({"hook": {}})
    await stored.events(2)
    before = await stored.claim("hook")
    async with open_transaction(stored) as edit:
        await edit.execute(SENT_ELSEWHERE)
        recording = asyncio.create_task(stored.record(*(ended(one, status, verdict) for one in before)))
        await waits(stored)

    recorded = await recording

    assert recorded.runs == ()
    assert await stored.sql("SELECT disabled_by, is_hurried FROM channel") == [(None, True)]
    assert await stored.sql("SELECT paused_until, downs, failures FROM channel_pace") == [(None, 0, 0)]
    assert {one.number for one in await stored.claim("hook")} == {2}, "due at once"


async def test_recording_to_the_same_channels_never_deadlocks(stored: Store) -> None:
    """Each of two answers disables what the other one pauses."""
    await stored.configure({"a": {}, "b": {}})
    await stored.events(2)
    a, b = await stored.claim("a"), await stored.claim("b")
    low, high = sorted([a, b], key=lambda some: some[0].channel_id)
    async with open_transaction(stored) as editor:
        await editor.execute("SELECT 1 FROM channel WHERE id = $1 FOR UPDATE", low[0].channel_id)
        # Each has a channel that it disables and one that it only counts.
        one = asyncio.create_task(stored.record(ended(low[0], 503), ended(high[0], 410, Disable("gone"))))
        other = asyncio.create_task(stored.record(ended(low[1], 410, Disable("gone")), ended(high[1], 503)))
        await waits(stored, 2)

    await asyncio.gather(one, other)

    assert await stored.sql("SELECT disabled_by FROM channel") == [("tollbell",)] * 2
    assert await deadlocks(stored) == 0


async def deadlocks(stored: Store) -> int:
    """How many there were: a statement that lost one was repeated, so nothing else shows it."""
    await stored.sql("SELECT pg_stat_force_next_flush()")
    found: int = await stored.one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return found


@pytest.mark.parametrize("change", [SENT_ELSEWHERE, "UPDATE channel_pace SET failures = 0, failing_since = NULL"])
async def test_a_failure_forgotten_by_an_edit_disables_no_channel(stored: Store, change: str) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    recorded = await stored.record(*(ended(one, 503) for one in await stored.claim("hook")))
    (judged,) = recorded.runs
    async with open_transaction(stored) as edit:
        await edit.execute(change)
        disabling = asyncio.create_task(paces.disable(stored.database, judged, "no success for 5.0 days"))
        await waits(stored)

    assert not await disabling

    assert await stored.one("SELECT disabled_by FROM channel") is None
    assert not await paces.disable(stored.database, judged, "no success for 5.0 days")


async def test_a_channel_that_still_fails_is_disabled_once(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    recorded = await stored.record(*(ended(one, 503) for one in await stored.claim("hook")))
    (judged,) = recorded.runs

    assert [await paces.disable(stored.database, judged, "fails") for _ in range(2)] == [True, False]


# --- two that look through what waits --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_held", [True, False])
async def test_two_that_look_at_what_waits_do_not_undo_each_other(stored: Store, *, is_held: bool) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    (second,) = await stored.events(1, after=identity(1))
    if is_held:  # wrongly: the first has ended
        await fail_all(stored)
    wrong = "'infinity'" if is_held else "now()"
    await stored.sql(f"UPDATE delivery SET due_at = {wrong} WHERE event_id = $1", second)  # noqa: S608
    await stored.sql(TURN)
    await stored.sql(AT_ITS_TURN)
    async with open_transaction(stored) as one:
        await one.execute("SELECT pg_advisory_xact_lock(1)")
        await run(one, "sweeps/hold", event="", channel="", since=None, since_id=0, settled=dt.timedelta(), limit=500)
        looking = asyncio.create_task(sweeps.hold(stored.database, HoldCursor()))
        await waits(stored)

    await looking

    assert await stored.one("SELECT due_at = 'infinity' FROM delivery WHERE event_id = $1", second) is not is_held


async def test_what_was_set_right_meanwhile_keeps_its_place(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    await stored.events(1, after=identity(1))
    await fail_all(stored)
    await stored.sql(
        "UPDATE delivery SET due_at = 'infinity' WHERE waits_for IS NOT NULL"
    )  # though the first has ended
    await stored.sql(TURN)
    await stored.sql(AT_ITS_TURN)
    async with open_transaction(stored) as other:
        await other.execute("SELECT pg_advisory_xact_lock(1)")
        looking = asyncio.create_task(sweeps.hold(stored.database, HoldCursor()))
        await waits(stored)
        await other.execute("UPDATE delivery SET due_at = now() + interval '1 h' WHERE waits_for IS NOT NULL")

    _, is_freeing = await looking

    assert not is_freeing
    assert await stored.one("SELECT due_at > now() + interval '1 min' FROM delivery WHERE waits_for IS NOT NULL")


MANY_WAIT = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
    SELECT 'first-' || n, $1, 'default', 'PENDING', now() + interval '1 h' FROM generate_series(1, 2000) n;
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at, waits_for)
    SELECT 'next-' || n, $1, 'default', 'PENDING', 'infinity', 'first-' || n FROM generate_series(1, 2000) n
"""
FIRST_ENDS = """
    UPDATE delivery SET state = 'SUCCESS', due_at = NULL, ended_at = now()
    WHERE event_id = (SELECT max(waits_for) FROM delivery)
"""


async def test_a_freed_delivery_is_found_among_thousands_that_wait(stored: Store) -> None:
    """By one sweep."""
    await stored.configure({"hook": {}})
    for statement in MANY_WAIT.split(";"):
        await stored.sql(statement, stored.ids["hook"])
    await stored.sql(FIRST_ENDS)
    due: list[bool] = []
    sweep = Sweep(stored.database, Metrics(), ENDS, lambda: due.append(True))

    await sweep.once()

    assert due == [True]
    assert await stored.one("SELECT count(*) FROM delivery WHERE due_at <= now()") == 1


# --- two sweeps ------------------------------------------------------------------------------------------------------


async def test_two_sweeps_of_one_chain_do_not_deadlock(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    await stored.events(1, after=identity(1))
    await stored.events(1, after=identity(2))
    first, second, third = [id_ for (id_,) in await stored.sql("SELECT id FROM delivery ORDER BY id")]
    await stored.sql("UPDATE delivery SET round_from = now() - interval '4 days'")
    async with open_transaction(stored) as other:
        await other.execute("SELECT 1 FROM delivery WHERE id = $1 FOR UPDATE", second)  # as if it were about to end it
        one = asyncio.create_task(sweeps.sweep(stored.database, ENDS, ids=[first, third]))
        ends = {"longest_round": ENDS.longest_round, "steps": ENDS.steps, "free_interruptions": 5}
        await done_or_waiting(stored, one)
        ended_here = await run(other, "sweeps/sweep", ids=[second], **ends)

    assert (await one, len(ended_here)) == (2, 1)
    assert await deadlocks(stored) == 0


async def done_or_waiting(stored: Store, task: "asyncio.Task[int]") -> None:
    """Return once *task* is done or waits for a lock."""
    while not task.done() and not await stored.one(WAITING.replace("$1", "1")):
        await asyncio.wait([task], timeout=0.1)


# --- others ----------------------------------------------------------------------------------------------------------


async def test_a_new_address_is_hurried_until_no_row_is_locked(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(2)
    await stored.record(*(ended(one, 503, RetryIn(HOUR)) for one in await stored.claim("hook")))
    await stored.sql(SENT_ELSEWHERE.split(";", maxsplit=1)[0])
    async with open_transaction(stored) as other:
        await other.execute("SELECT 1 FROM delivery ORDER BY id LIMIT 1 FOR UPDATE")
        (changed,) = await sweeps.changed_channels(stored.database)
        held = await sweeps.hurry(stored.database, changed)
    (changed,) = await sweeps.changed_channels(stored.database)

    assert (held, await sweeps.hurry(stored.database, changed)) == (1, 1)
    assert await sweeps.changed_channels(stored.database) == []


@pytest.mark.parametrize("why", ["aside", "late", "of before"])
async def test_a_recovery_has_all_slots_if_nothing_new_is_claimable(stored: Store, why: str) -> None:
    await stored.configure({"hook": {"expireAfter": "1h"}})
    (new, *_) = await stored.events(9)
    await stored.sql("UPDATE delivery SET recovered = true, state = 'RESENDING' WHERE event_id <> $1", new)
    if why == "late":
        await stored.sql("UPDATE delivery SET created_at = now() - interval '2 h' WHERE event_id = $1", new)
    elif why == "of before":
        await stored.sql("UPDATE delivery SET round_from = now() - interval '2 h' WHERE event_id = $1", new)
        await stored.sql("UPDATE channel SET rounds_end_before = now() - interval '1 h'")
    but = [await stored.one("SELECT min(id) FROM delivery")] if why == "aside" else []

    claimed = await deliveries.claim(stored.database, {stored.ids["hook"]: 8}, LEASE, steps=STEPS, but=but)

    assert len(claimed) == 8
