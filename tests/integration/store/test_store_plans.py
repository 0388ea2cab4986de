"""What the statements of every second read: what they are about, however much else there is."""

import datetime as dt
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from consumer.store import queries
from consumer.store.database import SETTINGS
from tests.support.factories import NOW
from tests.support.one_rule import LEASE
from tests.support.plans import EXPLAIN, Plan

CHANNELS = """
    INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
    SELECT 'c' || n, 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1/', 'openmeter', 's' FROM generate_series(0, 9) n;
    INSERT INTO channel_pace (channel_id) SELECT id FROM channel
"""
ENDED = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, ended_at)
    SELECT n, 'c' || n % 10, 'default', 'SUCCESS', now() FROM generate_series(1, $1::int) n
"""
DUE = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
    SELECT 'due-' || n, 'c' || n % 10, 'default', 'PENDING', now() FROM generate_series(1, $1::int) n
"""
MANY = """
    INSERT INTO channel (id, namespace, type, name, url, format, signing_secret, rate_limit)
    SELECT 'm' || n, 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1/', 'openmeter', 's', $1
    FROM generate_series(1, 300) n
"""
HELD = """
    INSERT INTO delivery (event_id, channel_id, namespace, waits_for, state, due_at)
    SELECT 'held-' || n, 'c' || n % 10, 'default', 'due-' || n, 'PENDING', 'infinity' FROM generate_series(1, $1::int) n
"""
LATER = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
    SELECT 'later-' || n, 'c0', 'default', 'SENDING', now() + interval '1 hour' FROM generate_series(1, $1::int) n
"""
RULES = """
    INSERT INTO rule (id, namespace, type, name, spec)
    SELECT 'r' || n, 'default', 't', 'Rule', '{}' FROM generate_series(1, $1::int) n
"""
LIVE = """
    INSERT INTO entitlement (namespace, id, version, period_from, period_to, about, marks)
    SELECT 'default', n, 1, now() - interval '1 day', now() + n * interval '1 second', '{}', '{}'
    FROM generate_series(1, $1::int) n
"""
JOB = """
    INSERT INTO job (id, namespace, kind, channel_id, since, total)
    VALUES ('j', 'default', 'recover', 'c0', '2020-01-01', 1000)
"""
MANY_JOBS = """
    INSERT INTO job (id, namespace, kind, event_id, channel_id, since, filter, total)
    SELECT k.kind || n, 'ns-' || n % 5, k.kind, 'e', 'c0', '2020-01-01', '{}', 1
    FROM generate_series(1, $1::int) n
    CROSS JOIN (VALUES ('resend'), ('resend_many'), ('recover')) AS k (kind)
"""
WHOLE = {"steps": 8, "held_bytes": 32_768, "but": list(range(10**9, 10**9 + 1000)), "only": None}
ENDS = {"longest_round": dt.timedelta(days=3), "steps": 8, "free_interruptions": 5}
OVER = {**ENDS, "limit": 1000, "but": list(range(1000))}


@pytest.fixture
async def explaining(store: object, database: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection with the service's settings, to a database with ten channels."""
    assert store is not None
    connection = await asyncpg.connect(database, server_settings=SETTINGS)
    await connection.execute(CHANNELS)
    yield connection
    await connection.close()


async def test_a_claim_does_not_read_what_is_due_later(explaining: asyncpg.Connection) -> None:
    await explaining.execute(LATER, 10_000)
    await explaining.execute(DUE, 30)
    await explaining.execute("ANALYZE")

    claim = await explained(
        explaining,
        "deliveries/claim",
        channels=["c0"],
        free=[8],
        lease=LEASE,
        free_interruptions=5,
        burst_seconds=0.1,
        **WHOLE,
    )

    assert await explaining.fetchval("SELECT count(*) FROM delivery WHERE token IS NOT NULL") == 3
    assert claim.rows_read < 100


async def test_the_sweep_reads_nothing_where_nothing_is_over(explaining: asyncpg.Connection) -> None:
    await explaining.execute(DUE, 10_000)
    await explaining.execute("ANALYZE")

    over = await explained(explaining, "sweeps/over", **OVER)

    assert over.rows_read < 100


async def test_the_sweep_reads_only_deliveries_that_it_ends(
    explaining: asyncpg.Connection,
) -> None:
    """Those that are too late, or older than a disabling."""
    await explaining.execute("UPDATE channel SET expire_after = '1 h'")
    await explaining.execute("UPDATE channel SET disabled_by = 'person'")
    await explaining.execute("UPDATE channel SET disabled_by = NULL")
    await explaining.execute(DUE, 10_000)
    await explaining.execute("ANALYZE")

    over = await explained(explaining, "sweeps/over", **OVER)
    settle = await explained(explaining, "sweeps/settle", channel="c0", revision=2)

    assert max(over.rows_read, settle.rows_read) < 100
    assert await explaining.fetchval("SELECT count(*) FROM channel WHERE rounds_end_before IS NULL") == 1


