"""/metrics of a running replica: what is there when nothing happens, and within seconds of what does."""

import asyncio
import contextlib
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumer import clock
from consumer.demo.servers import account, postgres
from consumer.demo.servers import kafka as brokers
from consumer.demo.servers.contracts import Broker
from consumer.demo.servers.topics import create_topics
from consumer.store import migrate, paces, queries, sweeps
from consumer.store.sweeps import Swept
from tests.conftest import MakeDeployment, MakeTopic, Produce, producing
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.service import Deployment, Replica, Topics, environment
from tests.support.stores import ENDS, Store, ended
from tests.support.verification import SECRET

MOST = 250  # series of an idle replica
GONE = (
    "tollbell_outbox_due",
    "tollbell_deliveries",
    "tollbell_channels",
    "tollbell_outbox_oldest_due_age_seconds",
    "tollbell_outbox_oldest_sendable_age_seconds",
)


async def becomes(replica: Replica, name: str, wanted: float | None, seconds: float = 30, **labels: str) -> float:
    """Return after how many seconds a sample of /metrics is *wanted*; None: absent."""
    began = clock.monotonic()
    async with asyncio.timeout(seconds):
        while await replica.sample(name, **labels) != wanted:
            await clock.wait(asyncio.Event(), 0.1)
    return clock.monotonic() - began


@contextlib.contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """Stop a server for the body: it answers nothing, and its connections stay."""
    assert pid is not None
    server = psutil.Process(pid)
    for process in (processes := [server, *server.children(recursive=True)]):
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def test_an_idle_replica_has_few_series_and_says_what_it_is(
    kafka: Broker, migrated: str, make_topic: MakeTopic, receiver: Receiver, tmp_path: Path
) -> None:
    usage, resets, invoices, letters = [await make_topic(1) for _ in range(4)]
    values = environment(database=migrated, bootstrap=kafka.bootstrap, topics=Topics(usage, letters))
    values |= {"TOLLBELL_TOPICS_RESETS": resets, "TOLLBELL_TOPICS_INVOICES": invoices}
    deployment = Deployment(values, tmp_path)
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    async with await deployment.replica() as replica:
        await replica.ready()
        await replica.reaches("tollbell_consumer_lag", 0, topic=invoices)
        await replica.reaches("tollbell_retention_partitions_ahead", 2)
        await replica.reaches("tollbell_channels", 1, state="enabled")

        _, text = await replica.http("/metrics")

        series = [line for line in text.splitlines() if not line.startswith("#")]
        families = list(text_string_to_metric_families(text))
        assert len(series) <= MOST
        assert [line for line in series if line.partition(" ")[0].partition("{")[0].endswith("_created")] == []
        assert [one.name for one in families if not one.documentation] == []
        assert await replica.metric(
            "tollbell_build_info",
            version=version("tollbell"),
            schema=migrate.migrations()[-1].name,
            python=".".join(map(str, sys.version_info[:3])),
        )
        ready = {
            one.labels["check"]: one.value for family in families for one in family.samples if "check" in one.labels
        }
        assert ready == dict.fromkeys(["catalog", "consume", "deliver", "kafka", "period-ends", "postgres", "start"], 1)


async def test_statements_are_timed_by_module_and_name(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    async with await deployment.replica() as replica:
        for statement in ("deliveries/gauges", "catalog/revision"):
            await replica.reaches("tollbell_postgres_statement_seconds_count", 1, statement=statement)

        _, text = await replica.http("/metrics")

        assert set(re.findall(r'statement="([^"]*)"', text)) <= set(queries.names())
        assert await replica.metric("tollbell_postgres_statement_seconds_sum", statement="catalog/revision") > 0


async def test_answers_and_ends_of_deliveries_are_counted_by_kind(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,10ms")
    await deployment.apply(rules_yaml(receiver.url(), 50, 80), HOOK_SECRET=SECRET)
    receiver.answer(400, 400, 503, 200)
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))

        await replica.reaches("tollbell_attempts_total", 1, outcome="success")
        await replica.reaches("tollbell_deliveries_ended_total", 1, state="FAILED", reason="attempts")
        answers = {n: await replica.metric("tollbell_answers_total", status_class=f"{n}xx") for n in (2, 4, 5)}
        assert answers == {2: 1, 4: 2, 5: 1}
        assert await replica.metric("tollbell_deliveries_ended_total", state="SUCCESS", reason="answered") == 1
        assert await replica.metric("tollbell_source_to_first_attempt_seconds_count") == 2
        assert await replica.metric("tollbell_source_to_webhook_seconds_count") == 1
        topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
        assert (
            abs(await replica.metric("tollbell_last_record_timestamp_seconds", topic=topic) - clock.now().timestamp())
            < 60
        )


async def test_a_channel_is_failing_in_every_replica_until_it_works(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,8s")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    receiver.answer(500, 200)
    async with await deployment.replica() as one, await deployment.replica() as other:
        await one.ready()
        await other.ready()
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))

        failing = await asyncio.gather(*(becomes(each, "tollbell_channel_failing", 1) for each in (one, other)))
        works = await asyncio.gather(*(becomes(each, "tollbell_channel_failing", None) for each in (one, other)))

        assert max(failing) < 15
        assert max(works) < 30


async def test_failing_channels_may_send_and_the_longest_is_first(
    stored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paces, "SHOWN", 2)
    await stored.configure({key: {} for key in ("disabled", "second", "third", "first", "well")})
    await stored.events(1)
    for key in ("disabled", "first", "second", "third"):
        await stored.record(ended((await stored.claim(key))[0]))
    await stored.sql("UPDATE channel SET disabled_by = 'tollbell' WHERE key = 'disabled'")

    failing = await paces.failing(stored.database)

    assert failing == [stored.ids["first"], stored.ids["second"]]


