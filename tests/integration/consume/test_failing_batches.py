"""A batch that fails on the running service, with the next one on its heels; and one that cannot end."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from consumer import clock
from consumer.demo.servers.contracts import Broker
from tests.conftest import MakeDeployment, Produce
from tests.integration.consume.test_bad_records import header, letters
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.progress import WAITING, statement_waits
from tests.support.service import Deployment
from tests.support.verification import SECRET

LAST, NEXT = ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"), ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
TERMINATE = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WAITING}"  # noqa: S608


@contextlib.asynccontextmanager
async def rule_locked(database: str) -> AsyncIterator[asyncpg.Connection]:
    """Let every statement that makes an event wait, for as long as the body lasts."""
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM rule FOR UPDATE")
            yield connection
    finally:
        await connection.close()


async def deployed(deploy: MakeDeployment, receiver: Receiver, *thresholds: object, **settings: str) -> Deployment:
    deployment = await deploy(TOLLBELL_KAFKA_START="earliest", **settings)
    applied = await deployment.apply(rules_yaml(receiver.url(), *thresholds), HOOK_SECRET=SECRET)
    assert applied.status == 0, applied.err
    return deployment


@pytest.mark.parametrize("behind", [0, 0.005, 0.05, 0.3])
async def test_a_batch_that_fails_is_not_overtaken_by_the_next(
    behind: float, deploy: MakeDeployment, migrated: str, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deployed(deploy, receiver, 100)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()
        async with rule_locked(migrated) as connection:
            await produce(topic, native_record(100, calculated_at="2026-10-31T23:59:59Z", period=LAST), partition=0)
            await statement_waits(migrated)
            await connection.execute(TERMINATE)
            await clock.wait(asyncio.Event(), behind)
            await produce(topic, native_record(1, calculated_at="2026-11-01T00:00:01Z", period=NEXT), partition=0)

        (cut_off,) = await receiver.wait_for(1)

        assert json.loads(cut_off.body)["data"]["entitlement"]["currentUsagePeriod"]["from"] == LAST[0]
        assert await replica.terminate() == 0


async def test_the_drain_ends_though_postgres_holds_the_batch(
    deploy: MakeDeployment, migrated: str, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deployed(deploy, receiver, 80, TOLLBELL_DRAIN_TIMEOUT="1s")
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with rule_locked(migrated), await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(90), partition=0)
        await statement_waits(migrated)

        assert await replica.terminate(seconds=15) == 0  # a statement has 30 s

        assert replica.lines[-1]["event"] == "app.stopped"
    async with await deployment.replica():
        await receiver.wait_for(1)


async def test_a_record_with_too_many_events_is_a_dead_letter_alone(
    deploy: MakeDeployment, kafka: Broker, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deployed(deploy, receiver, *range(1, 101))
    topic, dead = (deployment.environment[f"TOLLBELL_{name}"] for name in ("TOPICS_USAGE", "TOPIC_DEAD_LETTERS"))
    large = native_record(100, customer={"id": "c-1", "metadata": {"note": "x" * 800_000}})
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, large, native_record(1, calculated_at="2026-11-22T10:16:00Z"), partition=0)

        (letter,) = await letters(kafka, dead, 1)
        (only,) = await receiver.wait_for(1)

        assert header(letter, "tollbell-reason") == "too_many_events"
        assert "100 events of together more than 16777216 bytes" in header(letter, "tollbell-error")
        assert json.loads(only.body)["data"]["threshold"]["value"] == 1
        assert await replica.terminate() == 0


async def test_an_unknown_failure_is_logged_and_narrowed_to_its_record(
    deploy: MakeDeployment, kafka: Broker, migrated: str, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deployed(deploy, receiver, 80)
    topic, dead = (deployment.environment[f"TOLLBELL_{name}"] for name in ("TOPICS_USAGE", "TOPIC_DEAD_LETTERS"))
    await fails_for(migrated, "ent-bad")
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(90, entitlement="ent-bad"), native_record(90), partition=0)

        (letter,) = await letters(kafka, dead, 1)
        await receiver.wait_for(1)

        assert len(await replica.logged("batch.failed", 3)) == 3
        assert header(letter, "tollbell-reason") == "refused_by_database"
        await replica.readyz(200)
        assert await replica.terminate() == 0


async def test_an_unknown_failure_of_all_is_logged_and_loses_nothing(
    deploy: MakeDeployment, migrated: str, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deployed(deploy, receiver, 80)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    await fails_for(migrated, "ent-1", column="entitlement_id", table="event", also="NEW.rule_id = ''")
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(90), partition=0)
        await replica.logged("batch.failed", 5)
        await replica.readyz(503)
        _, why = await replica.http("/readyz")
        connection = await asyncpg.connect(migrated)
        await connection.execute("DROP TRIGGER refuse ON event")
        await connection.close()

        await receiver.wait_for(1)

        assert "made to fail" in why
        await replica.readyz(200)
        assert await replica.terminate() == 0
    assert [line for line in replica.lines if line["event"] == "record.dead_lettered"] == []


async def fails_for(
    database: str, entitlement: str, *, column: str = "id", table: str = "entitlement", also: str = "false"
) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute(f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.{column} = '{entitlement}' OR {also} THEN RAISE EXCEPTION 'made to fail'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()
    """)
    await connection.close()
