"""What the outbox's statements cost on a database that has been running for weeks: `python -m tests.bench.outbox`.

Run by hand. Starts a Postgres, fills past weeks, a partition each, so that a lookup has many to choose from, and prints
a JSON line: the milliseconds of each statement, the median over the rounds. An argument is the number of weeks.
"""

import asyncio
import datetime as dt
import json
import statistics
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
from ulid_transform import ulid_at_time

from consumer import clock, ids
from consumer.decide.model import Document, Mark
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.verdict import Delivered
from consumer.demo.servers import account, choose
from consumer.store import deliveries, migrate, outbox, retention
from consumer.store.database import Database
from consumer.store.deliveries import Ended
from consumer.store.intervals import containing
from consumer.store.memory import EntitlementKey
from consumer.store.outbox import Change, NewEvent
from schemas.rules import RuleId

WEEKS, EVENTS, BATCH, WRITE, ROUNDS = 16, 100_000, 500, 100, 40
PAYLOAD = b'{"a": "' + b"x" * 900 + b'"}'
LEASE = dt.timedelta(seconds=30)
STEPS = 8


async def fill(url: str, now: dt.datetime, weeks: int, events: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("""
        INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
        SELECT 'c' || n, 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1/', 'openmeter', 's'
        FROM generate_series(1, 50) n;
        INSERT INTO channel_pace (channel_id) SELECT id FROM channel;
        INSERT INTO rule (id, namespace, type, name, spec)
        SELECT 'r' || n, 'default', 't', 'Rule', '{}'
        FROM generate_series(1, 50) n;
        INSERT INTO rule_channel SELECT 'r' || n, 'c' || n, 1 FROM generate_series(1, 50) n;
    """)
    step = dt.timedelta(weeks=weeks) / events
    times = [now - dt.timedelta(weeks=weeks) + n * step for n in range(events)]
    made = [(ulid_at_time(at.timestamp()), at) for at in times]
    await connection.copy_records_to_table(
        "event",
        records=[(id_, "default", "r1", "t", "triggered", "e", PAYLOAD, at, at, at) for id_, at in made],
        columns=[
            "id", "namespace", "rule_id", "type", "action", "entitlement_id", "payload", "occurred_at",
            "recorded_at", "created_at",
        ],
    )  # fmt: skip
    await connection.copy_records_to_table(
        "delivery",
        records=[(id_, f"c{n % 50 + 1}", "default", "SUCCESS", 1, at, at) for n, (id_, at) in enumerate(made)],
        columns=["event_id", "channel_id", "namespace", "state", "attempts", "created_at", "ended_at"],
    )
    await connection.execute("""
        INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, status, duration_ms, detail, body)
        SELECT event_id, id, 1, created_at, 'status', 200, 12, '', 'ok'
        FROM delivery
    """)
    await connection.execute("VACUUM ANALYZE event, delivery, attempt")  # not the memory: it is empty
    await connection.close()


def change(n: int) -> Change:
    now = clock.now()
    mark = Mark("fired", 1, now, Decimal(80))
    rule = f"r{n % 50 + 1}"
    document = Document(
        version=0,
        period_from=now - dt.timedelta(days=3),
        period_to=now + dt.timedelta(days=3),
        as_of=now,
        marks={RuleId(rule): {"usage_percentage:80": mark}},
    )
    event = NewEvent(
        id=ids.new(), identity=n.to_bytes(32, "big"), rule_id=rule, type="t", action="triggered", after=None,
        payload=PAYLOAD, occurred_at=now, recorded_at=now,
    )  # fmt: skip
    return Change(EntitlementKey("default", f"e{n}"), document, b"{}", (event,))


async def timed(into: list[float], step: Any) -> Any:
    at = clock.monotonic()
    done = await step
    into.append((clock.monotonic() - at) * 1000)
    return done


async def measure(url: str, weeks: int, events: int) -> dict[str, object]:
    database = await Database.connect(url, size=4)
    await migrate.migrate(database)
    now = clock.now()
    for n in range(weeks + 1):
        for table in retention.TABLES:
            await retention._make(database, table, containing(now).next(-n), only_for_rows=False)
    partitions = len((await retention.partitions(database))["event"])
    await fill(url, now, weeks, events)
    write: list[float] = []
    claim: list[float] = []
    record: list[float] = []
    channels = {f"c{n}": BATCH // 50 for n in range(1, 51)}
    for r in range(ROUNDS):
        for first in range(r * BATCH, (r + 1) * BATCH, WRITE):
            await timed(write, outbox.write(database, [change(n) for n in range(first, first + WRITE)]))
        claimed = await timed(claim, deliveries.claim(database, channels, LEASE, steps=STEPS))
        assert len(claimed) == BATCH
        outcome = Outcome(kind=OutcomeClass.STATUS, started_at=now, duration_ms=12, status=200, body="ok", detail="")
        await timed(record, deliveries.record(database, [Ended(one, outcome, Delivered()) for one in claimed]))
    single: list[float] = []
    for n in range(200):
        await outbox.write(database, [change(1_000_000 + n)])
        await timed(single, deliveries.claim(database, {f"c{(1_000_000 + n) % 50 + 1}": 8}, LEASE, steps=STEPS))
    await database.close()
    named = {"write": write, "claim": claim, "record": record, "claim_one": single}
    return {"partitions": partitions} | {k: round(statistics.median(v[5:]), 2) for k, v in named.items()}


async def main() -> None:
    weeks = int(sys.argv[1]) if len(sys.argv) > 1 else WEEKS
    with account.scratch() as directory, choose.postgres_for_tests(Path(directory), lambda _: None) as server:
        print(json.dumps(await measure(server.url, weeks, EVENTS)))  # noqa: T201 - its result


if __name__ == "__main__":
    asyncio.run(main())
