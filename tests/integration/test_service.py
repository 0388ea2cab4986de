"""The service in the hands of an operator: wrong settings, servers away, changes in force, a graceful end."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest

from consumer.demo.servers import account
from consumer.demo.servers import postgres as servers
from consumer.demo.servers.contracts import Broker
from consumer.store import migrate
from tests.conftest import MakeDeployment, MakeTopic, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.service import Deployment, Finished, Topics, environment
from tests.support.verification import SECRET

# (settings, status, what the one line says)
WRONG: list[tuple[dict[str, str], int, str]] = [
    ({"TOLLBELL_DELIVERY_TIMEOUT": "0s"}, 2, "TOLLBELL_DELIVERY_TIMEOUT: must be from 100ms"),
    ({"TOLLBELL_DELIVERY_TIMEOT": "5s"}, 2, "unknown setting: did you mean TOLLBELL_DELIVERY_TIMEOUT?"),
    ({"TOLLBELL_ENCRYPTION_KEYS": "c2hvcnQ="}, 2, "TOLLBELL_ENCRYPTION_KEYS: key 1 has 5 bytes: must be 32"),
    ({"TOLLBELL_TOPICS_USAGE": "no-such-topic"}, 1, "not there, or not to be described: topic no-such-topic"),
    ({"TOLLBELL_TOPIC_DEAD_LETTERS": "no-such-dlq"}, 1, "topic no-such-dlq"),
    ({"TOLLBELL_HTTP_LISTEN": "nonsense"}, 2, "TOLLBELL_HTTP_LISTEN: must be host:port"),
]


async def test_a_wrong_setting_is_one_line_and_no_start(deploy: MakeDeployment) -> None:
    deployment = await deploy()

    runs = [deployment.tollbell("run", TOLLBELL_LOG_LEVEL="error", **settings) for settings, _, _ in WRONG]
    answers = await asyncio.gather(*runs)

    for (_, status, says), ended in zip(WRONG, answers, strict=True):
        assert (ended.status, ended.err.count("\n")) == (status, 1), ended.err
        assert says in ended.err
        assert "Traceback" not in ended.err


async def test_a_schema_that_does_not_fit_is_refused(
    kafka: Broker, database: str, make_topic: MakeTopic, tmp_path: Path
) -> None:
    topics = Topics(await make_topic(), await make_topic())
    values = environment(database=database, bootstrap=kafka.bootstrap, topics=topics, TOLLBELL_LOG_LEVEL="error")
    deployment = Deployment(values, tmp_path)

    none = await deployment.tollbell("run")
    await deployment.tollbell("migrate")
    connection = await asyncpg.connect(database)
    own = migrate.migrations()[-1].release
    await connection.execute("INSERT INTO schema_migration VALUES ('9999_01_future', $1, 'x')", own + 2)
    newer = await deployment.tollbell("run")
    await connection.execute("UPDATE schema_migration SET release = $1 WHERE release = $1 + 1", own + 1)
    await connection.close()

    assert none.status == newer.status == 1
    assert error(none) == "Postgres: the database has no schema of Tollbell: run `tollbell migrate` first"
    assert error(newer) == f"Postgres: the schema is of release {own + 2}, this is {own}: use a newer release"
    # The next release's schema is fine: one migrates first, then rolls.
    async with await deployment.replica(TOLLBELL_LOG_LEVEL="info") as replica:
        await replica.ready()


def error(ended: Finished) -> object:
    """Return why `run` has ended, which its one line says."""
    return json.loads(ended.err)["error"]


async def test_migrating_twice_changes_nothing(deploy: MakeDeployment) -> None:
    deployment = await deploy()

    again = await deployment.tollbell("migrate")

    assert (again.status, again.out) == (0, "the schema is up to date\n")


async def test_a_new_topic_begins_at_its_end_and_a_restart_loses_none(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_KAFKA_START="latest")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    await produce(topic, native_record(90, entitlement="before"))
    async with await deployment.replica() as replica:
        await replica.ready()
        assert await replica.terminate() == 0

    await produce(topic, native_record(90, entitlement="while-away"))
    async with await deployment.replica() as replica:
        await receiver.wait_for(1, timeout=30)

        assert b'"while-away"' in receiver.requests[0].body
        await replica.reaches("tollbell_records_total", 1, result="judged")
        assert await replica.metric("tollbell_records_total", result="judged") == 1


async def test_a_rule_change_is_in_force_within_a_second(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """A disabled rule makes nothing from the answer on."""
    deployment = await deploy()
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()
        applied = await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
        assert applied.out == "+ channel hook\n+ rule quota\n"
        await replica.logged("catalog.loaded", rules=1, seconds=1)
        await produce(topic, native_record(90, entitlement="one"))
        await receiver.wait_for(1)

        disabled = rules_yaml(receiver.url(), 80) + "    disabled: true\n"
        assert (await deployment.apply(disabled, HOOK_SECRET=SECRET)).out == (
            "= channel hook\n~ rule quota\n    disabled: false -> true\n"
        )
        await produce(topic, native_record(90, entitlement="two"))
        await replica.reaches("tollbell_records_total", 1, result="no_rule")

        assert len(receiver.requests) == 1
        assert await replica.metric("tollbell_events_total") == 1


@pytest.mark.real_kafka
async def test_the_service_waits_for_postgres_and_resumes_by_itself(
    kafka: Broker, make_topic: MakeTopic, produce: Produce, receiver: Receiver, tmp_path: Path
) -> None:
    topics = Topics(await make_topic(2), await make_topic())
    with account.scratch() as directory, servers.embedded(directory) as postgres:
        values = environment(database=postgres.url, bootstrap=kafka.bootstrap, topics=topics)
        deployment = Deployment(values, tmp_path)
        await deployment.tollbell("migrate")
        await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
        async with await deployment.replica() as replica:
            await replica.ready()

            await asyncio.to_thread(postgres.kill)
            await produce(topics.usage, native_record(90))
            await replica.logged("consume.waiting")
            status, body = await replica.http("/readyz")
            await asyncio.to_thread(postgres.start)

            assert status == 503, body
            await receiver.wait_for(1, timeout=30)
            await replica.logged("consume.resumed")
            await replica.readyz(200)
            assert (await replica.http("/livez"))[0] == 200
            assert await replica.terminate() == 0
    assert len(receiver.requests) == 1


async def test_a_start_waits_for_servers_and_sigterm_ends_the_wait(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    nowhere = {"TOLLBELL_DATABASE_URL": "postgresql://x@127.0.0.1:1/none"}
    async with await deployment.replica(**nowhere) as replica:
        await replica.logged("app.waiting", name="postgres")

        status, body = await replica.http("/readyz")

        assert status == 503
        assert "Postgres" in body
        assert await replica.terminate() == 0
    async with await deployment.replica(TOLLBELL_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1") as replica:
        await replica.logged("app.waiting", name="kafka")
        assert await replica.terminate() == 0


async def test_sigterm_finishes_what_is_in_flight_and_hands_back(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="1")
    await deployment.apply(rules_yaml(receiver.url(), 50, 80), HOOK_SECRET=SECRET)
    release = receiver.hold()
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))
        await receiver.wait_until(lambda _: receiver.in_flight == 1)

        ending = asyncio.create_task(replica.terminate())
        await replica.logged("app.stopping")
        release.set()

        assert await ending == 0
        assert len(receiver.requests) == 1
        await replica.logged("delivery.attempted", verdict="Delivered")
    async with await deployment.replica():
        await receiver.wait_for(2, timeout=20)
        ids = [request.headers["webhook-id"] for request in receiver.requests]
        assert len(set(ids)) == 2


async def test_a_drain_that_runs_out_of_time_records_what_it_cut_off(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_DRAIN_TIMEOUT="200ms")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    receiver.hold()
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))
        await receiver.wait_until(lambda _: receiver.in_flight == 1)

        assert await replica.terminate(10) == 0

        await replica.logged("delivery.attempted", outcome="interrupted", verdict="RetryIn", retry_in_s=0.0)
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    row = await connection.fetchrow("SELECT state, token, step, interrupted, due_at <= now() AS due FROM delivery")
    await connection.close()
    assert row is not None
    assert dict(row) == {"state": "SENDING", "token": None, "step": 0, "interrupted": 1, "due": True}
