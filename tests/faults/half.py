"""What half fails: connections that break in a batch, rules that change, second writers, offsets without records.

Unlike what dies whole, the process goes on with what it remembers. `failed_at` is balanced by the run's ledger; the
others have records of their own, and say themselves what must come of them.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from consumer import clock, ids
from tests.faults.run import Run
from tests.support.factories import native_record
from tests.support.progress import read_to_the_end
from tests.support.verification import SECRET

NAMESPACE = "half"
LOADED, RATE, RULES = 1000, 2000, 10  # entitlements, records a second, rules made meanwhile
IDLE_SECONDS = 90  # longer than a partition may stand still below its end
TURNS = 12
COMPACTING = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "100",
}


async def failed_at(run: Run, moment: str, behind: float) -> None:
    """Connections to Postgres break at *moment* of a batch; the next one comes *behind* seconds later. Four times."""
    (slot, *_), parts = run.slots, 12
    run.parts = parts
    await run.start(slot)
    for _ in range(4):
        trap = slot.trap(moment, run.dice.randint(1, 2))
        await run.came(trap)
        slot.postgres.cut()
        slot.postgres.mend()
        trap.released.set()
        await run.wait(behind)
        await run.send()
        run.is_back()


async def rules_under_load(run: Run) -> None:
    """Rules are made one after the other while 2,000 records a second of 1,000 entitlements at 60 % come: all fire."""
    one, other, _ = run.slots
    await asyncio.gather(run.start(one), run.start(other))
    async with loaded(run):
        keys = [f"at-{5 * n}" for n in range(1, RULES + 1)]
        for n in range(1, RULES + 1):
            await apply(run, [(f"at-{5 * m}", 5 * m, {}) for m in range(1, n + 1)])
            await run.wait(0.7)
        expected = dict.fromkeys(keys, LOADED)
        async with asyncio.timeout(60):
            while (made := await events_of(run)) != expected:
                await run.wait(0.5)
    assert made == expected


async def two_writers(run: Run) -> None:
    """One entitlement in two partitions of two replicas, a record at a time: each recovery and episode is notified."""
    one, other, _ = run.slots
    await asyncio.gather(run.start(one), run.start(other))
    await apply(run, [("quota", 80, {"rearm": "recovery", "notifyOn": ["triggered", "recovered"]})])
    topic = run.stage.topics[0]
    for turn in range(2 * TURNS):
        # Above and below in turn; of each level two records, from either partition.
        for partition in run.dice.sample([0, 1, 2], 2):
            await run.stage.produce(topic, record("shared", 90 if turn % 2 == 0 else 10), partition=partition)
            await read_to_the_end(run.kafka, run.stage.group, topic)
    made = await episodes_of(run, "shared")
    assert made == [f"{action} {n}" for n in range(1, TURNS + 1) for action in ("triggered", "recovered")]


async def idle_without_records(run: Run) -> None:
    """Partitions end with a commit marker, an aborted transaction, a gap that compaction left; then nothing comes."""
    async with compacted(run):
        await idle(run)


async def idle(run: Run) -> None:
    one, *_ = run.slots
    usage, resets, invoices = run.stage.topics
    replica = await run.start(one)
    for topic, ending in ((usage, "commit_transaction"), (resets, "abort_transaction")):
        producer = AIOKafkaProducer(bootstrap_servers=run.kafka.bootstrap, transactional_id=ids.new())
        async with producer:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, record("idle", 10), partition=0)
            await getattr(producer, ending)()
    for topic in (usage, resets, invoices):
        await read_to_the_end(run.kafka, run.stage.group, topic)
    await run.wait(IDLE_SECONDS)
    assert replica.process.returncode is None, replica.lines[-3:]
    _, text = await replica.http("/metrics")
    lags = {line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("tollbell_consumer_lag{")}
    assert lags == {"0.0"}, lags


@contextlib.asynccontextmanager
async def compacted(run: Run) -> AsyncIterator[None]:
    """Let the invoices' topic be compacted, and give it what that takes away: offsets without records at its end."""
    topic = run.stage.topics[2]
    await configure(run, topic, COMPACTING)
    for n in range(50):
        await run.stage.produce(topic, record("compacted", n), key=b"same", partition=0)
        await run.wait(0.02)
    await run.stage.produce(topic, None, key=b"same", partition=0)
    yield
    await configure(run, topic, {"cleanup.policy": "delete"})


async def configure(run: Run, topic: str, settings: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=run.kafka.bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=settings)])
    finally:
        await admin.close()


def record(entitlement: str, usage: object) -> bytes:
    """A snapshot of now."""
    at = clock.now().isoformat().replace("+00:00", "Z")
    start = clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    period = (start.isoformat().replace("+00:00", "Z"), "2099-01-01T00:00:00Z")
    return native_record(usage, entitlement=entitlement, calculated_at=at, period=period, namespace=NAMESPACE)


@contextlib.asynccontextmanager
async def loaded(run: Run) -> AsyncIterator[None]:
    """Send records of all entitlements, in turn, all the time."""

    async def load() -> None:
        n = 0
        while True:
            since = clock.monotonic()
            batch: dict[int, list[bytes]] = {}
            for _ in range(RATE // 20):
                n = (n + 1) % LOADED
                batch.setdefault(n % 3, []).append(record(f"e{n}", 60))
            await asyncio.gather(
                *(run.stage.produce(run.stage.topics[0], *some, partition=p) for p, some in batch.items())
            )
            await clock.sleep(max(since + 0.05 - clock.monotonic(), 0))

    loading = asyncio.create_task(load())
    try:
        yield
    finally:
        loading.cancel()


async def apply(run: Run, rules: Sequence[tuple[str, int, dict[str, Any]]], **hook: object) -> None:
    """Make rules of (key, percentage, more), whose events go to a path of their own, as *hook* says."""
    channel: dict[str, Any] = {
        "key": "hook",
        "type": "WEBHOOK",
        "name": "Hook",
        "url": run.stage.receiver.url(f"/{NAMESPACE}"),
    }
    made = [
        {
            "key": key,
            "type": "entitlements.balance.threshold",
            "name": key,
            "channels": ["hook"],
            "thresholds": [{"type": "usage_percentage", "value": value}],
            **more,
        }
        for key, value, more in rules
    ]
    channel |= {"signingSecret": SECRET, "customHeaders": {"X-Webhook-Secret": "hush-hush"}, **hook}
    file = {"namespace": NAMESPACE, "channels": [channel], "rules": made}
    applied = await run.stage.deployment.apply(json.dumps(file))
    assert applied.status == 0, applied.err


async def events_of(run: Run) -> dict[str, int]:
    """Return how many events each rule has; a second one of an entitlement would count as well."""
    rows = await rows_of(run, "SELECT r.key FROM event e JOIN rule r ON r.id = e.rule_id WHERE e.namespace = $1")
    return dict(Counter(row["key"] for row in rows))


async def episodes_of(run: Run, entitlement: str) -> list[str]:
    """Return action and episode of each event of *entitlement*, in order."""
    text = "convert_from(payload, 'UTF8')::json #>> '{data,crossing,episode}'"
    rows = await rows_of(
        run,
        f"SELECT action || ' ' || ({text}) AS made FROM event WHERE namespace = $1 AND entitlement_id = $2 ORDER BY id",  # noqa: S608
        entitlement,
    )
    return [row["made"] for row in rows]


async def rows_of(run: Run, sql: str, *more: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(run.stage.deployment.environment["TOLLBELL_DATABASE_URL"])
    try:
        return await connection.fetch(sql, NAMESPACE, *more)
    finally:
        await connection.close()
