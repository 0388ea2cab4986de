"""A claim, a look-up and a removal read one partition and its indexes."""

import datetime as dt
import json
from typing import Any

import pytest

from consumer.store import queries
from consumer.store.intervals import containing
from tests.support.partitions import DAY, KEEP, Connection, make_event, old_week
from tests.support.plans import nodes


async def plan(sql: Connection, name: str, **given: object) -> list[dict[str, Any]]:
    """The nodes of the generic plan, as the service has it, run."""
    await sql.execute("SET plan_cache_mode = force_generic_plan")
    query = queries.load(name)
    explained = await sql.prepare(query.sql)
    text = await explained.explain(*query.arguments(given), analyze=True)
    return list(nodes(text[0]["Plan"] if isinstance(text, list) else json.loads(text)[0]["Plan"]))


def scanned(found: list[dict[str, Any]], table: str) -> set[tuple[str, str]]:
    """Which partitions of *table* were looked into, and how."""
    return {
        (one["Relation Name"], one.get("Index Name", one["Node Type"]))
        for one in found
        if one.get("Relation Name", "").startswith(f"{table}_2") and one["Actual Loops"] > 0
    }


@pytest.fixture
async def many(sql: Connection, now: dt.datetime) -> dt.datetime:
    """Sixteen weeks of events, ended but for the newest."""
    for n in range(16):
        await old_week(sql, now - n * 7 * DAY)
    async with sql.transaction():  # one wait for the disk, not thousands
        for n in range(16 * 67):
            at = now - n * dt.timedelta(hours=2.5)
            await make_event(sql, at, ended_at=None if n < 5 else at, is_open=n < 5, payload=b"x" * 1900)
        for n in range(100):
            await make_event(sql, now - n * dt.timedelta(seconds=1), ended_at=now, payload=b"x" * 1900)
    await sql.execute("""
        INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
        VALUES ('c', 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1/', 'openmeter', '');
        INSERT INTO channel_pace (channel_id) VALUES ('c')
    """)
    await sql.execute("VACUUM ANALYZE")
    return now


async def test_a_claim_reads_one_partition_and_the_partial_index(sql: Connection, many: dt.datetime) -> None:
    given = {"channels": ["c"], "free": [3], "lease": dt.timedelta(seconds=30), "free_interruptions": 5}
    given |= {"burst_seconds": 0.1, "steps": 8, "held_bytes": 32_768, "but": [], "only": None}

    found = await plan(sql, "deliveries/claim", **given)

    week = containing(many)
    looked = scanned(found, "event")
    assert looked
    assert {table for table, _ in looked} <= {f"event_{one.name}" for one in (week, week.next(-1))}  # it may be Monday
    assert all(index != "Seq Scan" for _, index in looked)
    assert "delivery_due" in {one.get("Index Name") for one in found}


@pytest.mark.usefixtures("many")
async def test_an_event_is_looked_up_in_one_partition(sql: Connection, now: dt.datetime) -> None:
    id_ = await sql.fetchval("SELECT max(id) FROM event WHERE id < $1", containing(now).from_id)
    await sql.execute("SET plan_cache_mode = force_generic_plan")

    found = await sql.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT payload FROM event WHERE id = '{id_}'")  # noqa: S608

    week = containing(now).next(-1).name
    [(table, how)] = scanned(list(nodes(json.loads(found)[0]["Plan"])), "event")
    assert table == f"event_{week}"
    assert how != "Seq Scan"


async def test_what_must_be_kept_is_looked_for_in_one_partition(sql: Connection, many: dt.datetime) -> None:
    week = containing(many - 60 * DAY)

    found = await plan(
        sql, "retention/keeper", from_id=week.from_id, to_id=week.to_id, over_by=many - 50 * DAY, limit=10
    )

    assert scanned(found, "event") == {(f"event_{week.name}", f"event_{week.name}_pkey")}
    assert "delivery_once_for_each_channel" in {one.get("Index Name") for one in found}


async def test_removals_use_their_indexes(sql: Connection, now: dt.datetime) -> None:
    await sql.execute("""
        INSERT INTO entitlement
            (namespace, id, version, period_from, period_to, shown_at, written_at, ended, about, marks)
        SELECT 'default', n, 1, t - interval '1 d', t, t - interval '1 d', t, n % 10 = 0, '{}', '{}'
        FROM generate_series(1, 20000) n, LATERAL (SELECT now() - n * interval '10 min' AS t) s;
        INSERT INTO invoice SELECT 'default', n, 1, 'issued', now(), now() - n * interval '10 min'
        FROM generate_series(1, 20000) n;
        INSERT INTO event_identity SELECT sha256(n::text::bytea), n, now() - n * interval '10 min'
        FROM generate_series(1, 20000) n;
        INSERT INTO delivery (event_id, channel_id, namespace, state, ended_at)
        SELECT '01' || n, 'c', 'default', 'SUCCESS', now() - n * interval '10 min' FROM generate_series(10000, 30000) n;
        INSERT INTO job (id, namespace, kind, channel_id, since, state, total, ended_at)
        SELECT n, 'default', 'recover', 'c', now(), 'DONE', 1, now() - n * interval '10 min'
        FROM generate_series(1, 20000) n;
        ANALYZE;
    """)
    given = {"over_by": now - KEEP, "after": None, "limit": 100}

    indexes = {
        name: {one.get("Index Name") for one in await plan(sql, f"retention/{name}", **arguments)}
        for name, arguments in {
            "remove_entitlements": given,
            "remove_invoices": given,
            "remove_identities": given,
            "remove_jobs": given,
            "remove_deliveries": {"from_id": "0115", "to_id": "0116", "over_by": now, "limit": 100},
        }.items()
    }

    assert "entitlement_over" in indexes["remove_entitlements"]
    assert "invoice_by_age" in indexes["remove_invoices"]
    assert "event_identity_by_age" in indexes["remove_identities"]
    assert "job_ended" in indexes["remove_jobs"]
    assert "delivery_once_for_each_channel" in indexes["remove_deliveries"]
