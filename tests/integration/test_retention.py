"""Partitions and retention on a real Postgres: what is over goes, what is not stays, and nobody waits for it."""

import asyncio
import dataclasses
import datetime as dt
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from ulid import ULID

from consumer import clock
from consumer.decide.model import UNSEEN, Document
from consumer.errors import Refused
from consumer.metrics import Metrics
from consumer.retention import Retention
from consumer.store import migrate, outbox, queries, retention
from consumer.store.database import Database
from consumer.store.intervals import Interval, containing
from consumer.store.memory import EntitlementKey, Memory
from consumer.store.outbox import Change, Result
from consumer.store.retention import Outcome, Partition, Removable

DAY = dt.timedelta(days=1)
KEEP = 90 * DAY
Connection = asyncpg.Connection


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database, size=8)
    await migrate.migrate(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def sql(store: Database, database: str) -> AsyncIterator[Connection]:  # noqa: ARG001 - migrated
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture
async def now(store: Database) -> dt.datetime:
    return await store.now()


def duty(store: Database, metrics: Metrics | None = None, keep: dt.timedelta = KEEP) -> Retention:
    return Retention(store, metrics or Metrics(), keep=keep, longest_round=3 * DAY)


async def partition_of(sql: Connection, table: str, interval: Interval) -> None:
    """Give *table* the partition that it would have, had the service run then."""
    bounds = (table, interval.name, interval.from_id, interval.to_id)
    await sql.execute("SELECT make_partition($1, $2, $3, $4, 1000000, false)", *bounds)


async def make_event(
    sql: Connection,
    at: dt.datetime,
    *,
    created_at: dt.datetime | None = None,
    ended_at: dt.datetime | None = None,
    is_open: bool = False,
    payload: bytes = b"{}",
) -> str:
    """An event whose id is of *at*, with an attempt and its delivery, where that is open or has ended."""
    id_ = str(ULID.from_datetime(at))
    await sql.execute(
        """INSERT INTO event (id, namespace, rule_id, type, action, payload, occurred_at, recorded_at, created_at)
           VALUES ($1, 'default', 'r', 't', 'triggered', $3, $2, $2, $2)""",
        id_,
        created_at or at,
        payload,
    )
    if ended_at or is_open:
        delivery = await sql.fetchval(
            """INSERT INTO delivery (event_id, channel_id, namespace, state, due_at, ended_at)
               VALUES ($1, 'c', 'default', $2, $3, $4) RETURNING id""",
            id_,
            "PENDING" if is_open else "SUCCESS",
            at if is_open else None,
            ended_at,
        )
        await sql.execute(
            "INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, duration_ms, detail, body)"
            " VALUES ($1, $2, 1, $3, 'status', 1, '', '')",
            id_,
            delivery,
            at,
        )
        await sql.execute("INSERT INTO rendered (event_id, format, body) VALUES ($1, 'flat', '{}')", id_)
    return id_


async def where(sql: Connection, table: str = "event") -> dict[str, int]:
    """How many rows each partition has."""
    rows = await sql.fetch(f"SELECT tableoid::regclass::text AS t, count(*) AS n FROM {table} GROUP BY 1")  # noqa: S608
    return {row["t"]: row["n"] for row in rows}


async def count(sql: Connection, table: str) -> int:
    return int(await sql.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608


async def names(store: Database, table: str = "event") -> list[str]:
    return [one.name for one in (await retention.partitions(store))[table]]


async def old_week(sql: Connection, at: dt.datetime) -> Interval:
    interval = containing(at)
    for table in retention.TABLES:
        await partition_of(sql, table, interval)
    return interval


# --- ahead ---------------------------------------------------------------------------------------------------------


async def test_a_fresh_database_has_partitions_for_this_week_and_the_next_two(
    store: Database, now: dt.datetime
) -> None:
    ahead = [containing(now).next(n).name for n in range(3)]

    assert await retention.partitions(store) == {
        table: [containing(now).next(n) for n in range(3)] for table in retention.TABLES
    }
    assert await names(store) == ahead


async def test_an_event_and_its_attempts_are_written_into_their_weeks_partition(
    sql: Connection, now: dt.datetime
) -> None:
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

    assert made == [Partition("event", week, Outcome.MADE)]
    assert again == []


async def test_rows_that_nobody_had_made_a_partition_for_move_into_theirs(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    """The service was down for a month, then something wrote before anything else."""
    weeks = [containing(now), containing(now - 20 * DAY)]
    for table in retention.TABLES:
        await sql.execute(f"DROP TABLE {table}_{weeks[0].name}")
    written = [await make_event(sql, at, is_open=True) for at in (now, now - 20 * DAY)]
    assert await where(sql) == {"event_default": 2}

    made = await retention.make(store, now=now, kept_from=now - KEEP)

    assert made == [Partition(table, week, Outcome.MADE, 1) for week in weeks for table in retention.TABLES]
    for table in retention.TABLES:
        assert await where(sql, table) == {f"{table}_{week.name}": 1 for week in weeks}
    assert {row["id"] for row in await sql.fetch("SELECT id FROM event")} == set(written)


async def test_a_wrong_clocks_events_wait_in_the_default_partition_and_are_in_nobodys_way(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    for at in (dt.datetime(1971, 1, 1, tzinfo=dt.UTC), dt.datetime(2106, 1, 1, tzinfo=dt.UTC)):
        await make_event(sql, at, created_at=now, is_open=True)
    await sql.execute(f"DROP TABLE event_{containing(now).name}")

    await duty(store).once()

    assert await where(sql) == {"event_default": 2}
    assert await names(store) == [containing(now).next(n).name for n in range(3)]


async def test_more_rows_than_may_move_at_once_stay_where_they_are_and_later_weeks_are_made(
    store: Database, sql: Connection, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_MOVED", 2)
    for n in range(3):
        await sql.execute(f"DROP TABLE event_{containing(now).next(n).name}")
    for _ in range(3):
        await make_event(sql, now, is_open=True)

    made = await retention.make(store, now=now, kept_from=now - KEEP)

    outcomes = [Outcome.TOO_MANY, Outcome.MADE, Outcome.MADE]
    assert [one.outcome for one in made] == outcomes
    assert await where(sql) == {"event_default": 3}


@pytest.mark.usefixtures("store")
async def test_ids_of_events_compare_by_bytes_in_every_table_whatever_the_databases_collation(sql: Connection) -> None:
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


async def test_a_user_that_may_make_no_partitions_is_told_at_the_start(another_user: str, store: Database) -> None:
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


# --- away ----------------------------------------------------------------------------------------------------------


async def test_what_is_over_goes_as_a_whole_with_attempts_and_deliveries(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    at = now - 120 * DAY
    week = await old_week(sql, at)
    await make_event(sql, at, ended_at=at + DAY)
    young = await make_event(sql, now - KEEP + 2 * DAY, ended_at=now - KEEP + 3 * DAY)
    metrics = Metrics()

    await duty(store, metrics).once()

    assert [row["id"] for row in await sql.fetch("SELECT id FROM event")] == [young]
    assert [row["event_id"] for row in await sql.fetch("SELECT event_id FROM delivery")] == [young]
    assert [row["event_id"] for row in await sql.fetch("SELECT event_id FROM attempt")] == [young]
    assert week.name not in await names(store)
    assert week.name not in await names(store, "attempt")
    assert metrics.registry.get_sample_value("tollbell_retention_removed_total", {"what": "partition"}) == 3
    assert metrics.registry.get_sample_value("tollbell_retention_removed_total", {"what": "delivery"}) == 1
    assert metrics.registry.get_sample_value("tollbell_retention_partitions_ahead") == 2
    oldest = metrics.registry.get_sample_value("tollbell_retention_oldest_partition_age_seconds")
    assert oldest is not None
    assert oldest < (KEEP + 7 * DAY).total_seconds()


async def test_nothing_is_dropped_before_its_whole_week_is_older_than_the_retention(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    week = await old_week(sql, now - 120 * DAY)
    keep = now - week.end

    await duty(store, keep=keep + dt.timedelta(minutes=5)).once()
    before = await names(store)
    await duty(store, keep=keep - dt.timedelta(minutes=5)).once()

    assert week.name in before
    assert week.name not in await names(store)


async def test_an_open_delivery_keeps_its_week_until_a_retention_after_it_has_ended(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    at = now - 120 * DAY
    week = await old_week(sql, at)
    await make_event(sql, at, is_open=True)
    await make_event(sql, at, ended_at=at)

    while_open = await retention.drop(store, week, over_by=now - KEEP)
    await sql.execute("UPDATE delivery SET due_at = NULL, state = 'SUCCESS', ended_at = $1 WHERE ended_at IS NULL", now)
    just_ended = await retention.drop(store, week, over_by=now - KEEP)
    rows = await count(sql, "event"), await count(sql, "delivery"), await count(sql, "attempt")
    in_time = await retention.drop(store, week, over_by=now)

    assert while_open == just_ended == [Partition("event", week, Outcome.KEPT)]
    assert rows == (2, 2, 2)
    assert in_time == [
        Partition("event", week, Outcome.DROPPED, 2),
        Partition("attempt", week, Outcome.DROPPED),
        Partition("rendered", week, Outcome.DROPPED),
    ]
    assert await count(sql, "delivery") == 0


async def test_an_old_event_that_was_resent_yesterday_keeps_its_week(
    store: Database, sql: Connection, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEEPER_STEP", 2)  # found in the third step
    at = now - 120 * DAY
    week = await old_week(sql, at)
    for n in range(6):
        moment = at + dt.timedelta(seconds=n)
        await make_event(sql, moment, ended_at=now - DAY if n == 5 else moment)

    await duty(store).once()

    assert week.name in await names(store)
    assert await count(sql, "delivery") == await count(sql, "attempt") == 6


async def test_an_event_of_a_slow_clock_is_kept_by_when_it_was_really_made(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    at = now - 120 * DAY
    week = await old_week(sql, at)
    await make_event(sql, at, created_at=now - DAY)

    await duty(store).once()

    assert week.name in await names(store)


async def test_a_delivery_made_after_the_look_is_seen_under_the_lock(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    at = now - 120 * DAY
    week = await old_week(sql, at)
    await make_event(sql, at, is_open=True)

    row = await store.row(
        "retention/drop_partition", parent="event", suffix=week.name, from_id=week.from_id, to_id=week.to_id
    )

    assert row is not None
    assert row["result"] == "kept"


async def test_processes_that_do_the_duty_at_once_do_it_once(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    metrics = [Metrics() for _ in range(6)]
    for n in range(4):
        at = now - (120 + 7 * n) * DAY
        await old_week(sql, at)
        for second in range(20):
            await make_event(sql, at + dt.timedelta(seconds=second), ended_at=at)

    await asyncio.gather(*(duty(store, one).once() for one in metrics))
    await duty(store, metrics[0]).once()  # a turn that was another's is left for the next time

    removed = [m.registry.get_sample_value("tollbell_retention_removed_total", {"what": "partition"}) for m in metrics]
    assert sum(one or 0 for one in removed) == 4 * len(retention.TABLES)
    assert await names(store) == [containing(now).next(n).name for n in range(3)]
    assert await count(sql, "delivery") == await count(sql, "event") == 0


async def test_a_reader_delays_the_drop_and_nobody_else(
    store: Database, sql: Connection, database: str, now: dt.datetime
) -> None:
    week = await old_week(sql, now - 120 * DAY)
    reader = await asyncpg.connect(database)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT count(*) FROM event")
    stop = asyncio.Event()
    waits: list[float] = []

    async def write() -> None:
        while not stop.is_set():
            at = clock.monotonic()
            await make_event(sql, now, is_open=True)
            waits.append(clock.monotonic() - at)

    writing = asyncio.create_task(write())
    held = await retention.drop(store, week, over_by=now - KEEP)
    stop.set()
    await writing
    await reading.rollback()
    released = await retention.drop(store, week, over_by=now - KEEP)

    assert held == [Partition("event", week, Outcome.BUSY)]
    assert max(waits) < 2
    assert [one.outcome for one in released] == [Outcome.DROPPED] * len(retention.TABLES)
    await reader.close()


async def test_a_writer_in_the_default_partition_delays_making_one_and_nothing_is_lost(
    store: Database, sql: Connection, database: str, now: dt.datetime
) -> None:
    await sql.execute(f"DROP TABLE event_{containing(now).name}")
    writer = await asyncpg.connect(database)
    writing = writer.transaction()
    await writing.start()
    await make_event(writer, now)

    held = await retention.make(store, now=now, kept_from=now)
    await writing.commit()
    released = await retention.make(store, now=now, kept_from=now)

    assert [one.outcome for one in held] == [Outcome.BUSY]
    assert [(one.outcome, one.rows) for one in released] == [(Outcome.MADE, 1)]
    assert await where(sql) == {f"event_{containing(now).name}": 1}
    await writer.close()


async def test_what_a_wrong_clock_left_in_the_default_partition_goes_once_it_is_over(
    store: Database, sql: Connection, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 2)  # several steps
    future = dt.datetime(2106, 1, 1, tzinfo=dt.UTC)
    long_ago = now - 120 * DAY
    for _ in range(5):
        await make_event(sql, future, created_at=long_ago, ended_at=long_ago)
    kept = [
        await make_event(sql, future, created_at=long_ago, is_open=True),
        await make_event(sql, future, created_at=long_ago, ended_at=now - DAY),
        await make_event(sql, future, created_at=now),
    ]

    await duty(store).once()

    assert {row["id"] for row in await sql.fetch("SELECT id FROM event")} == set(kept)
    assert await count(sql, "delivery") == await count(sql, "attempt") == 2


# --- rows ----------------------------------------------------------------------------------------------------------


async def make_entitlement(sql: Connection, id_: str, period_to: dt.datetime, *, ended: bool = True) -> None:
    await sql.execute(
        """INSERT INTO entitlement (namespace, id, version, period_from, period_to, shown_at, ended, about, marks)
           VALUES ('default', $1, 1, $2, $3, $2, $4, '{}', '{}')""",
        id_,
        period_to - 30 * DAY,
        period_to,
        ended,
    )


async def remaining(sql: Connection, table: str) -> list[str]:
    return [row["id"] for row in await sql.fetch(f"SELECT id FROM {table} ORDER BY id")]  # noqa: S608


async def test_entitlements_go_a_retention_after_their_periods_end_and_not_before_the_clock_has_ended_it(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    await make_entitlement(sql, "a-over", now - KEEP - DAY)
    await make_entitlement(sql, "b-young", now - KEEP + DAY)
    await make_entitlement(sql, "c-current", now + DAY, ended=False)
    await make_entitlement(sql, "d-to-be-ended", now - KEEP - DAY, ended=False)

    await duty(store).once()

    assert await remaining(sql, "entitlement") == ["b-young", "c-current", "d-to-be-ended"]


async def test_a_document_that_a_process_remembers_and_that_is_gone_is_changed_and_begun_anew(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    key = EntitlementKey("default", "ent-1")
    await make_entitlement(sql, "ent-1", now - KEEP - DAY)
    memory = Memory(store, limit=10)
    memory.remember(await memory.load([key]))
    await duty(store).once()
    remembered = (await memory.load([key]))[key]
    period = {"period_from": now, "period_to": now + DAY}
    rolled = dataclasses.replace(remembered, **period)

    (result,) = await outbox.write(store, [Change(key, rolled, b"{}", ())])
    memory.forget([key])
    reloaded = (await memory.load([key]))[key]
    (again,) = await outbox.write(store, [Change(key, dataclasses.replace(reloaded, **period), b"{}", ())])

    assert remembered.version == 1
    assert result.result is Result.CHANGED
    assert isinstance(reloaded, Document)
    assert reloaded == UNSEEN
    assert again.result is Result.WRITTEN
    assert await remaining(sql, "entitlement") == ["ent-1"]


async def test_a_document_that_a_writer_holds_is_left_to_it(
    store: Database, sql: Connection, database: str, now: dt.datetime
) -> None:
    await make_entitlement(sql, "ent-1", now - KEEP - DAY)
    writer = await asyncpg.connect(database)
    async with writer.transaction():
        await writer.execute("UPDATE entitlement SET period_to = $1", now + DAY)
        await duty(store).once()
    await writer.close()

    await duty(store).once()

    assert await remaining(sql, "entitlement") == ["ent-1"]


async def test_invoices_go_a_retention_after_they_were_written(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    for id_, at in (("a-over", now - KEEP - DAY), ("b-young", now - KEEP + DAY)):
        await sql.execute("INSERT INTO invoice VALUES ('default', $1, 1, 'issued', $2, $2)", id_, at)

    await duty(store).once()

    assert await remaining(sql, "invoice") == ["b-young"]


@pytest.mark.parametrize(
    ("topics", "oldest_left"),
    [
        ({}, 200),  # nobody has asked Kafka yet
        ({"usage": 7 * DAY, "resets": None}, 200),  # one topic keeps its records for ever
        ({"usage": 7 * DAY}, 80),  # the retention is longer
        ({"usage": 7 * DAY, "resets": 120 * DAY}, 110),  # a topic's is longer
    ],
)
async def test_identities_outlive_the_retention_and_every_record_that_may_come_again(
    store: Database, sql: Connection, now: dt.datetime, topics: dict[str, dt.timedelta | None], oldest_left: int
) -> None:
    for days in (0, 80, 110, 200):
        await sql.execute("INSERT INTO event_identity VALUES ($1, 'e', $2)", bytes([days]) * 32, now - days * DAY)
    if topics:
        await retention.remember_topics(store, topics)

    await duty(store).once()

    oldest = await sql.fetchval("SELECT min(created_at) FROM event_identity")
    assert (now - oldest).days == oldest_left


async def test_identities_outlive_the_longest_round_of_deliveries(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    await sql.execute("INSERT INTO event_identity VALUES ($1, 'e', $2)", b"i" * 32, now - 2 * DAY)
    await retention.remember_topics(store, {"usage": dt.timedelta(hours=1)})

    await duty(store, keep=DAY).once()

    assert await count(sql, "event_identity") == 1


async def test_a_topic_that_nobody_has_read_for_a_retention_counts_no_more(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    await sql.execute("INSERT INTO event_identity VALUES ($1, 'e', $2)", b"i" * 32, now - 200 * DAY)
    await sql.execute("INSERT INTO topic_retention VALUES ('once', NULL, $1)", now - 91 * DAY)
    await retention.remember_topics(store, {"usage": 7 * DAY})

    await duty(store).once()

    assert await count(sql, "event_identity") == 0


async def test_a_removal_takes_no_more_rows_than_a_step_and_goes_on_behind_it(
    store: Database, sql: Connection, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 3)
    for n in range(7):
        await make_entitlement(sql, f"e{n}", now - KEEP - (10 - n) * DAY)

    after, steps = None, []
    for _ in range(3):
        step = await retention.remove(store, Removable.ENTITLEMENTS, over_by=now - KEEP, after=after)
        steps.append((step.removed, step.is_last, await remaining(sql, "entitlement")))
        after = step.after

    assert steps == [(3, False, ["e3", "e4", "e5", "e6"]), (3, False, ["e6"]), (1, True, [])]


# --- plans ---------------------------------------------------------------------------------------------------------


async def plan(sql: Connection, name: str, **given: object) -> list[dict[str, Any]]:
    """The nodes of the generic plan, as the service has it, run."""
    await sql.execute("SET plan_cache_mode = force_generic_plan")
    query = queries.load(name)
    explained = await sql.prepare(query.sql)
    text = await explained.explain(*query.arguments(given), analyze=True)
    return list(nodes(text[0]["Plan"] if isinstance(text, list) else json.loads(text)[0]["Plan"]))


def nodes(node: dict[str, Any]) -> Any:
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def scanned(found: list[dict[str, Any]], table: str) -> set[tuple[str, str]]:
    """Which partitions of *table* were looked into, and how."""
    return {
        (one["Relation Name"], one.get("Index Name", one["Node Type"]))
        for one in found
        if one.get("Relation Name", "").startswith(f"{table}_2") and one["Actual Loops"] > 0
    }


@pytest.fixture
async def many(sql: Connection, now: dt.datetime) -> dt.datetime:
    """Sixteen weeks of events, ended but for the newest."""
    for n in range(16):
        await old_week(sql, now - n * 7 * DAY)
    for n in range(16 * 67):
        at = now - n * dt.timedelta(hours=2.5)
        await make_event(sql, at, ended_at=None if n < 5 else at, is_open=n < 5, payload=b"x" * 1900)
    for n in range(100):
        await make_event(sql, now - n * dt.timedelta(seconds=1), ended_at=now, payload=b"x" * 1900)
    await sql.execute("""
        INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
        VALUES ('c', 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1/', 'openmeter', '');
        INSERT INTO channel_pace (channel_id) VALUES ('c')
    """)
    await sql.execute("VACUUM ANALYZE")
    return now


async def test_a_claim_finds_each_event_in_one_partition_and_its_deliveries_by_the_partial_index(
    sql: Connection, many: dt.datetime
) -> None:
    given = {"channels": ["c"], "free": [3], "lease": dt.timedelta(seconds=30), "free_interruptions": 5}
    given["burst_seconds"] = 0.1

    found = await plan(sql, "deliveries/claim", **given)

    week = containing(many).name
    looked = scanned(found, "event")
    assert "event_" + week in {table for table, _ in looked}
    assert all(index != "Seq Scan" for _, index in looked)
    assert len(looked) <= 2  # three claims of the last hours, maybe over a Monday
    assert "delivery_due" in {one.get("Index Name") for one in found}


@pytest.mark.usefixtures("many")
async def test_an_event_is_looked_up_in_one_partition(sql: Connection, now: dt.datetime) -> None:
    id_ = await sql.fetchval("SELECT max(id) FROM event WHERE id < $1", containing(now).from_id)
    await sql.execute("SET plan_cache_mode = force_generic_plan")

    found = await sql.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT payload FROM event WHERE id = '{id_}'")  # noqa: S608

    week = containing(now).next(-1).name
    [(table, how)] = scanned(list(nodes(json.loads(found)[0]["Plan"])), "event")
    assert table == f"event_{week}"
    assert how != "Seq Scan"


async def test_what_must_be_kept_is_looked_for_in_one_partition(sql: Connection, many: dt.datetime) -> None:
    week = containing(many - 60 * DAY)

    found = await plan(
        sql, "retention/keeper", from_id=week.from_id, to_id=week.to_id, over_by=many - 50 * DAY, limit=10
    )

    assert scanned(found, "event") == {(f"event_{week.name}", f"event_{week.name}_pkey")}
    assert "delivery_once_for_each_channel" in {one.get("Index Name") for one in found}


async def test_removals_use_their_indexes(sql: Connection, now: dt.datetime) -> None:
    await sql.execute("""
        INSERT INTO entitlement (namespace, id, version, period_from, period_to, shown_at, ended, about, marks)
        SELECT 'default', n, 1, t - interval '1 d', t, t - interval '1 d', n % 10 = 0, '{}', '{}'
        FROM generate_series(1, 20000) n, LATERAL (SELECT now() - n * interval '10 min' AS t) s;
        INSERT INTO invoice SELECT 'default', n, 1, 'issued', now(), now() - n * interval '10 min'
        FROM generate_series(1, 20000) n;
        INSERT INTO event_identity SELECT sha256(n::text::bytea), n, now() - n * interval '10 min'
        FROM generate_series(1, 20000) n;
        INSERT INTO delivery (event_id, channel_id, namespace, state, ended_at)
        SELECT '01' || n, 'c', 'default', 'SUCCESS', now() - n * interval '10 min' FROM generate_series(10000, 30000) n;
        ANALYZE;
    """)
    given = {"over_by": now - KEEP, "after": None, "limit": 100}

    indexes = {
        name: {one.get("Index Name") for one in await plan(sql, f"retention/{name}", **arguments)}
        for name, arguments in {
            "remove_entitlements": given,
            "remove_invoices": given,
            "remove_identities": given,
            "remove_deliveries": {"from_id": "0115", "to_id": "0116", "over_by": now, "limit": 100},
        }.items()
    }

    assert "entitlement_over" in indexes["remove_entitlements"]
    assert "invoice_by_age" in indexes["remove_invoices"]
    assert "event_identity_by_age" in indexes["remove_identities"]
    assert "delivery_once_for_each_channel" in indexes["remove_deliveries"]
