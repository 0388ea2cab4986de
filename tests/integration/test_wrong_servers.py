"""Wrong set-ups that a server shows: the line of `check` and of `run`, the status, and what `/readyz` says."""

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from consumer import clock
from consumer.demo.servers import account, choose
from consumer.demo.servers.contracts import PostgresServer as Server
from consumer.errors import StoreUnavailable
from consumer.store.database import COMMAND_TIMEOUT, Database
from tests.conftest import MakeDeployment
from tests.faults.proxy import Proxy
from tests.faults.wires import PostgresWire
from tests.support.service import Deployment

Changed = Callable[[dict[str, str]], dict[str, str]]


def with_url(change: Callable[[str], str]) -> Changed:
    return lambda environment: {"TOLLBELL_DATABASE_URL": change(environment["TOLLBELL_DATABASE_URL"])}


def other_database(url: str) -> str:
    return urlsplit(url)._replace(path="/none").geturl()


def wrong_password(url: str) -> str:
    return re.sub(r":[^:@/]*@", ":bad-pass@", url, count=1)


def escaped_by_chance(url: str) -> str:
    return re.sub(r":[^:@/]*@", ":bad%20pass@", url, count=1)


def with_parameter(url: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}no_such_setting=1"


# What is changed, what a line of `check` and the line of `run` say, and the status of both.
REFUSED: list[tuple[str, Changed, str]] = [
    (
        "a wrong password",
        with_url(wrong_password),
        "password authentication failed for user .*: check the user and the password in TOLLBELL_DATABASE_URL",
    ),
    (
        "a password with a % that escapes what follows",
        with_url(escaped_by_chance),
        r"check the user and the password in TOLLBELL_DATABASE_URL \(there, a % itself is written %25\), and pg_hba",
    ),
    (
        "a database that is not there",
        with_url(other_database),
        r'database "none" does not exist: create it, or name another in TOLLBELL_DATABASE_URL',
    ),
    (
        "a setting of the session that the server does not know",
        with_url(with_parameter),
        r'unrecognized configuration parameter "no_such_setting": check TOLLBELL_DATABASE_URL',
    ),
    (
        "a topic that is not there",
        lambda _: {"TOLLBELL_TOPICS_USAGE": "no-such-topic"},
        r"topic no-such-topic: create it",
    ),
]


async def both(deployment: Deployment, **changed: str) -> tuple[str, str, tuple[int, int]]:
    checked, ran = await asyncio.gather(
        deployment.tollbell("check", **changed), deployment.tollbell("run", TOLLBELL_LOG_LEVEL="error", **changed)
    )
    return checked.out, ran.err, (checked.status, ran.status)


