"""What every test may ask for: real servers, started at the first use, and a place of its own on each."""

import asyncio
import contextlib
import re
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from consumer.servers import account, choose
from consumer.servers.contracts import Broker, Database
from consumer.servers.topics import create_topics
from consumer.store import migrate
from consumer.store.database import Database as StoreDatabase
from tests.api import Api, talking
from tests.fakes import Receiver
from tests.service import Deployment, Topics, environment
from tests.stores import Store

SERVERS = pytest.StashKey[list[str]]()  # what was tried and what serves, for the end of the report

MakeTopic = Callable[..., Coroutine[None, None, str]]
MakeDeployment = Callable[..., Coroutine[None, None, Deployment]]
Produce = Callable[..., Coroutine[None, None, None]]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SERVERS] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let examples alone count as coverage: each branch has one to read; and the others run at full speed."""
    examples = Path(__file__).parent / "unit"
    for item in items:
        if not item.path.is_relative_to(examples):
            item.add_marker("no_cover")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[SERVERS]:
        terminalreporter.write_line(f"servers: {line}")


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[Broker]:
    """The broker of the whole run, with `bootstrap` and `is_real`."""
    say = _say(pytestconfig, "Kafka")
    with account.scratch() as directory, choose.kafka_for_tests(directory, say) as server:
        say(server.description)
        yield server


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Iterator[Database]:
    """The Postgres of the whole run, with the superuser's `url`."""
    say = _say(pytestconfig, "Postgres")
    with account.scratch() as directory, choose.postgres_for_tests(directory, say) as server:
        say(server.description)
        yield server


@contextlib.asynccontextmanager
async def new_database(postgres: Database) -> AsyncIterator[str]:
    """Give the URL of a new, empty database; it is dropped at the end, whoever is still connected."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgres.url, f'CREATE DATABASE "{name}"')
    yield urlsplit(postgres.url)._replace(path=f"/{name}").geturl()
    await _execute(postgres.url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def database(postgres: Database) -> AsyncIterator[str]:
    """The URL of a new, empty database; it is dropped after the test, whoever is still connected."""
    async with new_database(postgres) as url:
        yield url


@pytest.fixture
def make_topic(kafka: Broker, request: pytest.FixtureRequest) -> MakeTopic:
    """Make a topic with a name of its own: `await make_topic(partitions=3, max_message_bytes=1000)`."""
    stem = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)[:80]

    async def make(partitions: int = 1, **config: object) -> str:
        name = f"{stem}-{uuid.uuid4().hex[:12]}"
        configs = {key.replace("_", "."): str(value) for key, value in config.items()}
        await create_topics(kafka, {name: partitions}, configs)
        return name

    return make


@pytest.fixture(autouse=True)
def _real_kafka(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("real_kafka"):
        server = request.getfixturevalue("kafka")
        if not server.is_real:
            pytest.skip(f"needs Apache Kafka itself; this run has {server.description}")


def _say(config: pytest.Config, kind: str) -> choose.Say:
    return lambda line: config.stash[SERVERS].append(f"{kind}: {line}")


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def deploy(kafka: Broker, database: str, make_topic: MakeTopic, tmp_path: Path) -> MakeDeployment:
    """Make a deployment: topics, a migrated database, settings; `await deploy(partitions=4, TOLLBELL_…="…")`."""

    async def make(partitions: int = 1, **settings: str) -> Deployment:
        topics = Topics(usage=await make_topic(partitions), dead_letters=await make_topic())
        values = environment(database=database, bootstrap=kafka.bootstrap, topics=topics, **settings)
        made = Deployment(values, tmp_path)
        migrated = await made.tollbell("migrate")
        assert migrated.status == 0, migrated.err
        return made

    return make


@contextlib.asynccontextmanager
async def producing(kafka: Broker) -> AsyncIterator[Produce]:
    """Give `produce` for a broker of one's own."""
    # A minute and more: where two cores carry brokers, replicas and tests, a batch may wait long for its turn.
    patient = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=2**24, request_timeout_ms=120_000)
    async with patient as producer:

        async def send(
            topic: str,
            *values: bytes | None,
            key: bytes | None = None,
            headers: list[tuple[str, bytes]] | None = None,
            partition: int | None = None,
        ) -> None:
            sent = [await producer.send(topic, v, key=key, headers=headers, partition=partition) for v in values]
            await asyncio.gather(*sent)

        yield send


@pytest.fixture
async def produce(kafka: Broker) -> AsyncIterator[Produce]:
    """Produce values: `await produce(topic, value, …, key=b"…", headers=[…])` returns when they are there."""
    async with producing(kafka) as send:
        yield send


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A real HTTP server that records what it gets."""
    async with Receiver() as server:
        yield server


@pytest.fixture
async def stored(database: str) -> AsyncIterator[Store]:
    """A store on a migrated database of its own, without channels yet."""
    opened = await StoreDatabase.connect(database, size=10)
    await migrate.migrate(opened)
    yield Store(opened, database)
    await opened.close()


@pytest.fixture
async def api(deploy: MakeDeployment) -> AsyncIterator[Api]:
    """The API of a replica of one's own, which has all roles."""
    deployment = await deploy()
    async with await deployment.replica() as replica, talking(replica) as made:
        await replica.ready()
        yield made
