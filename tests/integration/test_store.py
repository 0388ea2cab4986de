"""What is judged is written whole or not at all, on a real Postgres: each statement beside the races it is made for."""

import asyncio
import dataclasses
import hashlib
import json

import asyncpg
import msgspec
import pytest

from consumer import ids
from consumer.errors import DataRefused
from consumer.store import outbox, queries
from consumer.store.database import SETTINGS, Database
from consumer.store.memory import EntitlementKey, Memory
from consumer.store.outbox import Result
from tests.factories import NOW
from tests.one_rule import KEY, LEASE, configure, make_change, scalar
from tests.plans import EXPLAIN, Plan

CHANNELS = """
    INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
    SELECT 'c' || n, 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1/', 'openmeter', 's' FROM generate_series(0, 9) n;
    INSERT INTO channel_pace (channel_id) SELECT id FROM channel
"""
ENDED = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, ended_at)
    SELECT n, 'c' || n % 10, 'default', 'SUCCESS', now() FROM generate_series(1, $1::int) n
"""
DUE = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
    SELECT 'due-' || n, 'c' || n % 10, 'default', 'PENDING', now() FROM generate_series(1, $1::int) n
"""


@pytest.mark.usefixtures("store")
async def test_every_statement_prepares_on_a_migrated_database(database: str) -> None:
    connection = await asyncpg.connect(database)

    prepared = [await connection.prepare(queries.load(name).sql) for name in queries.names()]

    assert len(prepared) == len(queries.names()) > 0
    await connection.close()


@pytest.mark.usefixtures("store")
async def test_claim_and_record_read_what_they_are_about_however_many_deliveries_there_are(database: str) -> None:
    connection = await asyncpg.connect(database, server_settings=SETTINGS)
    await connection.execute(CHANNELS)
    await connection.execute(ENDED, 80_000)
    await connection.execute(DUE, 4_000)
    await connection.execute("ANALYZE")
    channels = {"channels": [f"c{n}" for n in range(10)], "free": [10] * 10}

    claim = await explained(
        connection, "deliveries/claim", **channels, lease=LEASE, free_interruptions=5, burst_seconds=0.1
    )
    leased = await connection.fetch("SELECT id, token FROM delivery WHERE token IS NOT NULL")
    record = await explained(connection, "deliveries/record", **successes(leased), max_events=10)

    assert len(leased) == await connection.fetchval("SELECT count(*) FROM delivery WHERE attempts = 1") == 100
    assert ("delivery_due" in claim.indexes, "delivery_waiting" in record.indexes) == (True, True)
    assert claim.rows_read < 1000
    assert record.rows_read < 2000
    await connection.close()


async def explained(connection: asyncpg.Connection, name: str, **arguments: object) -> Plan:
    """Run the statement *name*; return what it read."""
    query = queries.load(name)
    (made,) = json.loads(await connection.fetchval(EXPLAIN + query.sql, *query.arguments(arguments)))
    return Plan(name, "", made["Plan"], made["Execution Time"])


def successes(leased: list[asyncpg.Record]) -> dict[str, list[object]]:
    """Return the arguments of `record` for a 200 to each."""
    of_each: dict[str, object] = {
        "rounds": 1, "numbers": 1, "started": NOW, "outcomes": "status", "statuses": 200, "durations": 12,
        "details": "", "bodies": "ok", "delivered": True, "delays": None, "spends": True, "pauses": None,
        "disables": None, "answered": True, "failed": False,
    }  # fmt: skip
    named = {"ids": [row["id"] for row in leased], "tokens": [row["token"] for row in leased]}
    return named | {name: [value] * len(leased) for name, value in of_each.items()}


async def test_memory_comes_back_as_it_was_written(store: Database) -> None:
    change = make_change(await configure(store, "hook"))

    (written,) = await outbox.write(store, [change])
    documents = await Memory(store, limit=10).load([KEY])

    assert written.result is Result.WRITTEN
    assert written.event_ids == {change.events[0].id}
    assert documents[KEY] == msgspec.structs.replace(change.document, version=1)


async def test_of_two_that_are_one_event_in_a_batch_the_first_is_made(store: Database) -> None:
    rule = await configure(store, "hook")
    made = []
    for n in range(20):
        key = EntitlementKey("default", f"twice-{n}")
        one = make_change(rule, key=key, identity=hashlib.sha256(bytes([n])).digest())
        later = [dataclasses.replace(one.events[0], id=ids.new(), payload=b"{}") for _ in range(5)]
        made.append(dataclasses.replace(one, events=(*one.events, *later)))

    written = await outbox.write(store, made)

    assert [one.was_made for one in written] == [(True, False, False, False, False, False)] * 20


async def test_of_two_writers_on_one_version_one_wins_and_the_other_is_told(store: Database, database: str) -> None:
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


async def test_a_rule_disabled_meanwhile_writes_nothing_of_the_documents_with_its_events(
    store: Database, database: str
) -> None:
    rule = await configure(store, "hook")
    change = make_change(rule)
    silent = dataclasses.replace(make_change(rule, key=EntitlementKey("default", "ent-2")), events=())
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
    assert again.event_ids == frozenset()
    assert await scalar(database, "SELECT count(*) FROM delivery") == 1


async def test_data_that_postgres_refuses_writes_nothing_at_all(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    good = make_change(rule)
    bad = make_change(rule, key=EntitlementKey("default", "nul \x00"), identity=b"x" * 32)

    with pytest.raises(DataRefused):
        await outbox.write(store, [good, bad])

    assert await scalar(database, "SELECT count(*) FROM entitlement") == 0


async def test_a_channel_that_a_person_disabled_gets_none_and_tollbells_gets_a_failed_one(
    store: Database, database: str
) -> None:
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
