"""Partitions go, on a real Postgres: what is over goes, what is not stays, and no statement waits for it."""

import asyncio
import datetime as dt

import asyncpg
import pytest

from consumer import clock
from consumer.metrics import Metrics
from consumer.store import retention
from consumer.store.database import Database
from consumer.store.intervals import containing
from consumer.store.retention import PartitionOutcome, TablePartition
from tests.support.partitions import DAY, KEEP, Connection, count, duty, make_event, names, old_week, where


async def test_an_expired_week_goes_with_its_deliveries_and_attempts(
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


async def test_a_week_is_dropped_once_all_of_it_exceeds_the_retention(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    week = await old_week(sql, now - 120 * DAY)
    keep = now - week.end

    await duty(store, keep=keep + dt.timedelta(minutes=5)).once()
    before = await names(store)
    await duty(store, keep=keep - dt.timedelta(minutes=5)).once()

    assert week.name in before
    assert week.name not in await names(store)


async def test_an_open_delivery_keeps_its_week(store: Database, sql: Connection, now: dt.datetime) -> None:
    """It is kept for a retention after it has ended."""
    at = now - 120 * DAY
    week = await old_week(sql, at)
    await make_event(sql, at, is_open=True)
    await make_event(sql, at, ended_at=at)

    while_open = await retention.drop(store, week, over_by=now - KEEP)
    await sql.execute("UPDATE delivery SET due_at = NULL, state = 'SUCCESS', ended_at = $1 WHERE ended_at IS NULL", now)
    just_ended = await retention.drop(store, week, over_by=now - KEEP)
    rows = await count(sql, "event"), await count(sql, "delivery"), await count(sql, "attempt")
    in_time = await retention.drop(store, week, over_by=now)

    assert while_open == just_ended == [TablePartition("event", week, PartitionOutcome.KEPT)]
    assert rows == (2, 2, 2)
    assert in_time == [
        TablePartition("event", week, PartitionOutcome.DROPPED, 2),
        TablePartition("attempt", week, PartitionOutcome.DROPPED),
        TablePartition("rendered", week, PartitionOutcome.DROPPED),
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


async def test_an_event_of_a_slow_clock_is_kept_by_its_real_time(
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


async def test_a_reader_delays_the_drop_and_no_other_statement(
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

    assert held == [TablePartition("event", week, PartitionOutcome.BUSY)]
    assert max(waits) < 2
    assert [one.outcome for one in released] == [PartitionOutcome.DROPPED] * len(retention.TABLES)
    await reader.close()


async def test_a_writer_delays_a_new_partition_and_loses_nothing(
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

    assert [one.outcome for one in held] == [PartitionOutcome.BUSY]
    assert [(one.outcome, one.rows) for one in released] == [(PartitionOutcome.MADE, 1)]
    assert await where(sql) == {f"event_{containing(now).name}": 1}
    await writer.close()


async def test_rows_of_a_wrong_clock_in_the_default_partition_expire(
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
