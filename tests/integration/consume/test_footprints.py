"""Inputs that are small, or few, and become large: they take bounded memory, and others are answered meanwhile.

`pytest -s` prints what each took.
"""

import json

import pytest

from consumer.demo.servers.contracts import Broker
from tests.conftest import MakeDeployment, Produce
from tests.support.batches import batch, record, send
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.footprint import Footprint, footprint
from tests.support.verification import SECRET

MOST_GROWN_MIB = 300
MOST_SECONDS = 0.5


def is_bounded(found: Footprint) -> None:
    print(found)  # noqa: T201 - a measurement
    assert found.grown_mib <= MOST_GROWN_MIB, found
    assert min(found.slowest, found.worked) <= MOST_SECONDS, found


async def test_1500_records_that_unpack_to_a_megabyte_each(
    kafka: Broker, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    wide = {"id": "c-1", "key": "acme", "name": "x" * 1_000_000}
    some = [record(native_record(n, customer=wide), delta=n) for n in range(30)]
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(79))
        await replica.reaches("tollbell_records_total", 1)

        async with footprint(replica) as found:
            await send(kafka, topic, *[batch(some, compression="gzip")] * 50)
            await produce(topic, native_record(80, calculated_at="2026-11-22T10:16:30Z"))
            await receiver.wait_for(1, timeout=120)

        assert await replica.metric("tollbell_records_total", result="judged") == 1502
    is_bounded(found)


@pytest.mark.parametrize(("size", "events"), [(800_000, 0), (2_000, 1600)])
async def test_one_record_that_reaches_1600_thresholds(
    size: int, events: int, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """Of 800 KB it is a dead letter, of 2 KB it makes all of its events."""
    deployment = await deploy(TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="50")
    applied = await deployment.apply(many_rules(receiver.url()), HOOK_SECRET=SECRET)
    assert applied.status == 0, applied.err
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(0))
        await replica.reaches("tollbell_records_total", 1)

        async with footprint(replica) as found:
            large = native_record(
                100, calculated_at="2026-11-22T10:16:00Z", customer={"id": "c-1", "metadata": {"note": "x" * size}}
            )
            await produce(topic, large)
            await replica.reaches("tollbell_records_total", 1, result="judged" if events else "dead_letter")
            await receiver.wait_for(events, timeout=120)

        assert len(receiver.requests) == events
    is_bounded(found)


def many_rules(url: str) -> str:
    """Sixteen rules of a hundred thresholds each, as JSON, which is YAML."""
    channel = {"key": "hook", "type": "WEBHOOK", "name": "Hook", "url": url, "signingSecret": SECRET}
    rules = [
        {
            "key": f"rule-{n}",
            "type": "entitlements.balance.threshold",
            "name": f"Rule {n}",
            "channels": ["hook"],
            "thresholds": [{"type": "usage_percentage", "value": value} for value in range(1, 101)],
        }
        for n in range(16)
    ]
    return json.dumps({"channels": [channel], "rules": rules})
