"""What a page of events costs among a million: `make bench-api`.

Starts a Postgres and a `tollbell run --only serve`, fills a million events with a delivery and an attempt each over
twelve weeks, and asks over HTTP: each filter's first and hundredth page of 100, beside reading one event by its id.
Prints a table of medians, in milliseconds, and the ratio to that read, interleaved; and a JSON line at the end.
"""

import asyncio
import datetime as dt
import json
import statistics
import sys
from pathlib import Path

import asyncpg

from consumer import clock, encryption
from consumer.servers import account, choose
from consumer.store import migrate, retention
from consumer.store.database import Database
from consumer.store.intervals import containing, lowest_id
from tests.api import Api, talking
from tests.service import Deployment

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
ROUNDS = 7
WEEKS = 12
PAYLOAD = b'{"id":"x","type":"entitlements.balance.threshold","timestamp":"2026-11-22T10:15:30Z","data":{"action":"x"}}'
FILTERS = (
    "", "order=DESC", "rule={rule}", "rule={rule}&order=DESC", "type=entitlements.balance.threshold",
    "subject=subject-7",
    "feature=feature-7", "customer=customer-7", "channel={channel}", "state=SUCCESS", "state=FAILED", "state=PENDING",
    "from=2026-01-01T00:00:00Z", "rule={rule}&subject=subject-7", "channel={channel}&state=FAILED",
)  # fmt: skip


OF_EVENT = ["id", "namespace", "rule_id", "type", "action", "entitlement_id", "subject_key", "feature_key",
            "customer_id", "payload", "occurred_at", "recorded_at", "created_at"]  # fmt: skip
RULES = """
    INSERT INTO rule (id, namespace, type, name, spec)
    SELECT 'rule-' || n, namespace, type, name, spec FROM rule, generate_series(0, 48) n WHERE id = $1
"""
DELIVERIES = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, attempts, due_at, ended_at, created_at)
    SELECT e.id, CASE WHEN right(e.id, 2)::int % 50 = 7 THEN $1 ELSE 'c' || right(e.id, 2)::int % 50 END, 'default',
           CASE right(e.id, 2)::int WHEN 7 THEN 'FAILED' WHEN 8 THEN 'PENDING' ELSE 'SUCCESS' END, 1,
           CASE right(e.id, 2)::int WHEN 8 THEN e.created_at END,
           CASE right(e.id, 2)::int WHEN 8 THEN NULL ELSE e.created_at END, e.created_at
    FROM event e
"""
ATTEMPTS = """
    INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, status, duration_ms, detail, body)
    SELECT event_id, id, 1, created_at, 'status', 200, 12, '', 'ok' FROM delivery
"""


async def fill(url: str, rule: str, channel: str) -> str:
    """Fill the tables; return an event's id from the middle."""
    now = clock.now()
    database = await Database.connect(url, size=2)
    for n in range(WEEKS + 1):
        for table in retention.TABLES:
            await retention._make(database, table, containing(now).next(-n), only_for_rows=False)
    await database.close()
    connection = await asyncpg.connect(url)
    middle = await fill_events(connection, now, rule)
    await connection.execute(DELIVERIES, channel)
    await connection.execute(ATTEMPTS)
    await connection.execute(RULES, rule)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return middle


async def fill_events(connection: asyncpg.Connection, now: dt.datetime, rule: str) -> str:
    """Fill `event` evenly over the weeks before *now*, a fiftieth of them *rule*'s; return an id from the middle."""
    step = dt.timedelta(weeks=WEEKS) / EVENTS
    times = [now - dt.timedelta(weeks=WEEKS) + n * step for n in range(EVENTS)]
    ids = [f"{lowest_id(at)[:10]}{n:016d}" for n, at in enumerate(times)]
    kind, rules = "entitlements.balance.threshold", [rule, *(f"rule-{n}" for n in range(49))]
    for start in range(0, EVENTS, 100_000):
        part = range(start, min(start + 100_000, EVENTS))
        records = [
            (ids[n], "default", rules[n % 50], kind, "triggered", f"e{n % 997}", f"subject-{n % 50}",
             f"feature-{n % 50}", f"customer-{n % 50}", PAYLOAD, times[n], times[n], times[n])
            for n in part
        ]  # fmt: skip
        await connection.copy_records_to_table("event", records=records, columns=OF_EVENT)
        print(f"{part.stop} of {EVENTS} events", file=sys.stderr)  # noqa: T201 - its progress
    return ids[EVENTS // 2]


async def measure(api: Api, names: dict[str, str]) -> dict[str, dict[str, float]]:
    paths = {"one by its id": f"/events/{names['event']}"}
    for wanted in FILTERS:
        asked = wanted.format(**names)
        for page in (1, 100):
            paths[f"{wanted or 'all'}, page {page}"] = f"/events?{asked}{'&' if asked else ''}page={page}"
    taken: dict[str, list[float]] = {name: [] for name in paths}
    for n in range(ROUNDS + 1):
        for name, path in paths.items():
            at = clock.monotonic()
            status, _ = await api("GET", path)
            assert status == 200, name
            if n:  # the first round fills caches
                taken[name].append((clock.monotonic() - at) * 1000)
        print(f"round {n} of {ROUNDS}", file=sys.stderr)  # noqa: T201 - its progress
    base = statistics.median(taken["one by its id"])
    return {
        name: {"ms": round(statistics.median(ms), 1), "ratio": round(statistics.median(ms) / base, 1)}
        for name, ms in taken.items()
    }


async def main() -> None:
    with account.scratch() as directory, choose.postgres_for_tests(Path(directory), lambda _: None) as server:
        database = await Database.connect(server.url, size=2)
        await migrate.migrate(database)
        await database.close()
        settings = {
            "TOLLBELL_DATABASE_URL": server.url,
            "TOLLBELL_ENCRYPTION_KEYS": encryption.new_key(),
            "TOLLBELL_HTTP_LISTEN": "127.0.0.1:0",
            "TOLLBELL_LOG_FORMAT": "json",
            "TOLLBELL_RETENTION": "730d",
        }
        replica = await Deployment(settings, Path(directory)).replica("--only", "serve")
        async with replica, talking(replica) as api:
            await replica.logged("role.ready")
            _, channel = await api("POST", "/channels", {"type": "WEBHOOK", "name": "c", "url": "https://example.com/"})
            thresholds = [{"type": "usage_percentage", "value": 80}]
            made = {"type": "entitlements.balance.threshold", "name": "r", "channels": [channel["id"]]}
            _, rule = await api("POST", "/rules", made | {"thresholds": thresholds})
            event = await fill(server.url, rule["id"], channel["id"])
            figures = await measure(api, {"event": event, "rule": rule["id"], "channel": channel["id"]})
    for name, figure in figures.items():
        print(f"{name:50} {figure['ms']:8.1f} ms {figure['ratio']:7.1f} x")  # noqa: T201 - its result
    print(json.dumps({"events": EVENTS, **figures}))  # noqa: T201 - likewise


if __name__ == "__main__":
    asyncio.run(main())
