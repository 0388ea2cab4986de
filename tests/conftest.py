"""What every test may ask for: real servers, started at the first use, and a place of its own on each."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from xdist.workermanage import WorkerController

from consumer.demo.servers import account, choose
from consumer.demo.servers.contracts import Broker, PostgresServer
from consumer.store.database import Database as StoreDatabase
from tests.support import places, service
from tests.support.api import Api, talking
from tests.support.fakes import Receiver
from tests.support.forks import Forks
from tests.support.places import MakeTopic
from tests.support.service import Deployment, Replica, Topics, environment
from tests.support.stores import Store

SERVERS = pytest.StashKey[list[str]]()  # what was tried and what serves, for the end of the report

MakeDeployment = Callable[..., Coroutine[None, None, Deployment]]
Produce = Callable[..., Coroutine[None, None, None]]
MOST_NAMESPACES = 500  # one for each test that asks for `shared_api`
OF_ALL = "token-of-all-namespaces"


@dataclass(frozen=True, slots=True)
class Shared:
    """A replica that many tests call, and the namespaces that none of them has taken yet, each with its token."""

    deployment: Deployment
    replica: Replica
    namespaces: Iterator[tuple[str, str]]


def reading(token: str) -> str:
    """The token of the same namespace that may read alone."""
    return f"read-{token}"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SERVERS] = []


@pytest.fixture(scope="session", autouse=True)
async def _forks() -> AsyncIterator[None]:
    """Commands in forks (tests/support/forks.py); real processes on a system without Linux' process descriptors."""
    if not hasattr(os, "pidfd_open"):
        yield
        return
    service.forks = forks = Forks()
    yield
    service.forks = None
    await forks.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report to the controlling process which servers this worker had (`pytest -n`)."""
    if isinstance(output := getattr(session.config, "workeroutput", None), dict):
        output["servers"] = session.config.stash[SERVERS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Collect which servers a worker had; one that died reports none."""
    known = node.config.stash[SERVERS]
    lines = getattr(node, "workeroutput", {}).get("servers", [])
    known.extend(line for line in lines if line not in known)


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
def postgres(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """The Postgres of the whole run, with the superuser's `url`."""
    say = _say(pytestconfig, "Postgres")
    with account.scratch() as directory, choose.postgres_for_tests(directory, say) as server:
        say(server.description)
        yield server


@pytest.fixture(scope="session")
async def template(postgres: PostgresServer) -> AsyncIterator[str]:
    """The name of a migrated database, made once for the run, to be copied."""
    async with places.new_template(postgres.url) as name:
        yield name


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[str]:
    """The URL of a new, empty database."""
    async with places.new_database(postgres.url) as url:
        yield url


@pytest.fixture
async def migrated(postgres: PostgresServer, template: str) -> AsyncIterator[str]:
    """The URL of a new database, as `tollbell migrate` leaves it."""
    async with places.new_database(postgres.url, template=template) as url:
        yield url


@pytest.fixture
def make_topic(kafka: Broker, request: pytest.FixtureRequest) -> MakeTopic:
    """Make a topic with a name of its own: `await make_topic(partitions=3, max_message_bytes=1000)`."""
    return places.topic_maker(kafka, request.node.name)


@pytest.fixture(autouse=True)
def _real_kafka(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("real_kafka"):
        server = request.getfixturevalue("kafka")
        if not server.is_real:
            pytest.skip(f"needs Apache Kafka itself; this run has {server.description}")


def _say(config: pytest.Config, kind: str) -> choose.Say:
    return lambda line: config.stash[SERVERS].append(f"{kind}: {line}")


@pytest.fixture
async def deploy(kafka: Broker, migrated: str, make_topic: MakeTopic, tmp_path: Path) -> MakeDeployment:
    """Make a deployment: topics, a migrated database, settings; `await deploy(partitions=4, TOLLBELL_…="…")`."""

    async def make(partitions: int = 1, **settings: str) -> Deployment:
        topics = Topics(usage=await make_topic(partitions), dead_letters=await make_topic())
        values = environment(database=migrated, bootstrap=kafka.bootstrap, topics=topics, **settings)
        return Deployment(values, tmp_path)

    return make


@contextlib.asynccontextmanager
async def producing(kafka: Broker) -> AsyncIterator[Produce]:
    """Give `produce` for a broker of one's own."""
    # A minute and more: where two cores carry brokers, replicas and tests, a batch may wait long for its turn.
    # Batches of more than 16 KiB: every one that is sent wakes all that wait to be in the next.
    patient = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, max_request_size=2**24, max_batch_size=2**18, request_timeout_ms=120_000
    )
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
async def stored(migrated: str) -> AsyncIterator[Store]:
    """A store on a migrated database of its own, without channels yet."""
    opened = await StoreDatabase.connect(migrated, size=10)
    yield Store(opened, migrated)
    await opened.close()


@pytest.fixture
async def api(deploy: MakeDeployment) -> AsyncIterator[Api]:
    """The API of a replica of one's own, which has all roles."""
    deployment = await deploy()
    async with await deployment.replica() as replica, talking(replica) as made:
        await replica.ready()
        yield made


@pytest.fixture(scope="session")
async def shared(
    postgres: PostgresServer, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shared]:
    """A replica for the whole run that serves and does nothing else, with tokens for many namespaces."""
    tokens = {f"ns-{n}": f"token-{n}" for n in range(MOST_NAMESPACES)}
    topics = Topics(usage="unused", dead_letters="unused-too")
    said = ",".join(
        f"{namespace}:write:{token},{namespace}:read:{reading(token)}" for namespace, token in tokens.items()
    )
    said += f",*:write:{OF_ALL},*:read:{reading(OF_ALL)}"
    async with places.new_database(postgres.url, template=template) as url:
        values = environment(database=url, bootstrap="127.0.0.1:1", topics=topics, TOLLBELL_API_TOKENS=said)
        deployment = Deployment(values, tmp_path_factory.mktemp("shared"))
        async with await deployment.replica("--only", "serve") as replica:
            await replica.ready()
            await replica.logged("role.ready", role="serve")
            yield Shared(deployment, replica, iter(tokens.items()))


@pytest.fixture
async def shared_api(shared: Shared) -> AsyncIterator[Api]:
    """The API of the run's shared replica, in a namespace of one's own: for tests that send nothing."""
    namespace, token = next(shared.namespaces)
    async with talking(shared.replica, token=token, namespace=namespace) as made:
        yield made
