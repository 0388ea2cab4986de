"""Events in weeks of their own, as they would be had the service run then; and the duty of retention."""

import datetime as dt

import asyncpg
from ulid_transform import ulid_at_time

from consumer.metrics import Metrics
from consumer.retention import Retention
from consumer.store import retention
from consumer.store.database import Database
from consumer.store.intervals import Interval, containing

DAY = dt.timedelta(days=1)
KEEP = 90 * DAY
Connection = asyncpg.Connection


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
    id_ = ulid_at_time(at.timestamp())
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