@pytest.mark.parametrize("is_counted", [False, True])
async def test_a_hold_reads_only_what_is_freed_or_looked_at(
    explaining: asyncpg.Connection, *, is_counted: bool
) -> None:
    await explaining.execute("VACUUM ANALYZE")
    await explaining.execute(DUE, 10_000)
    await explaining.execute(HELD, 10_000)
    if is_counted:
        await explaining.execute("ANALYZE")
    place = {"event": "", "channel": "", "since": None, "since_id": 0, "settled": dt.timedelta()}

    hold = await explained(explaining, "sweeps/hold", **place, limit=500)
    await explained(
        explaining,
        "deliveries/claim",
        channels=["c0"],
        free=[100],
        lease=LEASE,
        free_interruptions=5,
        burst_seconds=0.1,
        **WHOLE,
    )
    leased = await explaining.fetch("SELECT id, token FROM delivery WHERE token IS NOT NULL")
    record = await explained(explaining, "deliveries/record", **successes(leased), max_events=10)
    ids = await explaining.fetchval("SELECT array_agg(id) FROM delivery WHERE event_id LIKE 'due-9_7_'")
    await explaining.execute("UPDATE delivery SET round_from = now() - interval '4 days' WHERE id = ANY ($1)", ids)
    sweep = await explained(explaining, "sweeps/sweep", ids=ids, **ENDS)

    freed = "SELECT count(*) FROM delivery WHERE waits_for IS NOT NULL AND due_at < 'infinity'"
    assert await explaining.fetchval(freed) == len(leased) + len(ids)
    assert "delivery_held" in hold.indexes
    assert "delivery_held" not in record.indexes | sweep.indexes
    assert hold.rows_read < 5000  # 500 and 500, in each of the statement's parts
    assert max(record.rows_read, sweep.rows_read) < 3000


async def test_the_sweep_finds_by_their_keys_what_it_ends(explaining: asyncpg.Connection) -> None:
    await explaining.execute(DUE, 10_000)
    await explaining.execute("ANALYZE")
    ids = await explaining.fetchval("SELECT array_agg(id) FROM (SELECT id FROM delivery ORDER BY id LIMIT 100) s")
    await explaining.execute("UPDATE delivery SET round_from = now() - interval '4 days' WHERE id = ANY ($1)", ids)

    sweep = await explained(explaining, "sweeps/sweep", ids=ids, **ENDS)

    assert await explaining.fetchval("SELECT count(*) FROM delivery WHERE reason = 'too_old'") == 100
    assert sweep.rows_read < 1000


async def test_the_clock_reads_no_period_that_goes_on(explaining: asyncpg.Connection) -> None:
    await explaining.execute(LIVE, 10_000)
    await explaining.execute("ANALYZE")
    but = {"but_namespaces": ["default"] * 1000, "but_ids": [f"e{n}" for n in range(1000)], "but_versions": [1] * 1000}

    ended = await explained(explaining, "memory/ended", delay=LEASE, limit=1000, **but)

    assert ended.indexes == {"entitlement_ends"}
    assert ended.rows_read < 100


@pytest.mark.parametrize("is_counted", [False, True])
async def test_a_change_among_many_rules_reads_that_one(explaining: asyncpg.Connection, *, is_counted: bool) -> None:
    await explaining.execute(RULES, 5_000)
    if is_counted:
        await explaining.execute("ANALYZE")
    since = await explaining.fetchval("SELECT revision FROM catalog")
    await explaining.execute("UPDATE rule SET disabled = true WHERE id = 'r7'")

    changes = await explained(explaining, "catalog/changes", since=since)

    assert "rule_by_revision" in changes.indexes
    assert changes.rows_read < 10


async def test_the_clock_finds_by_their_keys_what_it_takes_again(explaining: asyncpg.Connection) -> None:
    await explaining.execute(LIVE, 10_000)
    await explaining.execute("ANALYZE")
    keys = await explaining.fetch("SELECT namespace, id, version FROM entitlement LIMIT 100")

    taken = await explained(
        explaining,
        "memory/taken",
        namespaces=[key["namespace"] for key in keys],
        ids=[key["id"] for key in keys],
        versions=[key["version"] for key in keys],
    )

    assert taken.indexes == {"entitlement_pkey"}
    assert taken.rows_read < 500


