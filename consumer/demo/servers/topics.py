"""Topics, made in the same way on every broker that the demo and the tests may get."""

from collections.abc import Mapping
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from consumer import clock, errors
from consumer.demo.servers.contracts import Broker
from consumer.demo.servers.mock import Mock

SOUND = 0
TOPIC_ALREADY_EXISTS = 36
LIMIT = timedelta(seconds=30)
PAUSE_SECONDS = 0.02


async def create_topics(kafka: Broker, topics: Mapping[str, int], configs: Mapping[str, str] | None = None) -> None:
    """Make *topics*, a name with its number of partitions each; return once all their partitions can be written to.

    *configs* holds for every topic made; the mock broker has none and ignores them. What is there already stays.

    Raises:
        Refused: the broker does not make a topic so; the message has its reason.
        SourceUnavailable: the broker cannot be reached, or the partitions were not ready in time.
    """
    if isinstance(kafka, Mock):
        for name, partitions in topics.items():
            kafka.create_topic(name, partitions)
        return
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        await admin.start()
        await _create(admin, topics, dict(configs or {}))
        await _wait_until_ready(admin, topics)
    except KafkaError as exc:
        raise errors.SourceUnavailable(f"Kafka at {kafka.bootstrap} made no topics: {exc}") from exc
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: Mapping[str, int], configs: dict[str, str]) -> None:
    wanted = [NewTopic(name, partitions, 1, topic_configs=configs) for name, partitions in topics.items()]
    answer = await admin.create_topics(wanted)
    for name, code, message in answer.topic_errors:
        if code not in {SOUND, TOPIC_ALREADY_EXISTS}:
            raise errors.Refused(f"topic {name}: Kafka does not make it: {message or code}")


async def _wait_until_ready(admin: AIOKafkaAdminClient, topics: Mapping[str, int]) -> None:
    deadline = clock.monotonic() + LIMIT.total_seconds()
    while True:
        seen = await admin.describe_topics(list(topics))
        ready = [each for each in seen if each["partitions"] and all(p["leader"] >= 0 for p in each["partitions"])]
        if len(ready) == len(topics):
            return
        if clock.monotonic() > deadline:
            raise errors.SourceUnavailable(f"not every partition of {', '.join(topics)} has a leader")
        await clock.sleep(PAUSE_SECONDS)
