"""The servers of the demo and the tests really serve, break like the real thing, and end with us."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from consumer import clock, errors
from consumer.demo.servers import account, jars, kafka, mock, postgres
from consumer.demo.servers.contracts import Broker, PostgresServer
from consumer.demo.servers.topics import create_topics

MakeTopic = Callable[..., Awaitable[str]]
HEADERS = [("ce_specversion", b"1.0"), ("ce_id", b"e-1")]


async def produce(broker: Broker, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await producer.send_and_wait(topic, value, key=b"ent-1", headers=HEADERS, partition=0)


async def first_record(broker: Broker, topic: str) -> ConsumerRecord[bytes, bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        return await asyncio.wait_for(consumer.getone(), 20)


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, int(port)), 5):
        return True
    return False


@pytest.fixture
def directory() -> Iterator[Path]:
    with account.scratch() as made:
        yield made


async def test_postgres_gives_each_test_an_empty_database(database: str) -> None:
    connection = await asyncpg.connect(database)
    version = await connection.fetchval("SHOW server_version_num")
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()

    assert int(version) >= 150_000
    assert tables == 0


async def test_the_runs_broker_keeps_a_records_value_key_and_headers(kafka: Broker, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=3)

    await produce(kafka, topic, b'{"usage": 1}')
    record = await first_record(kafka, topic)

    assert (record.value, record.key, list(record.headers)) == (b'{"usage": 1}', b"ent-1", HEADERS)


@pytest.mark.real_kafka
async def test_a_topic_has_its_partitions_and_limits(kafka: Broker, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=3, max_message_bytes=1000)

    async with AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap) as consumer:
        partitions = consumer.partitions_for_topic(topic)

    assert partitions == {0, 1, 2}
    with pytest.raises(Exception, match="MessageSizeTooLarge"):
        await produce(kafka, topic, bytes(2000))


async def test_a_topic_that_is_there_already_stays(kafka: Broker, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    await produce(kafka, topic, b"before")

    await create_topics(kafka, {topic: 1})

    assert (await first_record(kafka, topic)).value == b"before"


@pytest.mark.real_kafka
async def test_a_topic_that_kafka_refuses_is_an_error_with_the_reason(kafka: Broker) -> None:
    with pytest.raises(errors.Refused, match=r"topic no such name: .*alphanumerics"):
        await create_topics(kafka, {"no such name": 1})


async def test_postgres_keeps_what_was_committed_when_it_is_killed(directory: Path) -> None:
    with postgres.embedded(directory) as server:
        url = server.url
        await execute(server, "CREATE TABLE kept (x int)")
        for kill in (server.kill, server.stop, server.kill):
            await execute(server, "INSERT INTO kept VALUES (1)")
            await asyncio.to_thread(kill)
            await asyncio.to_thread(server.start)

        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT count(*) FROM kept") == 3
        await connection.close()


async def test_postgres_starts_again_on_a_directory_of_an_earlier_run(directory: Path) -> None:
    with postgres.embedded(directory) as server:
        await execute(server, "CREATE TABLE kept (x int)")

    with postgres.embedded(directory) as server:
        await execute(server, "INSERT INTO kept VALUES (1)")


async def test_kafka_keeps_its_records_when_it_is_killed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" * 16))  # its cluster's id begins with a dash
    with kafka_or_skip(directory) as server:
        bootstrap = server.bootstrap
        await create_topics(server, {"kept": 1})
        await produce(server, "kept", b"1")

        await asyncio.to_thread(server.kill)
        assert not answers(bootstrap)
        await asyncio.to_thread(server.start)

        assert server.bootstrap == bootstrap
        assert (await first_record(server, "kept")).value == b"1"


async def test_a_stopped_mock_broker_refuses_and_serves_again() -> None:
    with mock.mock() as server:
        await create_topics(server, {"kept": 2}, {"max.message.bytes": "1000"})
        await produce(server, "kept", b"1")

        server.stop()
        assert not answers(server.bootstrap)
        server.start()

        record = await first_record(server, "kept")
        assert (record.value, record.key, list(record.headers)) == (b"1", b"ent-1", HEADERS)
        assert not server.is_real


def test_a_server_dies_with_its_killed_parent(directory: Path) -> None:
    code = (
        "import pathlib, sys\n"
        "from consumer.demo.servers import postgres\n"
        "with postgres.embedded(pathlib.Path(sys.argv[1])) as server:\n"
        "    print(server.url.partition('@')[2].partition('/')[0], flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, directory], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        address = parent.stdout.readline().strip()
        assert answers(address)

        parent.send_signal(signal.SIGKILL)

    deadline = clock.monotonic() + 10
    while answers(address):
        assert clock.monotonic() < deadline
        threading.Event().wait(0.02)


def test_ctrl_c_on_the_terminal_leaves_a_server_alone(directory: Path) -> None:
    with postgres.embedded(directory):
        pid = int((directory / "data/postmaster.pid").read_text().split()[0])

        assert os.getpgid(pid) != os.getpgid(0)
        assert os.getsid(pid) == pid


def test_a_server_that_does_not_start_shows_the_end_of_its_log(directory: Path) -> None:
    with postgres.embedded(directory):
        pass
    (directory / "data/global/pg_control").unlink()

    with pytest.raises(errors.Unavailable, match=r"PostgreSQL ended at its start:\n(.*\n)*.*pg_control"):
        enter(postgres.embedded(directory))


def enter(server: contextlib.AbstractContextManager[Broker | PostgresServer]) -> None:
    with server:
        pass


async def execute(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.url)
    await connection.execute(statement)
    await connection.close()


def kafka_or_skip(directory: Path) -> contextlib.AbstractContextManager[Broker]:
    try:
        jars.java()
        jars.directory()
    except errors.Unavailable as exc:
        pytest.skip(str(exc))
    return kafka.local(directory)
