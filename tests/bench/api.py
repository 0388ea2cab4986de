"""What a page of events costs among a million: `make bench-api`.

Starts a Postgres and a `tollbell run --only serve`, fills a million events with a delivery and an attempt each over
twelve weeks, and asks over HTTP: each filter's first and hundredth page of 100, beside reading one event by its id.
Prints medians, in milliseconds, and the ratio to that read, interleaved; what the statements of the first page read, as
EXPLAIN says it; and a JSON line at the end.
"""

import asyncio
import json
import statistics
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import asyncpg

from consumer import clock, encryption
from consumer.demo.servers import account, choose
from consumer.store import history, migrate
from consumer.store.database import Database
from consumer.store.history import EventFilter
from schemas import times
from tests.support.api import Api, talking
from tests.support.many_events import fill
from tests.support.plans import Explained, ExplainedDatabase, Plan
from tests.support.service import Deployment

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
ROUNDS = 7
ONE = "one by its id"
FILTERS = (
    "", "order=DESC", "cursor={event}", "cursor={event}&order=DESC", "from={middle}", "to={middle}&order=DESC",
    "rule={rule}", "rule={rule}&order=DESC", "rule={rule}&rule=rule-7", "type=entitlements.reset",
    "type=entitlements.reset&type=entitlements.balance.threshold", "subject=subject-7", "feature=feature-7",
    "customer=customer-7", "customer=c-7", "channel={channel}", "channel={channel}&channel=c8", "state=SUCCESS",
    "state=FAILED", "state=PENDING", "state=SENDING", "state=FAILED&state=PENDING", "state=SUCCESS&state=FAILED",
    "rule={rule}&subject=subject-7", "rule={rule}&state=FAILED", "channel={channel}&state=FAILED",
    "channel={channel}&rule={rule}",
)  # fmt: skip
LISTS = {"rule": "rules", "type": "types", "subject": "subjects", "feature": "features", "channel": "channels",
         "state": "states"}  # fmt: skip
STATEMENTS = (
    "history/by_event", "history/by_delivery", "history/sizes", "history/events", "history/deliveries",
    "history/attempts",
)  # fmt: skip
RULES = """
    INSERT INTO rule (id, namespace, type, name, spec)
    SELECT 'rule-' || n, namespace, type, name, spec FROM rule, generate_series(1, 49) n WHERE id = $1
"""


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its result


def shown(path: str, names: dict[str, str]) -> str:
    for name in ("rule", "channel", "event", "middle"):
        path = path.replace(names[name], f"<{name}>")
    return path or "all"


def asked(names: dict[str, str]) -> list[str]:
    return [one.format(**names) for one in FILTERS]


async def measure(api: Api, names: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return what a call takes until its body is there, by what it asks for; that it is right is seen before."""
    paths = {ONE: f"/events/{names['event']}"}
    for query in asked(names):
        joined = f"/events?{query}&" if query else "/events?"
        status, answer = await api("GET", f"{joined}pageSize=3")  # held against the reference's document
        assert (status, len(answer["items"])) == (200, 0 if "SENDING" in query else 3), query
        for page in (1, 100):
            paths[f"{shown(query, names)}, page {page}"] = f"{joined}page={page}"
    taken: dict[str, list[float]] = {name: [] for name in paths}
    for n in range(ROUNDS + 1):
        for name, path in paths.items():
            at = clock.monotonic()
            async with api.session.get(api.url(path)) as answered:
                await answered.read()
            assert answered.status == 200, name
            if n:  # the first round fills caches
                taken[name].append((clock.monotonic() - at) * 1000)
        print(f"round {n} of {ROUNDS}", file=sys.stderr, flush=True)  # noqa: T201 - its progress
    base = statistics.median(taken[ONE])
    return {
        name: {"ms": round(statistics.median(ms), 1), "ratio": round(statistics.median(ms) / base, 1)}
        for name, ms in taken.items()
    }


def wanted(query: str) -> EventFilter:
    """Return what the API makes of *query*."""
    given = parse_qs(query)
    alone = {name: values[0] for name, values in given.items()}
    lists: dict[str, Any] = {LISTS[name]: values for name, values in given.items() if name in LISTS}
    return EventFilter(
        **lists,
        customer=alone.get("customer"),
        since=times.parse(alone["from"]) if "from" in alone else None,
        until=times.parse(alone["to"]) if "to" in alone else None,
        after=alone.get("cursor"),
        descending=alone.get("order") == "DESC",
    )


async def explain(url: str, names: dict[str, str]) -> None:
    """Say what each statement of a first page read, and how much: the ids, the count; of one page the rest."""
    database = await ExplainedDatabase.connect(url, size=1)
    for query in asked(names):
        statements = STATEMENTS if not query else STATEMENTS[:2]
        database.seen = Explained(frozenset(statements))
        page = await history.page(database, "default", wanted(query))
        await history.read(database, "default", [one.id for one in page.parts])
        say(f"{shown(query, names):55} {'; '.join(map(read, database.seen.plans))}")
    await database.close()


def read(plan: Plan) -> str:
    indexes = " ".join(sorted(plan.indexes)) or "nothing"
    statement = plan.statement.partition("/")[2]
    return f"{statement} {plan.rows_read} rows {plan.buffers} buffers {plan.milliseconds:.1f} ms by {indexes}"


async def filled(url: str, api: Api) -> dict[str, str]:
    """Make a channel and a rule, and the events; return what the filters name."""
    _, channel = await api("POST", "/channels", {"type": "WEBHOOK", "name": "c", "url": "https://example.com/"})
    thresholds = [{"type": "usage_percentage", "value": 80}]
    made = {"type": "entitlements.balance.threshold", "name": "r", "channels": [channel["id"]]}
    _, rule = await api("POST", "/rules", made | {"thresholds": thresholds})
    connection = await asyncpg.connect(url)
    events = await fill(connection, EVENTS, clock.now(), rule=rule["id"], channel=channel["id"])
    await connection.execute(RULES, rule["id"])
    middle = await connection.fetchval("SELECT created_at FROM event WHERE id = $1", events[EVENTS // 2])
    size = await connection.fetchval("SELECT avg(octet_length(payload))::int FROM event WHERE id > $1", events[-999])
    await connection.close()
    print(f"{EVENTS} events, payloads of {size} bytes", file=sys.stderr, flush=True)  # noqa: T201 - its progress
    return {
        "event": events[EVENTS // 2], "rule": rule["id"], "channel": channel["id"], "middle": times.text(middle),
    }  # fmt: skip


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
            names = await filled(server.url, api)
            figures = await measure(api, names)
        await explain(server.url, names)
    for name, figure in figures.items():
        say(f"{name:65} {figure['ms']:8.1f} ms {figure['ratio']:7.1f} x")
    say(json.dumps({"events": EVENTS, **figures}))


if __name__ == "__main__":
    asyncio.run(main())
