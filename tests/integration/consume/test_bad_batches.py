"""What stands around a record in Kafka may be as odd as the record: nothing of it holds up what is beside it."""

import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumer.demo.servers import account
from consumer.demo.servers import kafka as servers
from consumer.demo.servers.contracts import Broker
from consumer.demo.servers.topics import create_topics
from tests.conftest import MakeDeployment, MakeTopic, Produce, producing
from tests.integration.consume.test_bad_records import header, letters
from tests.support.batches import CODECS, batch, record, send
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.progress import read_to_the_end
from tests.support.service import Deployment, Topics, environment
from tests.support.verification import SECRET

pytestmark = pytest.mark.real_kafka


def of(entitlement: object) -> bytes:
    """Return a record about an entitlement of its own, at 90 of 100."""
    return native_record(90, entitlement=f"ent-{entitlement}")


def notified_of(receiver: Receiver) -> list[str]:
    """Return which entitlements the webhooks were about."""
    return sorted(json.loads(one.body)["data"]["entitlement"]["id"] for one in receiver.requests)


async def test_a_header_name_not_in_utf_8_blocks_nothing(
    kafka: Broker, deploy: MakeDeployment, receiver: Receiver
) -> None:
    """The record is judged, whatever the codec."""
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()

        for name in CODECS:
            before = record(of(f"before-{name}"), (b"trace", b"1"))
            odd = record(of(f"odd-{name}"), (b"caf\xe9", b"2"), (b"\xff\xfe", None), delta=1)
            bad = record(b"never json", (b"caf\xe9", b"3"), key=b"acme", delta=2)
            after = record(of(f"after-{name}"), delta=3)
            await send(kafka, topic, batch([before, odd, bad, after], compression=name))

        await receiver.wait_for(3 * len(CODECS))
        assert notified_of(receiver) == sorted(
            f"ent-{at}-{name}" for at in ("before", "odd", "after") for name in CODECS
        )
        dead = await letters(kafka, deployment.environment["TOLLBELL_TOPIC_DEAD_LETTERS"], len(CODECS))
        for n, letter in enumerate(dead):
            assert header(letter, "tollbell-offset") == str(4 * n + 2)
            assert header(letter, "caf\\xe9") == "3"
            assert (letter.key, letter.value) == (b"acme", b"never json")
        assert await replica.metric("tollbell_partitions_held") == 0
        assert await replica.terminate() == 0


# (what, the record)
ODD: list[tuple[str, bytes]] = [
    ("a header without a name", record(of("nameless"), (b"", b"1"))),
    ("a header without a value", record(of("valueless"), (b"trace", None))),
    ("10,000 headers", record(of("many"), *[(b"trace-%d" % n, b"%d" % n) for n in range(10_000)])),
    ("a header of 900 KB", record(of("wide"), (b"trace", b"x" * 900_000))),
    ("a header's name of 900 KB", record(of("long"), (b"x" * 900_000, b"1"))),
    ("the same header again and again", record(of("again"), *[(b"trace", b"1")] * 100)),
    ("a key of 900 KB", record(of("keyed"), key=b"x" * 900_000)),
]


async def test_odd_headers_block_nothing_and_reach_the_dead_letters(
    kafka: Broker, deploy: MakeDeployment, receiver: Receiver
) -> None:
    """They are left out where the dead letter has no room for them."""
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    many = [(b"trace-%d" % n, b"%d" % n) for n in range(10_000)]
    async with await deployment.replica() as replica:
        await replica.ready()

        await send(kafka, topic, *[batch([one]) for _, one in ODD])
        await send(kafka, topic, batch([record(b"bad", *many)]), batch([record(b"bad", (b"trace", b"x" * 900_000))]))

        await receiver.wait_for(len(ODD))
        first, second = await letters(kafka, deployment.environment["TOLLBELL_TOPIC_DEAD_LETTERS"], 2)
        assert header(first, "trace-9999") == "9999"
        assert header(second, "tollbell-cut") == "headers=1"


