"""Processes that say they are there: by the API and the console, to tokens for all namespaces alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from consumer import clock
from consumer.metrics import Metrics
from consumer.presence import EVERY, Presence
from consumer.store.database import Database
from consumer.store.replicas import MOST, seen
from tests.conftest import MakeDeployment, Produce, Shared
from tests.support.api import Api, talking
from tests.support.console import Seen, browsing
from tests.support.factories import native_record
from tests.support.partitions import DAY, Connection, duty

Items = list[dict[str, Any]]
ALL = "*:read:reader-of-all,default:write:writer"


def presence(store: Database, replica_id: str, *, consumes: bool = False, **failing: str) -> Presence:
    return Presence(
        store,
        Metrics(),
        replica_id=replica_id,
        version="1.2.3",
        roles=["serve"],
        consumes=consumes,
        failing=lambda: failing,
    )


async def listed(api: Api, enough: Callable[[Items], bool]) -> Items:
    """Return what the API lists, once that is *enough*."""
    async with asyncio.timeout(3 * EVERY):
        while True:
            status, found = await api("GET", "/replicas")
            if status == 200 and enough(found["items"]):
                items: Items = found["items"]
                return items
            await clock.sleep(0.1)  # it is written every ten seconds


def are(count: int) -> Callable[[Items], bool]:
    return lambda items: len(items) == count


async def test_each_process_says_what_it_does_and_how_far_it_is(deploy: MakeDeployment, produce: Produce) -> None:
    deployment = await deploy(TOLLBELL_API_TOKENS=ALL)
    async with await deployment.replica("--only", "consume") as reader:
        await reader.ready()
        topic = (await reader.logged("topic.start_resolved"))[0]["topic"]
        await produce(topic, native_record(85), b"not a record")
        await reader.logged("record.dead_lettered")
        async with (
            await deployment.replica("--only", "serve,deliver") as server,
            talking(server, token="reader-of-all") as api,
        ):
            first, second = await listed(
                api, lambda items: len(items) == 2 and items[0]["records"] == 2 and bool(items[0]["partitions"])
            )
            assert await reader.terminate() == 0
            left = await listed(api, are(1))

    assert (first["roles"], first["ready"], first["deadLetters"]) == (["consume"], True, {"not_json": 1})
    assert first["pid"] == reader.process.pid
    assert second["roles"] == ["deliver", "serve"]
    assert not {"records", "deadLetters", "partitions"} & second.keys()
    assert left[0]["id"] == second["id"]


async def test_a_check_that_fails_is_shown_with_its_reason(store: Database, sql: Connection) -> None:
    await presence(store, "a", kafka="cannot be reached").once()
    await presence(store, "a", kafka="cannot be reached\0" + "x" * 1000, postgres="slow").once()

    (row,) = await sql.fetch("SELECT failing->>'kafka' AS why, failing->>'postgres' AS also FROM replica")

    assert row["why"].startswith("cannot be reachedxx")
    assert len(row["why"]) < 501
    assert row["also"] == "slow"


async def test_what_is_not_known_of_a_partition_is_absent(store: Database, sql: Connection) -> None:
    made = presence(store, "a", consumes=True)
    made._metrics.lag("usage", 3, 7, None)  # noqa: SLF001 - as Kafka's answer sets it

    await made.once()

    assert await sql.fetchval("SELECT partitions FROM replica") == '[{"lag": 7, "topic": "usage", "partition": 3}]'


async def test_a_process_that_died_is_silent_and_goes_after_a_day(store: Database, sql: Connection) -> None:
    for name, age in (("a-dead", DAY * 1.1), ("b-silent", DAY / 2)):
        await presence(store, name).once()
        await sql.execute("UPDATE replica SET seen_at = seen_at - $2::interval WHERE id = $1", name, age)

    await duty(store).once()

    assert [row["id"] for row in await sql.fetch("SELECT id FROM replica")] == ["b-silent"]


async def test_of_very_many_those_heard_of_last_are_listed(store: Database, sql: Connection) -> None:
    await sql.execute(
        "INSERT INTO replica (id, host, pid, version, roles, failing, seen_at)"
        " SELECT 'a' || n, 'killed-again', n, '1', '{deliver}', '{}', now() - n * interval '1 min'"
        " FROM generate_series(1, $1::int) AS n",
        MOST,
    )
    await presence(store, "z-lives").once()

    ids = [one.replica.id for one in await seen(store)]

    assert (len(ids), ids[-1], f"a{MOST}" in ids) == (MOST, "z-lives", False)


async def page(shared: Shared, token: str) -> Seen:
    async with browsing(shared.replica, token=token) as browser:
        return await browser.get("/replicas")


async def test_a_silent_process_is_shown_as_such(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_API_TOKENS=ALL)
    async with await deployment.replica("--only", "serve") as replica:
        await replica.logged("role.ready", role="serve")
        async with (
            talking(replica, token="reader-of-all") as api,
            browsing(replica, token="reader-of-all") as browser,
        ):
            await listed(api, are(1))
            alive = await browser.get("/replicas")
            connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
            await connection.execute(
                "INSERT INTO replica (id, host, pid, version, roles, failing, seen_at)"
                " VALUES ('0', 'gone-host', 7, '1', '{deliver}', '{}', now() - interval '31 s')"
            )
            await connection.close()
            after = await browser.get("/replicas")

    assert ("silentlast heard" in alive.text, "ready" in alive.text) == (False, True)
    assert ("gone-host" in after.text, "silentlast heard of" in after.text) == (True, True)


@pytest.mark.parametrize("scope", ["write", "read"])
async def test_only_a_token_for_all_namespaces_sees_them(shared: Shared, scope: str) -> None:
    namespace, token = next(shared.namespaces)
    given = token if scope == "write" else f"read-{token}"
    async with talking(shared.replica, token=given, namespace=namespace) as api:
        status, _ = await api("GET", "/replicas")
    seen = await page(shared, given)

    assert (status, seen.status) == (403, 403)


async def test_settings_are_shown_without_secrets(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_API_TOKENS=ALL)
    async with await deployment.replica("--only", "serve") as replica:
        await replica.logged("role.ready", role="serve")
        async with browsing(replica, token="reader-of-all") as browser:
            seen = await browser.get("/replicas")

    assert "TOLLBELL_RETENTION90d" in seen.text
    for name in ("TOLLBELL_DATABASE_URL", "TOLLBELL_ENCRYPTION_KEYS", "TOLLBELL_API_TOKENS"):
        assert f"{name}***" in seen.text
        assert deployment.environment[name] not in seen.html
