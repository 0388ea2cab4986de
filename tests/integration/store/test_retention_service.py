"""Retention as its users see it: the service is started, and what is over is gone."""

import datetime as dt

import asyncpg
import pytest
from ulid_transform import ulid_at_time

from consumer.app import kafka as source_of
from consumer.config import read
from consumer.consume.topics import SLACK, Topics
from consumer.demo.servers.contracts import Broker
from consumer.errors import SourceUnavailable
from consumer.store import migrate, retention
from consumer.store.database import Database
from consumer.store.intervals import containing
from tests.conftest import MakeDeployment, MakeTopic, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.verification import SECRET

DAY = dt.timedelta(days=1)


async def test_a_running_service_removes_old_rows_and_delivers_on(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETENTION="30d")
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    async with await deployment.replica() as first:
        await first.ready()
        assert await first.metric("tollbell_retention_removed_total", what="partition") == 0
        await produce(topic, native_record(90, entitlement="ent-1"))
        await receiver.wait_for(1)
        await first.logged("delivery.attempted", verdict="Delivered")
        await first.reaches("tollbell_retention_partitions_ahead", 2)
        assert await first.terminate() == 0
    sql = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    week = await move_into_the_past(sql, 60 * DAY)

    async with await deployment.replica() as second:
        await second.ready()
        dropped = await second.logged("partition.dropped", len(retention.TABLES))
        removed = await second.logged("rows.removed", 2)
        await produce(topic, native_record(90, entitlement="ent-2"))
        await receiver.wait_for(2)
        await second.logged("delivery.attempted", verdict="Delivered")
        assert await second.metric("tollbell_retention_removed_total", what="partition") == len(retention.TABLES)
        assert await second.metric("tollbell_retention_removed_total", what="entitlement") == 1
        assert await second.terminate() == 0

    assert [(one["table"], one["from"]) for one in dropped] == [(table, week) for table in retention.TABLES]
    assert {(one["what"], one["rows"]) for one in removed} == {("entitlement", 1), ("identity", 1)}
    for table in ("event", "attempt", "delivery", "entitlement", "event_identity"):
        assert await sql.fetchval(f"SELECT count(*) FROM {table}") == 1, table  # noqa: S608
    assert await sql.fetchval("SELECT tableoid::regclass::text FROM event") == f"event_{containing(now()).name}"
    await sql.close()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)  # noqa: TID251 - which week the service writes to


async def move_into_the_past(sql: "asyncpg.Connection", by: dt.timedelta) -> str:
    """Let all that is there have been made, and have ended, that long ago; return its week."""
    at = now() - by
    week = containing(at)
    for table in retention.TABLES:
        bounds = (table, week.name, week.from_id, week.to_id)
        await sql.execute("SELECT make_partition($1, $2, $3, $4, 1000, false)", *bounds)
    id_ = ulid_at_time(at.timestamp())
    await sql.execute("UPDATE event SET id = $1, created_at = $2", id_, at)
    await sql.execute("UPDATE attempt SET event_id = $1", id_)
    await sql.execute("UPDATE delivery SET event_id = $1, created_at = $2, ended_at = $2", id_, at)
    await sql.execute("UPDATE event_identity SET event_id = $1, created_at = $2", id_, at)
    # Something has fired in its period, so the clock has ended it before it may go.
    await sql.execute(
        "UPDATE entitlement SET period_from = $1, period_to = $2, shown_at = $2, written_at = $2, ended = true",
        *(at - DAY, at),
    )
    # Whether this process has asked Kafka before its first removal is a matter of milliseconds: another one has.
    await sql.execute("INSERT INTO topic_retention VALUES ('another', '7 d')")
    return str(week.start.date())


@pytest.mark.real_kafka
async def test_topics_say_for_how_long_guards_are_kept(database: str, kafka: Broker, make_topic: MakeTopic) -> None:
    short = await make_topic(retention_ms=1000, segment_ms=2000)
    endless = await make_topic(retention_ms=-1)
    store = await Database.connect(database, size=2)
    await migrate.migrate(store)
    settings = read({"TOLLBELL_DATABASE_URL": database, "TOLLBELL_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap})
    source = source_of(settings)
    over_by = await store.now()

    before = await retention.guards_over_by(store, over_by, over_by)
    await Topics(source, store, [short, short]).once()
    known = await retention.guards_over_by(store, over_by - DAY, over_by)
    await Topics(source, store, [short, endless]).once()
    for_ever = await retention.guards_over_by(store, over_by - DAY, over_by)
    with pytest.raises(SourceUnavailable):
        await Topics(source, store, [short, "no-such-topic"]).once()

    assert before is None
    assert known == over_by - SLACK - dt.timedelta(seconds=3)
    assert for_ever is None
    await store.close()
