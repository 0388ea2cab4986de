"""Partitions are made ahead, on a real Postgres; what had none moves into its own."""

import datetime as dt
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from consumer.errors import Refused
from consumer.store import migrate, retention
from consumer.store.database import Database
from consumer.store.intervals import containing
from consumer.store.retention import PartitionOutcome, TablePartition
from tests.support.partitions import DAY, KEEP, Connection, duty, make_event, names, where


async def test_a_fresh_database_has_partitions_for_three_weeks(store: Database, now: dt.datetime) -> None:
    ahead = [containing(now).next(n).name for n in range(3)]

    assert await retention.partitions(store) == {
        table: [containing(now).next(n) for n in range(3)] for table in retention.TABLES
    }
    assert await names(store) == ahead


async def test_an_event_and_its_attempts_are_in_their_weeks_partition(sql: Connection, now: dt.datetime) -> None:
    for n in range(3):
        await make_event(sql, now + n * 7 * DAY, is_open=True)

    for table in retention.TABLES:
        assert await where(sql, table) == {f"{table}_{containing(now).next(n).name}": 1 for n in range(3)}


async def test_what_is_missing_ahead_is_made_and_nothing_is_made_twice(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    week = containing(now).next(2)
    await sql.execute(f"DROP TABLE event_{week.name}")

    made = await retention.make(store, now=now, kept_from=now - KEEP)
    again = await retention.make(store, now=now, kept_from=now - KEEP)

    assert made == [TablePartition("event", week, PartitionOutcome.MADE)]
    assert again == []


async def test_rows_of_the_default_partition_move_into_their_own(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    """The service was down for a month, then something wrote before anything else."""
    weeks = [containing(now), containing(now - 20 * DAY)]
    for table in retention.TABLES:
        await sql.execute(f"DROP TABLE {table}_{weeks[0].name}")
    written = [await make_event(sql, at, is_open=True) for at in (now, now - 20 * DAY)]
    assert await where(sql) == {"event_default": 2}

    made = await retention.make(store, now=now, kept_from=now - KEEP)

    assert made == [
        TablePartition(table, week, PartitionOutcome.MADE, 1) for week in weeks for table in retention.TABLES
    ]
    for table in retention.TABLES:
        assert await where(sql, table) == {f"{table}_{week.name}": 1 for week in weeks}
    assert {row["id"] for row in await sql.fetch("SELECT id FROM event")} == set(written)


async def test_a_wrong_clocks_events_stay_in_default_and_block_nothing(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    for at in (dt.datetime(1971, 1, 1, tzinfo=dt.UTC), dt.datetime(2106, 1, 1, tzinfo=dt.UTC)):
        await make_event(sql, at, created_at=now, is_open=True)
    await sql.execute(f"DROP TABLE event_{containing(now).name}")

    await duty(store).once()

    assert await where(sql) == {"event_default": 2}
    assert await names(store) == [containing(now).next(n).name for n in range(3)]


async def test_more_default_rows_than_the_limit_stay_where_they_are(
    store: Database, sql: Connection, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partitions of later weeks are made all the same."""
    monkeypatch.setattr(retention, "MOST_MOVED", 2)
    for n in range(3):
        await sql.execute(f"DROP TABLE event_{containing(now).next(n).name}")
    for _ in range(3):
        await make_event(sql, now, is_open=True)

    made = await retention.make(store, now=now, kept_from=now - KEEP)

    outcomes = [PartitionOutcome.TOO_MANY, PartitionOutcome.MADE, PartitionOutcome.MADE]
    assert [one.outcome for one in made] == outcomes
    assert await where(sql) == {"event_default": 3}


@pytest.mark.usefixtures("store")
async def test_event_ids_compare_by_bytes_whatever_the_collation(sql: Connection) -> None:
    """Else bounds would not be bounds, and a join of two tables would use no index."""
    rows = await sql.fetch("""
        SELECT table_name || '.' || column_name AS name, collation_name
        FROM information_schema.columns
        WHERE table_schema = 'public'
          AND table_name ~ '^(event|attempt|delivery|event_identity|rendered)$'
          AND (column_name IN ('event_id', 'waits_for') OR (table_name, column_name) = ('event', 'id'))
    """)

    found = {row["name"]: row["collation_name"] for row in rows}

    assert {"event.id", "attempt.event_id", "delivery.event_id", "delivery.waits_for"} <= found.keys()
    assert set(found.values()) == {"C"}


@pytest.fixture
async def another_user(sql: Connection, database: str) -> AsyncIterator[str]:
    """The URL for a user that may read and write all tables, and owns none; the user's name is in it."""
    name = f"runner_{database.rpartition('_')[2]}"
    await sql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'a-test'")
    await sql.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
    place = urlsplit(database)
    yield place._replace(netloc=f"{name}:a-test@{place.hostname}:{place.port}").geturl()
    await sql.execute(f"DROP OWNED BY {name}")
    await sql.execute(f"DROP ROLE {name}")


async def test_a_user_that_may_make_no_partitions_is_refused_at_start(another_user: str, store: Database) -> None:
    runner = await Database.connect(another_user, size=2)

    await migrate.check(store)
    with pytest.raises(Refused, match=r"table attempt is .*: run as the user that migrated"):
        await migrate.check(runner)

    await runner.close()


async def test_a_member_of_the_user_that_migrated_makes_partitions(
    another_user: str, sql: Connection, store: Database, now: dt.datetime
) -> None:
    await sql.execute(f"GRANT {await sql.fetchval('SELECT current_user')} TO {urlsplit(another_user).username}")
    runner = await Database.connect(another_user, size=2)

    await migrate.check(runner)

    assert await retention.make(runner, now=now + 7 * DAY, kept_from=now) != []
    assert len(await names(store)) == 4
    await runner.close()
