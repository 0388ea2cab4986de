"""What is due, what has been, and who is known: made by the server. Events are of the namespace `default`."""

import datetime as dt
import json

import asyncpg

from consumer import clock
from consumer.store import retention
from consumer.store.intervals import containing, lowest_id

WEEKS = 12
STEP = 50_000  # events of one statement
PAYLOAD = json.dumps({"data": {"text": "x" * 180}}).encode()
EVENTS = """
    INSERT INTO event (id, namespace, rule_id, type, action, entitlement_id, subject_key, feature_id, feature_key,
                       customer_id, customer_key, payload, occurred_at, recorded_at, created_at)
    SELECT e.id, 'default', ($3::text[])[n % cardinality($3::text[]) + 1],
           CASE n % 9 WHEN 0 THEN 'entitlements.reset' ELSE 'entitlements.balance.threshold' END, 'triggered',
           'e' || n % 997, 'subject-' || n % 49, 'f-' || n % 47, 'feature-' || n % 47, 'c-' || n % 43,
           'customer-' || n % 43, $4, e.at, e.at, e.at
    FROM (SELECT u.id, u.at, right(u.id, 16)::bigint AS n FROM unnest($1::text[], $2::timestamptz[]) AS u (id, at)) e
"""
ENDED = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, attempts, ended_at, created_at)
    SELECT e.id, ($3::text[])[e.n % cardinality($3::text[]) + 1], 'default',
           CASE e.n % 99 WHEN 7 THEN 'FAILED' ELSE 'SUCCESS' END, 1, e.at, e.at
    FROM (SELECT u.id, u.at, right(u.id, 16)::bigint AS n FROM unnest($1::text[], $2::timestamptz[]) AS u (id, at)) e
"""
ATTEMPTS = """
    INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, status, duration_ms, detail, body)
    SELECT d.event_id, d.id, 1, d.created_at, 'status', 200, 12, '', 'ok'
    FROM delivery d
    WHERE d.event_id = ANY ($1)
"""
DUE = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
    SELECT e.id, ($2::text[])[right(e.id, 16)::bigint % cardinality($2::text[]) + 1], 'default', 'PENDING',
           clock_timestamp()
    FROM unnest($1::text[]) AS e (id)
"""
END_ALL = """
    UPDATE delivery
    SET state = 'SUCCESS', due_at = NULL, token = NULL, ended_at = clock_timestamp(), attempts = 1
    WHERE due_at IS NOT NULL
"""
REMOVALS = (
    "DELETE FROM attempt WHERE event_id = ANY ($1)",
    "DELETE FROM delivery WHERE event_id = ANY ($1)",
    "DELETE FROM event WHERE id = ANY ($1)",
)
COPIES = """
    INSERT INTO entitlement (namespace, id, version, period_from, period_to, about, marks)
    SELECT e.namespace, 'ent-' || n, e.version, e.period_from, e.period_to,
           replace(e.about::text, '"' || e.id || '"', '"ent-' || n || '"')::json, e.marks
    FROM generate_series($1::int, $2::int - 1) n
    JOIN entitlement e ON e.id = 'ent-' || n % $1
"""
INDEXES = """
    SELECT c.relname AS name, replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') AS made_by
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid IN ('event'::regclass, 'delivery'::regclass, 'attempt'::regclass)
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
    ORDER BY c.relname
"""


async def due(connection: asyncpg.Connection, channels: list[str], count: int, rule: str) -> list[str]:
    """End what is due, and make *count* deliveries due now to *channels*; return their events, of *rule*."""
    now = clock.now()
    ids = [f"{lowest_id(now)[:10]}{n:016d}" for n in range(count)]
    await connection.execute(END_ALL, timeout=600)
    await connection.execute(EVENTS, ids, [now] * count, [rule], PAYLOAD)
    await connection.execute(DUE, ids, channels)
    await connection.execute("VACUUM ANALYZE", timeout=1200)
    return ids


async def remove(connection: asyncpg.Connection, ids: list[str]) -> None:
    """Remove events *ids* with all that is theirs: they are no part of the history."""
    for statement in REMOVALS:
        await connection.execute(statement, ids, timeout=600)


async def entitlements(connection: asyncpg.Connection, begin: int, until: int) -> None:
    """Add copies of the *begin* entitlements that the service has seen, up to *until*."""
    await connection.execute(COPIES, begin, until, timeout=600)
    await connection.execute("VACUUM ANALYZE entitlement", timeout=600)


async def history(
    connection: asyncpg.Connection, begin: int, until: int, rules: list[str], channels: list[str]
) -> None:
    """Fill in the events numbered *begin* to *until*, each with a delivery and an attempt, evenly over twelve weeks.

    They are of *rules* and *channels* in turn. Indexes are dropped, and created again afterwards: that is quicker.
    """
    now = clock.now()
    for n in range(WEEKS + 1):
        interval = containing(now).next(-n)
        for table in retention.TABLES:
            bounds = (table, interval.name, interval.from_id, interval.to_id)
            await connection.execute("SELECT make_partition($1, $2, $3, $4, 10000, false)", *bounds)
    await connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
    indexes = await connection.fetch(INDEXES)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    span = dt.timedelta(weeks=WEEKS)
    for first in range(begin, until, STEP):
        numbers = range(first, min(first + STEP, until))
        times = [now - span + (n - begin) * span / (until - begin) for n in numbers]
        ids = [f"{lowest_id(at)[:10]}{n:016d}" for n, at in zip(numbers, times, strict=True)]
        await connection.execute(EVENTS, ids, times, rules, PAYLOAD, timeout=600)
        await connection.execute(ENDED, ids, times, channels, timeout=600)
        await connection.execute(ATTEMPTS, ids, timeout=600)
    for index in indexes:
        await connection.execute(index["made_by"], timeout=1200)
    await connection.execute("VACUUM ANALYZE", timeout=1200)
