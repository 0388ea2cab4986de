"""Many events with a delivery and an attempt each, as a service has them that has run for weeks: made by the server."""

import datetime as dt

import asyncpg

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN
from consumer.decide.payloads import payload
from consumer.store import retention
from consumer.store.intervals import Interval, containing, lowest_id
from schemas.parse import parse
from tests.support.factories import make_rule, openmeter_record

WEEKS = 12
STEP = 50_000  # events of one statement
# What an event is about follows from its number, with periods that have no divisor in common.
EVENTS = """
    INSERT INTO event (id, namespace, rule_id, type, action, entitlement_id, subject_key, feature_id, feature_key,
                       customer_id, customer_key, payload, occurred_at, recorded_at, created_at)
    SELECT e.id, 'default', CASE n % 50 WHEN 0 THEN $3 ELSE 'rule-' || n % 50 END,
           CASE n % 9 WHEN 0 THEN 'entitlements.reset' ELSE 'entitlements.balance.threshold' END, 'triggered',
           'e' || n % 997, 'subject-' || n % 49, 'f-' || n % 47, 'feature-' || n % 47, 'c-' || n % 43,
           'customer-' || n % 43, convert_to(format($4, e.id, 'feature-' || n % 47, 'subject-' || n % 49), 'UTF8'),
           e.at, e.at, e.at
    FROM (SELECT u.id, u.at, right(u.id, 16)::bigint AS n FROM unnest($1::text[], $2::timestamptz[]) AS u (id, at)) e
"""
CHANNELS = """
    INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
    SELECT 'c' || n, 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1/', 'openmeter', ''
    FROM generate_series(0, 40) n
"""
DELIVERIES = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, attempts, due_at, ended_at, created_at)
    SELECT e.id, CASE n % 41 WHEN 7 THEN $1 ELSE 'c' || n % 41 END, 'default',
           CASE n % 99 WHEN 7 THEN 'FAILED' WHEN 8 THEN 'PENDING' ELSE 'SUCCESS' END, 1,
           CASE n % 99 WHEN 8 THEN e.created_at END, CASE n % 99 WHEN 8 THEN NULL ELSE e.created_at END, e.created_at
    FROM (SELECT id, created_at, right(id, 16)::bigint AS n FROM event) e
"""
ATTEMPTS = """
    INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, status, duration_ms, detail, body)
    SELECT event_id, id, 1, created_at, 'status', 200, 12, '', 'ok' FROM delivery
"""


def template() -> str:
    """Return a payload as the service makes it of OpenMeter's record: for `format`, of event, feature and subject."""
    source = parse(openmeter_record(), {}, latest=dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
    occurrence = judge([make_rule(percents=[80], features=["llm_tokens"])], source, UNSEEN).occurrences[0]
    made = payload(occurrence, "@event@").decode().replace("%", "%%")
    for name, place in (("@event@", "%1$s"), ("llm_tokens", "%2$s"), ("acme-prod", "%3$s")):
        made = made.replace(name, place)
    return made


def ids(count: int, until: dt.datetime) -> tuple[list[str], list[dt.datetime]]:
    """Return *count* ids, evenly over the weeks before *until*, and their times. An id ends with its number."""
    step = dt.timedelta(weeks=WEEKS) / count
    times = [until - dt.timedelta(weeks=WEEKS) + n * step for n in range(count)]
    return [f"{lowest_id(at)[:10]}{n:016d}" for n, at in enumerate(times)], times


async def fill(
    connection: asyncpg.Connection,
    count: int,
    until: dt.datetime,
    *,
    rule: str,
    channel: str,
    payload: str | None = None,
) -> list[str]:
    """Fill the tables; return the events' ids, oldest first. A fiftieth is *rule*'s, one of 41 went to *channel*.

    Without a *payload* of their own, payloads are as large as the service's.
    """
    for n in range(WEEKS + 1):
        for table in retention.TABLES:
            await _partition(connection, table, containing(until).next(-n))
    made, times = ids(count, until)
    for start in range(0, count, STEP):
        part = slice(start, start + STEP)
        await connection.execute(EVENTS, made[part], times[part], rule, payload or template(), timeout=600)
    await connection.execute(CHANNELS)
    await connection.execute(DELIVERIES, channel, timeout=600)
    await connection.execute(ATTEMPTS, timeout=600)
    await connection.execute("VACUUM ANALYZE", timeout=600)
    return made


async def _partition(connection: asyncpg.Connection, table: str, interval: Interval) -> None:
    bounds = (table, interval.name, interval.from_id, interval.to_id)
    await connection.execute("SELECT make_partition($1, $2, $3, $4, 10000, false)", *bounds)