@pytest.mark.parametrize(("change", "says"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
async def test_what_a_server_refuses_ends_run_with_the_line_of_check(
    change: Changed, says: str, deploy: MakeDeployment
) -> None:
    deployment = await deploy()

    checked, ran, statuses = await both(deployment, **change(deployment.environment))

    assert statuses == (1, 1)
    [failed] = [line for line in checked.splitlines() if line.startswith("FAIL")]
    assert re.search(says, failed), failed
    line = json.loads(ran)  # the only one: said once
    assert (line["level"], line["event"]) == ("error", "app.failed")
    assert re.search(says, line["error"]), ran


async def test_why_run_has_ended_is_a_line_of_text_where_the_log_is(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_LOG_FORMAT="text", TOLLBELL_LOG_LEVEL="error")

    ran = await deployment.tollbell("run", TOLLBELL_TOPICS_USAGE="no-such-topic")

    assert ran.status == 1
    assert re.fullmatch(r'\S+Z error   app.failed error="Kafka: .*topic no-such-topic: create it.*"\n', ran.err), (
        ran.err
    )


async def waiting(deployment: Deployment, check: str, **changed: str) -> str:
    """Return what /readyz says of *check* while `run` waits."""
    async with await deployment.replica(**changed) as replica:
        [line] = await replica.logged("app.waiting")
        status, body = await replica.http("/readyz")
        assert status == 503
        assert line["error"] == json.loads(body)["checks"][check]
        assert replica.process.returncode is None
        return str(line["error"])


@pytest.fixture
def unused() -> Iterator[str]:
    """An address at which nothing listens, and which is given to none that asks for a free port."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


async def test_readyz_says_which_server_is_waited_for_and_why(deploy: MakeDeployment, unused: str) -> None:
    deployment = await deploy()
    # (the check, what is set, what is said)
    cases = [
        (
            "postgres",
            {"TOLLBELL_DATABASE_URL": f"postgresql://me@{unused}/x"},
            f"Postgres: {unused}: connection refused",
        ),
        (
            "postgres",
            {"TOLLBELL_DATABASE_URL": f"postgresql://me@no-such.invalid,{unused}/x"},
            "Postgres: no-such.invalid:5432: the name cannot be resolved (",
        ),
        (
            "kafka",
            {"TOLLBELL_KAFKA_BOOTSTRAP_SERVERS": unused},
            f"Kafka: asking for topics: {unused}: connection refused",
        ),
        (
            "kafka",
            {"TOLLBELL_KAFKA_BOOTSTRAP_SERVERS": "no-such.invalid:9092"},
            "Kafka: asking for topics: no-such.invalid:9092: the name cannot be resolved (",
        ),
        (
            "kafka",
            {"TOLLBELL_KAFKA_SECURITY_PROTOCOL": "SSL"},
            f"Kafka: asking for topics: {deployment.environment['TOLLBELL_KAFKA_BOOTSTRAP_SERVERS']}: ",
        ),
    ]

    said = await asyncio.gather(*(waiting(deployment, check, **changed) for check, changed, _ in cases))

    assert [line[: len(start)] for line, (_, _, start) in zip(said, cases, strict=True)] == [
        start for *_, start in cases
    ]
    assert "check TOLLBELL_KAFKA_SECURITY_PROTOCOL" in said[-1]


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server of one's own: its settings are changed."""
    with account.scratch() as directory, choose.postgres_for_tests(directory, lambda _: None) as server:
        yield server


async def set_read_only(url: str, is_read_only: bool) -> None:
    connection = await asyncpg.connect(url, server_settings={"default_transaction_read_only": "off"})
    await connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {is_read_only}")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def until(claim: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await claim():
            await clock.sleep(0.1)


async def test_a_read_only_server_is_not_ready_and_is_disconnected(own_server: Server) -> None:
    database = await Database.connect(own_server.url, size=3)

    async def is_writable() -> bool:
        try:
            await database.now()
        except StoreUnavailable as exc:
            return "is read-only: a standby, or default_transaction_read_only is on" not in str(exc)
        return True

    async def is_read_only() -> bool:
        return not await is_writable()

    assert await is_writable()
    await set_read_only(own_server.url, True)
    await until(is_read_only)
    with pytest.raises(StoreUnavailable, match="is read-only"):
        await Database.connect(own_server.url, size=1)
    await set_read_only(own_server.url, False)
    await until(is_writable)  # the connections that it had are gone, and a new one finds it as it is
    await database.close()


async def sql(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for one in statements:
        await connection.execute(one)
    await connection.close()


async def test_migrate_says_what_a_user_lacks_that_may_make_no_tables(own_server: Server, tmp_path: Path) -> None:
    await sql(own_server.url, "CREATE ROLE guest LOGIN PASSWORD 'guest'", "CREATE DATABASE theirs")
    url = urlsplit(own_server.url)
    theirs = url._replace(netloc=f"guest:guest@{url.netloc.rpartition('@')[2]}", path="/theirs").geturl()
    nowhere = f"{theirs}?search_path=nowhere"

    done = [await Deployment({"TOLLBELL_DATABASE_URL": one}, tmp_path).tollbell("migrate") for one in (theirs, nowhere)]

    todo = "run as the user that migrated before; the first time, as one that may make tables there"
    assert [(one.status, one.err.partition(" (GRANT")[0]) for one in done] == [
        (1, f"tollbell: Postgres: permission denied for schema public: {todo}"),
        (1, f"tollbell: Postgres: no schema has been selected to create in: {todo}"),
    ]


async def test_a_database_that_cannot_hold_every_text_gets_no_schema(own_server: Server, tmp_path: Path) -> None:
    await sql(own_server.url, "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    url = urlsplit(own_server.url)._replace(path="/latin").geturl()

    done = await Deployment({"TOLLBELL_DATABASE_URL": url}, tmp_path).tollbell("migrate")

    says = "the database's encoding is LATIN1: make one with ENCODING 'UTF8' TEMPLATE template0"
    assert (done.status, done.err) == (1, f"tollbell: Postgres: {says}\n")


async def test_another_host_of_the_url_is_tried(migrated: str, unused: str) -> None:
    database = await Database.connect(migrated.replace("@", f"@{unused},", 1), size=1)

    assert await database.now()
    await database.close()


async def test_a_hanging_postgres_is_not_ready_within_seconds(deploy: MakeDeployment) -> None:
    """Long before its statements end."""
    deployment = await deploy(TOLLBELL_LOG_LEVEL="info")
    url = urlsplit(deployment.environment["TOLLBELL_DATABASE_URL"])
    async with Proxy(url.port or 5432, PostgresWire) as proxy:
        login = url.netloc.rpartition("@")[0]
        through = url._replace(netloc=f"{login}@127.0.0.1:{proxy.port}").geturl()
        async with await deployment.replica("--only", "serve", TOLLBELL_DATABASE_URL=through) as replica:
            await replica.logged("role.ready")

            proxy.freeze()
            [line] = await replica.logged("loop.waiting", name="postgres", seconds=COMMAND_TIMEOUT - 10)
            status, body = await replica.http("/readyz")

            assert line["error"] == json.loads(body)["checks"]["postgres"] == "Postgres: no answer in time"
            assert status == 503
            proxy.mend()
            await replica.logged("loop.resumed", name="postgres")
