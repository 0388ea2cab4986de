"""A topic that is deleted while a replica runs: it is not ready, and says which, though Kafka itself answers."""

import asyncio
import json

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from consumer import clock
from consumer.demo.servers.contracts import Broker
from consumer.demo.servers.topics import create_topics
from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record
from tests.support.service import Deployment, Replica

pytestmark = pytest.mark.real_kafka


async def delete(deployment: Deployment, setting: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=deployment.environment["TOLLBELL_KAFKA_BOOTSTRAP_SERVERS"])
    await admin.start()
    await admin.delete_topics([topic := deployment.environment[setting]])
    await admin.close()
    return topic


async def said_of_consume(replica: Replica) -> str:
    """Return what /readyz says of `consume`."""
    return str(json.loads((await replica.http("/readyz"))[1])["checks"]["consume"])


async def test_a_replica_whose_input_topic_is_deleted_is_not_ready(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    async with await deployment.replica("--only", "consume") as replica:
        await replica.ready()

        topic = await delete(deployment, "TOLLBELL_TOPICS_USAGE")

        gone = f"Kafka: topic {topic}: is not there any more: create it again, or name another in TOLLBELL_TOPICS_*"
        async with asyncio.timeout(60):
            while await said_of_consume(replica) != gone:  # before that, Kafka does not answer for it
                await clock.wait(asyncio.Event(), 0.1)
        assert await replica.metric("tollbell_ready", check="consume") == 0


async def test_a_missing_dead_letter_topic_shows_before_it_is_needed(deploy: MakeDeployment, kafka: Broker) -> None:
    deployment = await deploy()
    async with await deployment.replica("--only", "consume") as replica:
        await replica.ready()

        topic = await delete(deployment, "TOLLBELL_TOPIC_DEAD_LETTERS")
        (line,) = await replica.logged("dead_letters.no_topic")
        said = await said_of_consume(replica)
        await create_topics(kafka, {topic: 1})
        await replica.logged("dead_letters.topic_back", topic=topic)

        assert line["level"] == "warning"
        assert line["error"] == said
        assert said.startswith(f"Kafka: topic {topic}: is not there any more: create it again, or name another in")
        assert (await replica.http("/readyz"))[0] == 200
        assert len(await replica.logged("dead_letters.no_topic")) == 1


async def test_a_batch_with_no_dead_letter_topic_is_not_ready(deploy: MakeDeployment, produce: Produce) -> None:
    deployment = await deploy()
    async with await deployment.replica("--only", "consume") as replica:
        await replica.ready()
        topic = await delete(deployment, "TOLLBELL_TOPIC_DEAD_LETTERS")
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], b"rubbish", native_record(80))

        await replica.logged("consume.waiting")

        said = {await said_of_consume(replica) for _ in range(50)}
        begins = f"Kafka: producing dead letters to topic {topic}: "
        assert [one for one in said if not one.startswith(begins)] == []
        assert await replica.metric("tollbell_ready", check="consume") == 0
