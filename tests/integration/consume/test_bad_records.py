"""A record that can't be understood goes to the dead letters alone, with a reason; the next one is judged."""

import asyncio
import datetime as dt
import json
import random
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from consumer import clock
from consumer.demo.servers.contracts import Broker
from schemas import times
from tests.conftest import MakeDeployment, MakeTopic, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.service import Deployment, Topics, environment
from tests.support.verification import SECRET, verify


def changed(**data: object) -> bytes:
    record = json.loads(native_record(90))
    record["data"] |= data
    return json.dumps(record).encode()


def of_entitlement(entitlement: str, **data: object) -> bytes:
    period = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    return changed(entitlement={"id": entitlement, "period": period}, **data)


# (value, reason, what the error says)
BAD: list[tuple[bytes, str, str]] = [
    (b"not json", "not_json", "not JSON"),
    (b"\xff\xfe", "not_json", "not UTF-8"),
    (b'{"type": "tollbell.usage.snapshot"}', "not_cloudevent", "specversion"),
    (native_record(90).replace(b'"usage": 90, ', b""), "invalid", "data.value: object missing required field usage"),
    (native_record('"NaN"'), "invalid", "data.value.usage"),
    (native_record("NaN"), "not_json", "invalid"),
    (native_record("9" * 500), "invalid", "data.value.usage: has more than 38 significant digits"),
    (native_record("1e100000"), "invalid", "data.value.usage"),
    (native_record("true"), "invalid", "data.value.usage: expected"),
    (changed(calculatedAt="2099-01-01T00:00:00Z"), "in_future", "calculatedAt is ahead of the database's clock"),
    (changed(calculatedAt="99999-01-01T00:00:00Z"), "invalid", "data.calculatedAt: is not an RFC 3339 time"),
    (b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "not_json", "nested deeper"),
    (native_record(90).replace(b"ACME Inc.", b"\\ud800 Inc."), "not_json", "no character"),
    (of_entitlement("a\x00b"), "invalid", "data.entitlement.id: has a control character"),
    (of_entitlement("a" * 100_000), "invalid", "data.entitlement.id: expected str of length <= 256"),
    (changed(subject={"key": "a" * 4_500}), "invalid", "data.subject.key: expected str of length <= 256"),
    (changed(value={"usage": 1, "balance": 2, "overage": 3}), "contradictory", "balance and overage"),
]