@pytest.mark.parametrize("analyzed", ["as it is", "when nothing was open", "when all was empty"])
async def test_a_claim_is_fast_whatever_the_table_and_its_statistics(
    explaining: asyncpg.Connection, analyzed: str
) -> None:
    if analyzed == "when all was empty":
        await explaining.execute("VACUUM ANALYZE")
    await explaining.execute(ENDED, 80_000)
    if analyzed == "when nothing was open":
        await explaining.execute("ANALYZE")
    await explaining.execute(DUE, 4_000)
    if analyzed == "as it is":
        await explaining.execute("ANALYZE")
    channels = {"channels": [f"c{n}" for n in range(10)], "free": [10] * 10}

    due = await explained(explaining, "deliveries/due_channels", burst_seconds=0.1)
    over = await explained(explaining, "sweeps/over", **OVER)
    claim = await explained(
        explaining, "deliveries/claim", **channels, lease=LEASE, free_interruptions=5, burst_seconds=0.1, **WHOLE
    )
    leased = await explaining.fetch("SELECT id, token FROM delivery WHERE token IS NOT NULL")
    record = await explained(explaining, "deliveries/record", **successes(leased), max_events=10)

    assert len(leased) == await explaining.fetchval("SELECT count(*) FROM delivery WHERE attempts = 1") == 100
    assert ("delivery_due" in claim.indexes, "delivery_waiting" in record.indexes) == (True, True)
    assert max(due.rows_read, over.rows_read) < 100
    assert claim.rows_read < 1000
    assert record.rows_read < 2000


@pytest.mark.parametrize("rate_limit", [None, 1000.0])
@pytest.mark.parametrize("is_counted", [False, True])
async def test_many_channels_cost_each_as_much_as_one(
    explaining: asyncpg.Connection, rate_limit: float | None, *, is_counted: bool
) -> None:
    await explaining.execute(MANY, rate_limit)
    await explaining.execute("INSERT INTO channel_pace (channel_id) SELECT id FROM channel WHERE id LIKE 'm%'")
    await explaining.execute(DUE.replace("'c' || n % 10", "'m' || n % 300 + 1"), 600)
    if is_counted:
        await explaining.execute("ANALYZE")
    channels = {"channels": [f"m{n}" for n in range(1, 301)], "free": [2] * 300}

    due = await explained(explaining, "deliveries/due_channels", burst_seconds=0.1)
    claim = await explained(
        explaining, "deliveries/claim", **channels, lease=LEASE, free_interruptions=5, burst_seconds=0.1, **WHOLE
    )
    leased = await explaining.fetch("SELECT id, token FROM delivery WHERE token IS NOT NULL")
    record = await explained(explaining, "deliveries/record", **successes(leased), max_events=10)

    assert len(leased) == 600
    assert max(due.rows_read, claim.rows_read, record.rows_read) < 20 * len(leased)


async def test_a_step_of_a_recovery_reads_only_what_it_resends(
    explaining: asyncpg.Connection,
) -> None:
    await explaining.execute(ENDED, 10_000)
    await explaining.execute("ANALYZE")  # when nothing had failed
    await explaining.execute("UPDATE delivery SET state = 'FAILED'")
    await explaining.execute(JOB)

    recover = await explained(explaining, "jobs/recover", limit=500, but=[], after="")

    assert await explaining.fetchval("SELECT done FROM job") == 500
    assert recover.rows_read < 20 * 500


@pytest.mark.parametrize("kind", ["resend", "resend_many", "recover"])
async def test_the_next_job_is_found_without_a_look_at_all_others(explaining: asyncpg.Connection, kind: str) -> None:
    await explaining.execute(MANY_JOBS, 10_000)
    await explaining.execute("ANALYZE")
    limit = {} if kind == "resend" else {"limit": 500}

    worked = await explained(explaining, f"jobs/{kind}", but=["none"], after="ns-2", **limit)

    assert await explaining.fetch("SELECT DISTINCT namespace FROM job WHERE state <> 'WAITING'") == [("ns-3",)]
    assert worked.rows_read < 100


async def explained(connection: asyncpg.Connection, name: str, **arguments: object) -> Plan:
    """Run the statement *name*; return what it read."""
    query = queries.load(name)
    (made,) = json.loads(await connection.fetchval(EXPLAIN + query.sql, *query.arguments(arguments)))
    return Plan(name, "", made["Plan"], made["Execution Time"])


def successes(leased: list[asyncpg.Record]) -> dict[str, list[object]]:
    """Return the arguments of `record` for a 200 to each."""
    of_each: dict[str, object] = {
        "rounds": 1, "numbers": 1, "revisions": 1, "started": NOW, "urls": "https://x",
        "outcomes": "status", "statuses": 200,
        "durations": 12, "details": "", "bodies": "ok", "delivered": True, "delays": None, "spends": True,
        "pauses": None, "disables": None, "answered": True, "failed": False,
    }  # fmt: skip
    named = {"ids": [row["id"] for row in leased], "tokens": [row["token"] for row in leased]}
    return named | {name: [value] * len(leased) for name, value in of_each.items()}
