"""Several replicas, a rebalance, a `kill -9`, every record twice: exactly the expected events, each delivered."""

import asyncio
import random

import asyncpg
import pytest

from consumer.demo.servers.contracts import Broker
from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.progress import nothing_open, read_to_the_end
from tests.support.verification import SECRET, verify

ENTITLEMENTS = 400
RECORDS_EACH = 15
THRESHOLDS = (50, 80, 100)


def workload(seed: int) -> tuple[list[tuple[bytes, bytes]], set[tuple[str, int]]]:
    """6,000 records as (key, value), each twice and out of order; and which (entitlement, threshold) must fire."""
    dice = random.Random(seed)
    records: list[tuple[bytes, bytes]] = []
    expected: set[tuple[str, int]] = set()
    for n in range(ENTITLEMENTS):
        name = f"ent-{n}"
        usages = [dice.randint(0, 60 + n % 60) for _ in range(RECORDS_EACH)]
        expected |= {(name, threshold) for threshold in THRESHOLDS if max(usages) >= threshold}
        for minute, usage in enumerate(usages):
            at = f"2026-11-22T10:{minute:02}:00Z"
            records.append((name.encode(), native_record(usage, entitlement=name, calculated_at=at)))
    records *= 2
    dice.shuffle(records)
    return records, expected


@pytest.mark.real_kafka
async def test_two_replicas_make_and_deliver_each_event_once(
    kafka: Broker, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """Through a rebalance and a kill."""
    records, expected = workload(seed=4)
    deployment = await deploy(8, TOLLBELL_DELIVERY_TIMEOUT="2s", TOLLBELL_LOG_LEVEL="info")
    await deployment.apply(rules_yaml(receiver.url(), *THRESHOLDS), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]

    async def produce_part(part: list[tuple[bytes, bytes]]) -> None:
        await asyncio.gather(*(produce(topic, value, key=key) for key, value in part))

    third = len(records) // 3
    async with await deployment.replica() as victim, await deployment.replica() as survivor:
        await victim.ready()
        await survivor.ready()
        await produce_part(records[:third])
        await receiver.wait_for(100, timeout=60)
        async with await deployment.replica() as joiner:  # a rebalance, while records flow
            await produce_part(records[third : 2 * third])
            victim.kill()
            await produce_part(records[2 * third :])
            await joiner.ready()
            await receiver.wait_until(
                lambda requests: len({r.headers["webhook-id"] for r in requests}) >= len(expected), timeout=120
            )
            # Nothing more can come: every partition is read to its end.
            await read_to_the_end(kafka, deployment.environment["TOLLBELL_KAFKA_GROUP_ID"], topic)
            # What the killed one had sent and not recorded comes again when its lease has run out.
            await nothing_open(deployment.environment["TOLLBELL_DATABASE_URL"])
            for replica in (survivor, joiner):
                assert await replica.terminate() == 0

    bodies = {body["id"]: body["data"] for body in map(verify, receiver.requests)}
    fired = [(data["entitlement"]["id"], int(data["threshold"]["value"])) for data in bodies.values()]
    assert len(fired) == len(set(fired))
    assert set(fired) == expected
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    try:
        states = dict(await connection.fetch("SELECT state, count(*) FROM delivery GROUP BY state"))
        events = await connection.fetchval("SELECT count(*) FROM event")
    finally:
        await connection.close()
    assert states == {"SUCCESS": len(expected)}
    assert events == len(expected)