async def test_a_batch_over_32_mib_unpacked_is_a_dead_letter(
    kafka: Broker, deploy: MakeDeployment, receiver: Receiver
) -> None:
    """It is not held in memory."""
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topics = deployment.environment
    bomb = batch([record(bytes(300_000_000))], compression="zstd")
    assert len(bomb) < 10_000
    async with await deployment.replica() as replica:
        await replica.ready()
        before = await replica.metric("process_resident_memory_bytes")

        await send(kafka, topics["TOLLBELL_TOPICS_USAGE"], batch([record(of(1))]), bomb, batch([record(of(3))]))

        await receiver.wait_for(2)
        (letter,) = await letters(kafka, topics["TOLLBELL_TOPIC_DEAD_LETTERS"], 1)
        assert header(letter, "tollbell-reason") == "too_large"
        assert "offsets 1 to 1: unpacked, it is no batch of at most 33554432 bytes" in header(letter, "tollbell-error")
        assert letter.value is not None
        assert letter.value[16:] == bomb[16:]  # before that Kafka has written the offset, and the leader's epoch
        assert await replica.metric("process_resident_memory_bytes") - before < 150_000_000


async def test_transactional_records_count_once_committed(
    kafka: Broker, deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """The markers of transactions never count."""
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic) as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, of("committed"))
        await producer.begin_transaction()
        await producer.send_and_wait(topic, of("aborted"))
        await producer.abort_transaction()
    await produce(topic, of("plain"))

    async with await deployment.replica() as replica:
        await receiver.wait_for(2)

        assert notified_of(receiver) == ["ent-committed", "ent-plain"]
        assert await replica.metric("tollbell_records_total", result="judged") == 2
        await read_to_the_end(kafka, topic, topic)


# (what, the batch): no client library sends these, and none would read them
REFUSED: list[tuple[str, bytes]] = [
    ("a header's name that is null", batch([record(of(1), (None, b"1"))])),
    ("a record that is longer than it says", batch([record(of(1))[:-1] + b"\x02"])),
    ("a checksum that is wrong", batch([record(of(1))]).replace(b"ent-1", b"ent-2")),
    ("gzip that is none", batch([record(of(1))], compression="gzip").replace(b"\x1f\x8b", b"\x00\x00")),
]


@pytest.mark.parametrize(("what", "bad"), REFUSED)
async def test_kafka_itself_refuses(what: str, bad: bytes, kafka: Broker, make_topic: MakeTopic) -> None:
    topic = await make_topic()

    with pytest.raises(KafkaError):
        await send(kafka, topic, bad)

    assert what


def damage(directory: Path, partition: str, was: bytes, now: bytes) -> None:
    """Replace bytes of what Kafka has of *partition* on its disk, under its hands."""
    assert len(was) == len(now)
    for path in (directory / "data" / partition).glob("*.log"):
        at = path.read_bytes().find(was)
        if at >= 0:
            with path.open("r+b") as file:
                file.seek(at)
                file.write(now)
            return
    raise AssertionError(f"{was!r} is not there")


async def test_a_damaged_batch_blocks_its_partition_until_mended(
    migrated: str, receiver: Receiver, tmp_path: Path
) -> None:
    """The other partitions go on."""
    topics = Topics("usage", "dead")
    with account.scratch() as directory, servers.local(directory) as kafka:
        await create_topics(kafka, {"usage": 4, "dead": 1})
        deployment = Deployment(environment(database=migrated, bootstrap=kafka.bootstrap, topics=topics), tmp_path)
        await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
        async with producing(kafka) as produce:
            for n in (0, 1, 2, 3):
                await produce("usage", of(f"{n}-first"), partition=n)
            await produce("usage", of("0-damaged"), partition=0)
            await produce("usage", of("0-after"), partition=0)
            damage(directory, "usage-0", b"ent-0-damaged", b"ent-0-DAMAGED")
            async with await deployment.replica() as replica:
                await receiver.wait_for(4)
                await replica.reaches("tollbell_partitions_held", 1)
                (line,) = await replica.logged("partition.held")
                status, said = await replica.http("/readyz")
                for n in (1, 2, 3):
                    await produce("usage", of(f"{n}-second"), partition=n)
                await receiver.wait_for(7)
                meanwhile = notified_of(receiver)

                damage(directory, "usage-0", b"ent-0-DAMAGED", b"ent-0-damaged")

                await receiver.wait_for(9)
                await replica.logged("partition.released")
                assert (line["topic"], line["partition"], line["offset"]) == ("usage", 0, 1)
                assert status == 503
                assert "usage/0: what is at offset 1 cannot be read: its checksum is wrong" in said
                others = [f"ent-{n}-{which}" for n in (1, 2, 3) for which in ("first", "second")]
                assert meanwhile == ["ent-0-first", *others]
                assert await replica.metric("tollbell_dead_letters_total", reason="not_json") == 0
                assert await replica.terminate() == 0