async def letters(kafka: Broker, topic: str, count: int) -> list[ConsumerRecord[bytes, bytes]]:
    """Return *count* records of *topic*, once they are there."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, max_partition_fetch_bytes=2**24)
    consumer.assign([TopicPartition(topic, 0)])
    async with consumer, asyncio.timeout(30):
        await consumer.seek_to_beginning()
        return [await consumer.getone() for _ in range(count)]


def header(record: ConsumerRecord[bytes, bytes], name: str) -> str:
    return dict(record.headers)[name].decode()


async def test_a_bad_record_is_a_dead_letter_and_the_next_is_judged(
    kafka: Broker, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(topic, *(value for value, _, _ in BAD), key=b"acme", headers=[("trace", b"t-1")])
        await produce(topic, native_record(90))

        await receiver.wait_for(1)
        dead = await letters(kafka, deployment.environment["TOLLBELL_TOPIC_DEAD_LETTERS"], len(BAD))
        for (value, reason, says), letter in zip(BAD, dead, strict=True):
            assert header(letter, "tollbell-reason") == reason, value[:80]
            assert says in header(letter, "tollbell-error"), value[:80]
            assert letter.value == value
            assert letter.key == b"acme"
            assert header(letter, "trace") == "t-1"
            assert header(letter, "tollbell-topic") == topic
        assert [int(header(letter, "tollbell-offset")) for letter in dead] == list(range(len(BAD)))
        assert await replica.metric("tollbell_records_total", result="dead_letter") == len(BAD)
        assert len(receiver.requests) == 1


@pytest.mark.real_kafka
async def test_a_nine_megabyte_record_is_cut_to_the_topics_limit(
    kafka: Broker, database: str, make_topic: MakeTopic, produce: Produce, receiver: Receiver, tmp_path: object
) -> None:
    topics = Topics(await make_topic(1, max_message_bytes=10_000_000), await make_topic(1, max_message_bytes=200_000))
    deployment = Deployment(environment(database=database, bootstrap=kafka.bootstrap, topics=topics), tmp_path)  # type: ignore[arg-type]
    await deployment.tollbell("migrate")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    async with await deployment.replica() as replica:
        await replica.ready()

        huge = b'{"specversion": "1.0", "data": "' + b"x" * 9_000_000
        await produce(topics.usage, huge, native_record(90))

        await receiver.wait_for(1)
        (letter,) = await letters(kafka, topics.dead_letters, 1)
        assert letter.value is not None
        assert huge.startswith(letter.value)
        assert header(letter, "tollbell-cut") == f"value={len(huge)}"
        assert header(letter, "tollbell-reason") == "not_json"


@pytest.mark.real_kafka
async def test_dead_letters_before_and_after_one_that_is_cut_are_taken(
    kafka: Broker, database: str, make_topic: MakeTopic, produce: Produce, tmp_path: Path
) -> None:
    topics = Topics(await make_topic(), await make_topic(1, max_message_bytes=20_000))
    deployment = Deployment(environment(database=database, bootstrap=kafka.bootstrap, topics=topics), tmp_path)
    await deployment.tollbell("migrate")
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(topics.usage, b"not json")
        await letters(kafka, topics.dead_letters, 1)
        await produce(topics.usage, b"x" * 30_000, b"nor this")

        await replica.reaches("tollbell_dead_letters_total", 3, reason="not_json")
        found = await letters(kafka, topics.dead_letters, 3)
        assert sorted(header(letter, "tollbell-offset") for letter in found) == ["0", "1", "2"]


# Nothing is refused that the parser lets through, but for what the operator adds to the tables: SQLSTATEs 23514, 54000.
OPERATORS = {
    "a rule": "ALTER TABLE entitlement ADD CONSTRAINT operators CHECK (id <> 'ent-7')",
    "an index": "CREATE INDEX operators ON entitlement ((about::text)) WHERE id = 'ent-7'",
}


@pytest.mark.parametrize("added", OPERATORS)
async def test_a_record_refused_by_postgres_leaves_its_batch_alone(
    added: str, kafka: Broker, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """The rest of the batch is judged."""
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    await connection.execute(OPERATORS[added])
    await connection.close()
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    long = {"key": "acme", "name": random.Random(7).randbytes(3_000).hex()}
    await produce(topic, *(of_entitlement(f"ent-{n}", customer=long) for n in range(20)))
    async with await deployment.replica() as replica:
        await replica.ready()

        got = await receiver.wait_for(19, timeout=30)
        (letter,) = await letters(kafka, deployment.environment["TOLLBELL_TOPIC_DEAD_LETTERS"], 1)
        assert await replica.terminate() == 0

    fired = {verify(one)["data"]["entitlement"]["id"] for one in got}
    assert fired == {f"ent-{n}" for n in range(20)} - {"ent-7"}
    assert len(receiver.requests) == 19
    assert header(letter, "tollbell-reason") == "refused_by_database"
    assert letter.value == of_entitlement("ent-7", customer=long)


async def test_dead_letters_are_listed_and_replayed_after_a_fix(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    ahead = times.text(clock.now() + dt.timedelta(hours=1))
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, b"never json", changed(calculatedAt=ahead), key=b"acme")
        await replica.reaches("tollbell_dead_letters_total", 1, reason="in_future")

        foreign = [("tollbell-offset", b"x"), ("tollbell-partition", "\u0663".encode()), ("tollbell-time", b"9" * 5000)]
        await produce(deployment.environment["TOLLBELL_TOPIC_DEAD_LETTERS"], b"not ours", headers=foreign)

        listed = await deployment.tollbell("dlq", "list")
        early = await deployment.tollbell("dlq", "replay")
        mended = await deployment.tollbell("dlq", "replay", TOLLBELL_CONSUME_FUTURE_TOLERANCE="24h")
        again = await deployment.tollbell("dlq", "replay", TOLLBELL_CONSUME_FUTURE_TOLERANCE="24h")

        lines = [json.loads(line) for line in listed.out.splitlines()]
        assert [line["reason"] for line in lines] == ["not_json", "in_future", ""]
        assert lines[0]["value"] == "never json"
        assert early.out == "3 dead letters judged, 0 events made, 3 still cannot be understood\n"
        assert mended.out == "3 dead letters judged, 1 events made, 2 still cannot be understood\n"
        assert again.out == "3 dead letters judged, 0 events made, 2 still cannot be understood\n"
        (webhook,) = await receiver.wait_for(1)
        assert verify(webhook)["timestamp"] == ahead
