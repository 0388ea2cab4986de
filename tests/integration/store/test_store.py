"""What is judged is written whole or not at all, on a real Postgres: each statement beside the races it is made for."""

import asyncio
import hashlib

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from consumer import ids
from consumer.consume.memory import Memory
from consumer.errors import DataRefused
from consumer.store import outbox, queries
from consumer.store.database import Database
from consumer.store.memory import EntitlementKey
from consumer.store.outbox import Result
from tests.support.one_rule import KEY, configure, make_change, scalar


@pytest.mark.usefixtures("store")
async def test_every_statement_prepares_on_a_migrated_database(database: str) -> None:
    connection = await asyncpg.connect(database)

    prepared = [await connection.prepare(queries.load(name).sql) for name in queries.names()]

    assert len(prepared) == len(queries.names()) > 0
    await connection.close()


async def test_memory_comes_back_as_it_was_written(store: Database) -> None:
    change = make_change(await configure(store, "hook"))

    (written,) = await outbox.write(store, [change])
    documents = await Memory(store, limit=10).load([KEY])

    assert written.result is Result.WRITTEN
    assert written.made == change.events
    assert documents[KEY] == msgspec.structs.replace(change.document, version=1)


async def test_of_two_that_are_one_event_in_a_batch_the_first_is_made(store: Database) -> None:
    rule = await configure(store, "hook")
    made = []
    for n in range(20):
        key = EntitlementKey("default", f"twice-{n}")
        one = make_change(rule, key=key, identity=hashlib.sha256(bytes([n])).digest())
        later = [replace(one.events[0], id=ids.new(), payload=b"{}") for _ in range(5)]
        made.append(replace(one, events=(*one.events, *later)))

    written = await outbox.write(store, made)

    assert [one.was_made for one in written] == [(True, False, False, False, False, False)] * 20


async def test_of_two_writers_on_one_version_the_other_gets_a_conflict(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    changes = [make_change(rule, identity=bytes([n]) * 32) for n in range(8)]

    results = await asyncio.gather(*(outbox.write(store, [change]) for change in changes))

    assert sorted(one.result for (one,) in results) == ["changed"] * 7 + ["written"]
    assert await scalar(database, "SELECT count(*) FROM event") == 1
    assert await scalar(database, "SELECT count(*) FROM delivery") == 1


async def test_a_document_judged_on_an_older_version_writes_nothing(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    await outbox.write(store, [make_change(rule)])
    await outbox.write(store, [make_change(rule, version=1, identity=b"j" * 32)])

    (late,) = await outbox.write(store, [make_change(rule, version=1, identity=b"k" * 32)])

    assert late.result is Result.CHANGED
    assert await scalar(database, "SELECT count(*) FROM event") == 2


async def test_a_rule_disabled_meanwhile_writes_no_document(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    change = make_change(rule)
    silent = replace(make_change(rule, key=EntitlementKey("default", "ent-2")), events=())
    await configure(store, "hook", disabled=True)

    gone, written = await outbox.write(store, [change, silent])

    assert gone.result is Result.RULE_GONE
    assert written.result is Result.WRITTEN
    assert await scalar(database, "SELECT count(*) FROM event") == 0
    assert await scalar(database, "SELECT count(*) FROM entitlement") == 1


async def test_an_event_that_was_made_before_is_not_made_again(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    await outbox.write(store, [make_change(rule)])

    # The memory was lost, say by a restore: the identity still stands.
    (again,) = await outbox.write(store, [make_change(rule, key=EntitlementKey("default", "ent-1b"))])

    assert again.result is Result.WRITTEN
    assert again.made == ()
    assert await scalar(database, "SELECT count(*) FROM delivery") == 1


async def test_data_that_postgres_refuses_writes_nothing_at_all(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    good = make_change(rule)
    bad = make_change(rule, key=EntitlementKey("default", "nul \x00"), identity=b"x" * 32)

    with pytest.raises(DataRefused):
        await outbox.write(store, [good, bad])

    assert await scalar(database, "SELECT count(*) FROM entitlement") == 0


async def test_a_disabled_channels_delivery_is_failed_or_not_made(store: Database, database: str) -> None:
    """Failed where Tollbell disabled the channel, not made where a person did."""
    rule = await configure(store, "one", "two", "three")
    await scalar(database, "UPDATE channel SET disabled_by = 'person' WHERE key = 'one' RETURNING 1")
    await scalar(database, "UPDATE channel SET disabled_by = 'tollbell' WHERE key = 'two' RETURNING 1")

    (written,) = await outbox.write(store, [make_change(rule)])

    assert written.deliveries == 2
    rows = """
        SELECT array_agg(c.key || ' ' || state || coalesce(' ' || reason, '') ORDER BY c.key)
        FROM delivery d
        JOIN channel c ON c.id = d.channel_id
    """
    assert await scalar(database, rows) == ["three PENDING", "two FAILED channel_disabled"]
