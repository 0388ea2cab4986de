"""A database that is restored from a backup: what docs/operating.md says is repeated, and nothing else."""

import json
from urllib.parse import urlsplit

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.demo.servers.contracts import Broker, PostgresServer
from tests.conftest import MakeDeployment, Produce
from tests.support import places
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Received, Receiver
from tests.support.service import Deployment
from tests.support.verification import SECRET


def entitlements(requests: list[Received]) -> list[str]:
    return [json.loads(request.body)["data"]["entitlement"]["id"] for request in requests]


def ids(requests: list[Received], entitlement: str) -> list[str]:
    pairs = zip(entitlements(requests), requests, strict=True)
    return [request.headers["webhook-id"] for name, request in pairs if name == entitlement]


async def set_back(bootstrap: str, group: str, topic: str) -> None:
    """Do what `kafka-consumer-groups.sh --reset-offsets --to-earliest` does."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.commit({TopicPartition(topic, 0): 0})


@pytest.mark.real_kafka
async def test_a_restore_repeats_only_what_came_after_the_backup(
    kafka: Broker, postgres: PostgresServer, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    await produce(topic, native_record(90, entitlement="before"))
    async with await deployment.replica() as replica:
        await receiver.wait_for(1)
        await replica.terminate()
    await produce(topic, native_record(90, entitlement="open"))
    async with await deployment.replica("--only", "consume") as replica:
        await replica.reaches("tollbell_events_total", 1)
        await replica.terminate()

    source = urlsplit(deployment.environment["TOLLBELL_DATABASE_URL"]).path.removeprefix("/")
    async with places.new_database(postgres.url, template=source) as backup:
        await produce(topic, native_record(90, entitlement="after"))
        async with await deployment.replica() as replica:
            await receiver.wait_for(3)
            await replica.terminate()
        await set_back(kafka.bootstrap, deployment.environment["TOLLBELL_KAFKA_GROUP_ID"], topic)
        restored = Deployment(deployment.environment | {"TOLLBELL_DATABASE_URL": backup}, deployment.directory)
        async with await restored.replica() as replica:
            await receiver.wait_for(5)
            await replica.reaches("tollbell_records_total", 3, result="judged")
            await replica.terminate()

    assert sorted(entitlements(receiver.requests)) == ["after", "after", "before", "open", "open"]
    assert len(set(ids(receiver.requests, "open"))) == 1  # open in the backup: the same delivery
    assert len(set(ids(receiver.requests, "after"))) == 2  # made again: another event