async def test_an_end_counts_once_however_often_it_is_recorded(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(2)
    good, bad = await stored.claim("hook")

    first = await stored.record(ended(good, 200), ended(bad))
    again = await stored.record(ended(good, 200))

    assert dict(first.ends) == {("SUCCESS", "answered"): 1}
    assert dict(again.ends) == {}


async def test_what_is_made_for_a_disabled_channel_ends_at_once(stored: Store) -> None:
    await stored.configure({"down": {}, "well": {}})
    await stored.sql("UPDATE channel SET disabled_by = 'tollbell' WHERE key = 'down'")

    written = await stored.write(3)

    assert [(one.deliveries, len(one.failed)) for one in written] == [(2, 1)] * 3


@contextlib.contextmanager
def gone(server: postgres.Postgres) -> Iterator[None]:
    """Kill a server for the body."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@pytest.mark.parametrize(("outage", "most"), [(gone, 20), (lambda server: frozen(server.pid), 50)])
async def test_without_postgres_nothing_is_said_of_its_tables(
    kafka: Broker,
    make_topic: MakeTopic,
    tmp_path: Path,
    outage: Callable[[postgres.Postgres], AbstractContextManager[None]],
    most: float,
) -> None:
    topics = Topics(await make_topic(), await make_topic())
    with account.scratch() as directory, postgres.embedded(directory) as server:
        values = environment(database=server.url, bootstrap=kafka.bootstrap, topics=topics)
        deployment = Deployment(values, tmp_path)
        await deployment.tollbell("migrate")
        async with await deployment.replica() as replica:
            await replica.ready()
            await replica.reaches("tollbell_outbox_due", 0)

            with outage(server):
                seconds = {name: await becomes(replica, name, None, seconds=60) for name in GONE}
                unready = sum(seconds.values()) + await becomes(
                    replica, "tollbell_ready", 0, check="postgres", seconds=60
                )

            assert sum(seconds.values()) < 30
            assert unready < most
            await replica.reaches("tollbell_outbox_due", 0, seconds=60)
            await becomes(replica, "tollbell_ready", 1, check="postgres", seconds=60)


@contextlib.asynccontextmanager
async def on_a_broker_of_its_own(
    database: str, directory: Path
) -> AsyncIterator[tuple[brokers.ApacheKafka, Deployment]]:
    """Give a broker that may be stopped, and a deployment on it."""
    with account.scratch() as scratch, brokers.local(scratch) as broker:
        await create_topics(broker, {"usage": 1, "dead": 1})
        values = environment(database=database, bootstrap=broker.bootstrap, topics=Topics("usage", "dead"))
        yield broker, Deployment(values, directory)


@pytest.mark.real_kafka
async def test_with_kafka_frozen_lag_is_unknown_and_a_check_fails(
    migrated: str, receiver: Receiver, tmp_path: Path
) -> None:
    async with on_a_broker_of_its_own(migrated, tmp_path) as (broker, deployment):
        await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
        async with await deployment.replica() as replica:
            await replica.ready()
            async with producing(broker) as produce:
                await produce("usage", native_record(10))
            await becomes(replica, "tollbell_consumer_lag_seconds", 0, topic="usage")
            with frozen(broker.pid):
                unready = await becomes(replica, "tollbell_ready", 0, check="consume")
                unknown = await becomes(replica, "tollbell_consumer_lag", None)
                seconds = await replica.sample("tollbell_consumer_lag_seconds")
                newest = await replica.sample("tollbell_last_record_timestamp_seconds", topic="usage")

            assert unready < 20
            assert unknown < 20
            assert seconds is None
            assert newest is not None
            await becomes(replica, "tollbell_consumer_lag", 0, seconds=60, topic="usage")


async def test_while_postgres_is_gone_the_oldest_record_ages(
    kafka: Broker, make_topic: MakeTopic, produce: Produce, receiver: Receiver, tmp_path: Path
) -> None:
    topics = Topics(await make_topic(), await make_topic())
    with account.scratch() as directory, postgres.embedded(directory) as server:
        values = environment(database=server.url, bootstrap=kafka.bootstrap, topics=topics)
        deployment = Deployment(values, tmp_path)
        await deployment.tollbell("migrate")
        await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
        async with await deployment.replica() as replica:
            await replica.ready()
            await replica.reaches("tollbell_consumer_lag_seconds", 0, topic=topics.usage)
            await asyncio.to_thread(server.kill)
            await produce(topics.usage, native_record(90))
            produced = clock.monotonic()

            await replica.reaches("tollbell_consumer_lag_seconds", 6, topic=topics.usage)

            assert 6 <= await replica.metric("tollbell_consumer_lag_seconds") <= clock.monotonic() - produced + 1
            assert await replica.metric("tollbell_consumer_lag", topic=topics.usage) == 1
            await asyncio.to_thread(server.start)
            await receiver.wait_for(1, timeout=30)
            await becomes(replica, "tollbell_consumer_lag_seconds", 0, topic=topics.usage)


async def test_a_sweep_says_why_it_ended_what_it_ended(stored: Store) -> None:
    await stored.configure({"late": {"expireAfter": "1s"}, "gone": {}})
    await stored.events(2)
    await stored.sql(
        "UPDATE delivery SET created_at = created_at - interval '1 h', round_from = round_from - interval '1 h'"
    )
    await stored.sql("UPDATE channel SET deleted_at = now() WHERE key = 'gone'")
    swept: list[Swept] = []

    await sweeps.sweep(stored.database, ENDS, swept=swept)

    assert Counter((one.state, one.reason) for one in swept) == {
        ("FAILED", "expired"): 2,
        ("FAILED", "channel_deleted"): 2,
    }
