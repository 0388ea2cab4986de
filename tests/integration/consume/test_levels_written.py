"""A coarse level that came by a record which changed nothing else: written beside the batches, on a real Postgres."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from consumer import log
from consumer.consume.ingest import Ingest
from consumer.consume.levels import Levels
from consumer.demo.servers.contracts import Broker
from consumer.errors import StoreUnavailable
from consumer.store.database import Database
from tests.conftest import MakeDeployment, Produce
from tests.integration.consume.test_glances import at, ingest, passed, take
from tests.integration.consume.test_stale_memory import NOTIFIED
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.one_rule import configure, scalar
from tests.support.progress import WAITING, read_to_the_end, statement_waits
from tests.support.verification import SECRET

ROW = "SELECT level || '% at ' || extract(second FROM level_at)::int || ', version ' || version FROM entitlement"
FAILS = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'made to fail' USING ERRCODE = '{state}'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON entitlement FOR EACH ROW WHEN (NEW.level = 40) EXECUTE FUNCTION refuse()
"""


@asynccontextmanager
async def connected(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    try:
        yield connection
    finally:
        await connection.close()


async def standing(store: Database) -> Ingest:
    """A consumer of which the entitlement stands at 10 %, as its row has it."""
    await configure(store, "hook")
    to = await ingest(store)
    await take(to, at(0, 10), at(1, 10))
    return to


def levels(of: Ingest) -> Levels:
    return Levels(of.database, of.memory)


async def test_it_is_written_and_the_version_stays(store: Database, database: str) -> None:
    to = await standing(store)

    taken = await take(to, at(2, 25), at(3, 41))
    before = await scalar(database, ROW)
    await levels(to).write()

    assert (taken.wanted, taken.reasons.total()) == (0, 2)
    assert (before, await scalar(database, ROW)) == ("10% at 0, version 1", "40% at 3, version 1")
    assert (to.memory.leveled(), passed(to, at(4, 41))) == ({}, 1)


async def test_a_crossing_is_written_with_the_level_before_it(store: Database, database: str) -> None:
    """Whichever of the two comes first."""
    to = await standing(store)

    crossed = await take(to, at(2, 41), at(3, 85), at(4, 95))
    await levels(to).write()

    assert crossed.events == 1
    assert await scalar(database, ROW) == "90% at 4, version 2"


async def test_a_row_that_another_has_written_is_left_and_read_again(store: Database, database: str) -> None:
    to, elsewhere = await standing(store), await ingest(store)
    await take(elsewhere, at(5, 85))

    await take(to, at(9, 41))
    await levels(to).write()

    assert await scalar(database, ROW) == "80% at 5, version 2"
    assert (to.memory.leveled(), passed(to, at(10, 95))) == ({}, 0)
    assert (await take(to, at(10, 95))).events == 0


async def test_a_level_of_a_newer_record_stays(store: Database, database: str) -> None:
    """Of a replica that has taken over, and whose row has the same version."""
    to, elsewhere = await standing(store), await ingest(store)
    await take(elsewhere, at(2, 10))
    await take(elsewhere, at(9, 55))
    await levels(elsewhere).write()

    await take(to, at(3, 41))
    await levels(to).write()

    assert await scalar(database, ROW) == "50% at 9, version 1"


async def test_a_row_that_is_being_written_is_not_waited_for(store: Database, database: str) -> None:
    to = await standing(store)
    await take(to, at(2, 41))
    async with connected(database) as other, other.transaction():
        await other.execute("SELECT FROM entitlement FOR UPDATE")
        await levels(to).write()

    assert await scalar(database, ROW) == "10% at 0, version 1"
    await levels(to).write()

    assert await scalar(database, ROW) == "40% at 2, version 1"
    assert to.memory.leveled() == {}


async def test_a_row_another_has_written_gets_the_newer_level(store: Database, database: str) -> None:
    """Of a quiet entitlement no record comes again: one from `dlq replay` must not take its last level away."""
    to = await standing(store)
    await take(to, at(2, 41))
    async with connected(database) as other:
        await other.execute("UPDATE entitlement SET version = version + 1")

    await levels(to).write()

    assert await scalar(database, ROW) == "40% at 2, version 2"
    assert (to.memory.leveled(), passed(to, at(3, 41))) == ({}, 0)


@pytest.mark.parametrize(
    "changed", ["period_from = period_from + interval '1 second'", "begins_at = level_at", "ended = true"]
)
async def test_a_row_of_another_period_gets_none(store: Database, database: str, changed: str) -> None:
    to = await standing(store)
    await take(to, at(2, 41))
    async with connected(database) as other:
        await other.execute(f"UPDATE entitlement SET version = version + 1, {changed}")  # noqa: S608

    await levels(to).write()

    assert await scalar(database, ROW) == "10% at 0, version 2"
    assert to.memory.leveled() == {}


async def test_a_document_that_is_read_before_it_is_written_has_it(store: Database, database: str) -> None:
    """Else a level that falls back to what the row had would stay."""
    to = await standing(store)
    await take(to, at(2, 41))
    to.memory.forget()

    await take(to, at(3, 10))
    await levels(to).write()
    rise = await scalar(database, ROW)
    await take(to, native_record(10, calculated_at="2026-11-22T10:25:07Z"))
    await levels(to).write()

    assert (rise, await scalar(database, ROW)) == ("40% at 2, version 1", "10% at 7, version 1")


@pytest.mark.parametrize("state", ["P0001", "23514"])
async def test_a_level_that_postgres_fails_holds_up_nothing(store: Database, database: str, state: str) -> None:
    to = await standing(store)
    async with connected(database) as other:
        await other.execute(FAILS.format(state=state))
    said = log.ERRORS["levels.not_written"]

    await take(to, at(2, 41))
    await levels(to).write()
    await take(to, at(3, 85))

    assert await scalar(database, ROW) == "80% at 3, version 2"
    assert log.ERRORS["levels.not_written"] == said + 1
    assert await scalar(database, NOTIFIED) == ["triggered 1"]


async def test_what_postgres_did_not_answer_is_written_the_next_time(store: Database, database: str) -> None:
    """Whatever is forgotten meanwhile."""
    to = await standing(store)
    await take(to, at(2, 41))
    async with connected(database) as other, other.transaction():
        await other.execute("LOCK TABLE entitlement")
        writing = asyncio.create_task(levels(to).write())
        await statement_waits(database)
        await other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WAITING}")  # noqa: S608
        with pytest.raises(StoreUnavailable):
            await writing
    to.memory.forget()

    await levels(to).write()

    assert await scalar(database, ROW) == "40% at 2, version 1"


async def test_a_replica_writes_it_before_the_records_offset(
    deploy: MakeDeployment, kafka: Broker, receiver: Receiver, produce: Produce
) -> None:
    deployment = await deploy(HOOK_SECRET=SECRET)
    assert (await deployment.apply(rules_yaml(receiver.url(), 80))).status == 0
    topic, url = deployment.environment["TOLLBELL_TOPICS_USAGE"], deployment.environment["TOLLBELL_DATABASE_URL"]
    async with await deployment.replica() as replica:
        await replica.serves(rules=1)
        for second, usage in enumerate((10, 10, 41)):
            await produce(topic, at(second, usage), partition=0)
            await read_to_the_end(kafka, deployment.environment["TOLLBELL_KAFKA_GROUP_ID"], topic)

        assert await scalar(url, ROW) == "40% at 2, version 1"
