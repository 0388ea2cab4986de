"""Kafka unavailable, offsets lost, partitions added: nothing is lost, and the log says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from consumer.demo.servers import account
from consumer.demo.servers import kafka as servers
from consumer.demo.servers.contracts import Broker
from consumer.demo.servers.topics import create_topics
from tests.conftest import MakeDeployment, Produce, producing
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.progress import read_to_the_end
from tests.support.service import Deployment, Topics, environment
from tests.support.verification import SECRET

pytestmark = pytest.mark.real_kafka


async def test_the_service_waits_for_kafka_and_resumes_by_itself(
    database: str, receiver: Receiver, tmp_path: Path
) -> None:
    topics = Topics("usage", "dead")
    with account.scratch() as directory, servers.local(directory) as kafka:
        await create_topics(kafka, {"usage": 2, "dead": 1})
        deployment = Deployment(environment(database=database, bootstrap=kafka.bootstrap, topics=topics), tmp_path)
        await deployment.tollbell("migrate")
        await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
        async with await deployment.replica() as replica:
            await replica.ready()
            await asyncio.to_thread(kafka.kill)
            await replica.readyz(503)
            await asyncio.to_thread(kafka.start)

            async with producing(kafka) as produce:
                await produce("usage", native_record(90))

            await receiver.wait_for(1, timeout=60)
            await replica.readyz(200)
            assert await replica.terminate() == 0


@contextlib.asynccontextmanager
async def admin(kafka: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def test_a_lost_offset_begins_at_the_earliest_record(
    kafka: Broker, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_KAFKA_START="latest")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, *[native_record(10)] * 5)
        await read_to_the_end(kafka, deployment.environment["TOLLBELL_KAFKA_GROUP_ID"], topic)
        await replica.terminate()

    # Retention overtakes the group: the records after its offset are gone, but for the last one.
    await produce(topic, *[native_record(10)] * 5, native_record(90))
    async with admin(kafka) as client:
        await client.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=10)})
    async with await deployment.replica() as replica:
        await receiver.wait_for(1, timeout=30)

        (line,) = await replica.logged("partition.begun_at_earliest")
        assert (line["offset"], line["why"]) == (10, "offset_lost")
        assert await replica.metric("tollbell_offsets_lost_total") == 1


async def test_a_partition_added_later_begins_at_its_first_record(
    kafka: Broker, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_KAFKA_START="latest")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()
        await replica.terminate()

    async with admin(kafka) as client:
        await client.create_partitions({topic: NewPartitions(total_count=2)})
    await produce(topic, native_record(90), partition=1)
    async with await deployment.replica() as replica:
        await receiver.wait_for(1, timeout=30)

        (line,) = await replica.logged("partition.begun_at_earliest")
        assert (line["partition"], line["why"]) == (1, "new")
