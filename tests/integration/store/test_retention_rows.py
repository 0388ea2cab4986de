"""What is removed row by row: documents and identities, once nothing can need them."""

import datetime as dt

import asyncpg
import msgspec
import pytest

from consumer.consume.memory import Memory
from consumer.decide.model import UNSEEN, Document
from consumer.store import outbox, retention
from consumer.store.database import Database
from consumer.store.memory import EntitlementKey
from consumer.store.outbox import Change, Result
from consumer.store.retention import Removable
from tests.integration.consume.test_glances import ingest, take
from tests.support.factories import native_record
from tests.support.one_rule import configure
from tests.support.partitions import DAY, KEEP, Connection, count, duty


async def make_entitlement(sql: Connection, id_: str, period_to: dt.datetime, *, ended: bool = True) -> None:
    await sql.execute(
        """INSERT INTO entitlement
               (namespace, id, version, period_from, period_to, shown_at, written_at, ended, about, marks)
           VALUES ('default', $1, 1, $2, $3, $2, $3, $4, '{}', '{}')""",
        id_,
        period_to - 30 * DAY,
        period_to,
        ended,
    )


@pytest.fixture
async def week(store: Database) -> None:
    """A topic that keeps its records for less than the retention."""
    await retention.remember_topics(store, {"usage": 7 * DAY})


async def remaining(sql: Connection, table: str) -> list[str]:
    return [row["id"] for row in await sql.fetch(f"SELECT id FROM {table} ORDER BY id")]  # noqa: S608


@pytest.mark.usefixtures("week")
async def test_an_entitlement_is_kept_a_retention_after_its_period(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    """It also waits until the clock has ended that period."""
    await make_entitlement(sql, "a-over", now - KEEP - DAY)
    await make_entitlement(sql, "b-young", now - KEEP + DAY)
    await make_entitlement(sql, "c-current", now + DAY, ended=False)
    await make_entitlement(sql, "d-to-be-ended", now - KEEP - DAY, ended=False)

    await duty(store).once()

    assert await remaining(sql, "entitlement") == ["b-young", "c-current", "d-to-be-ended"]


@pytest.mark.usefixtures("week")
async def test_an_endless_entitlement_goes_after_its_deletion_or_end(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    over, young = now - KEEP - DAY, now - KEEP + DAY
    for id_, deleted_at, active_to in (
        *[("a-deleted", over, None), ("b-inactive", None, over), ("c-deleted-first", over, now + DAY)],
        *[("d-young", young, None), ("e-young", None, young), ("f-lives", None, None)],
    ):
        await make_entitlement(sql, id_, over, ended=False)
        await sql.execute(
            "UPDATE entitlement SET period_to = NULL, deleted_at = $2, active_to = $3 WHERE id = $1",
            *(id_, deleted_at, active_to),
        )

    await duty(store).once()

    assert await remaining(sql, "entitlement") == ["d-young", "e-young", "f-lives"]


@pytest.mark.usefixtures("week")
async def test_a_late_entitlement_that_fired_waits_for_the_clock(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    """It was first seen after its end."""
    for id_, fired_at in (("a-silent", None), ("b-fired", now)):
        await make_entitlement(sql, id_, now - KEEP - DAY, ended=False)
        await sql.execute("UPDATE entitlement SET shown_at = now(), fired_at = $2 WHERE id = $1", id_, fired_at)

    await duty(store).once()

    assert await remaining(sql, "entitlement") == ["b-fired"]


@pytest.mark.usefixtures("week")
async def test_a_remembered_document_that_is_gone_starts_from_scratch(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    key = EntitlementKey("default", "ent-1")
    await make_entitlement(sql, "ent-1", now - KEEP - DAY)
    memory = Memory(store, limit=10)
    with memory.filling() as filling:
        memory.remember(await memory.load([key]), filling)
    await duty(store).once()
    remembered = (await memory.load([key]))[key]
    period = {"period_from": now, "period_to": now + DAY}
    rolled = msgspec.structs.replace(remembered, **period)

    (result,) = await outbox.write(store, [Change(key, rolled, b"{}", ())])
    memory.forget([key])
    reloaded = (await memory.load([key]))[key]
    (again,) = await outbox.write(store, [Change(key, msgspec.structs.replace(reloaded, **period), b"{}", ())])

    assert remembered.version == 1
    assert result.result is Result.CHANGED
    assert isinstance(reloaded, Document)
    assert reloaded == UNSEEN
    assert again.result is Result.WRITTEN
    assert await remaining(sql, "entitlement") == ["ent-1"]


@pytest.mark.usefixtures("week")
async def test_a_document_that_a_writer_holds_is_left_to_it(
    store: Database, sql: Connection, database: str, now: dt.datetime
) -> None:
    await make_entitlement(sql, "ent-1", now - KEEP - DAY)
    writer = await asyncpg.connect(database)
    async with writer.transaction():
        await writer.execute("UPDATE entitlement SET period_to = $1", now + DAY)
        await duty(store).once()
    await writer.close()

    await duty(store).once()

    assert await remaining(sql, "entitlement") == ["ent-1"]


@pytest.mark.usefixtures("week")
async def test_invoices_go_a_retention_after_they_were_written(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    for id_, at in (("a-over", now - KEEP - DAY), ("b-young", now - KEEP + DAY)):
        await sql.execute("INSERT INTO invoice VALUES ('default', $1, 1, 'issued', $2, $2)", id_, at)

    await duty(store).once()

    assert await remaining(sql, "invoice") == ["b-young"]


@pytest.mark.usefixtures("week")
async def test_an_entitlement_written_late_is_kept_from_then_on(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    """A record that came late, or a month of the past: it can be read again for longer than since the period's end."""
    for id_, written_at in (("a-over", now - KEEP - DAY), ("b-late", now - KEEP + DAY)):
        await make_entitlement(sql, id_, now - KEEP - 30 * DAY)
        await sql.execute("UPDATE entitlement SET written_at = $2 WHERE id = $1", id_, written_at)

    await duty(store).once()

    assert await remaining(sql, "entitlement") == ["b-late"]


@pytest.mark.parametrize(
    ("topics", "oldest_left"),
    [
        ({}, 200),  # no process has asked Kafka yet
        ({"usage": 7 * DAY, "resets": None}, 200),  # one topic keeps its records for ever
        ({"usage": 7 * DAY}, 80),  # the retention is longer
        ({"usage": 7 * DAY, "resets": 120 * DAY}, 110),  # a topic's is longer
    ],
)
async def test_guards_outlive_the_retention_and_any_replayed_record(
    store: Database, sql: Connection, now: dt.datetime, topics: dict[str, dt.timedelta | None], oldest_left: int
) -> None:
    """All of them, as long: an event that the identity no longer knows is known by the row, and the other way round."""
    for days in (0, 80, 110, 200):
        at = now - days * DAY
        await sql.execute("INSERT INTO event_identity VALUES ($1, 'e', $2)", bytes([days]) * 32, at)
        await sql.execute("INSERT INTO invoice VALUES ('default', $1, 1, 'issued', $2, $2)", str(days), at)
        await make_entitlement(sql, str(days), at)
    if topics:
        await retention.remember_topics(store, topics)

    await duty(store).once()

    oldest = {
        "event_identity": await sql.fetchval("SELECT min(created_at) FROM event_identity"),
        "invoice": await sql.fetchval("SELECT min(written_at) FROM invoice"),
        "entitlement": await sql.fetchval("SELECT min(period_to) FROM entitlement"),
    }
    assert {table: (now - at).days for table, at in oldest.items()} == dict.fromkeys(oldest, oldest_left)


async def test_a_replayed_record_of_a_notified_period_fires_nothing(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    """Offsets were set back: the topic keeps records for 120 days, and the period's first event is older than that."""
    await configure(store, "hook")
    await retention.remember_topics(store, {"usage": 120 * DAY})
    period = (now - 125 * DAY, now - 95 * DAY)
    begin, end = (at.isoformat() for at in period)
    record = native_record(90, period=(begin, end), calculated_at=(now - 96 * DAY).isoformat())
    first = await take(await ingest(store), record)
    await sql.execute("UPDATE event_identity SET created_at = $1", now - 121 * DAY)
    await sql.execute("UPDATE entitlement SET ended = true, shown_at = $1, written_at = $2", *period)

    await duty(store).once()
    again = await take(await ingest(store), record)

    assert (first.events, again.events) == (1, 0)
    assert await count(sql, "event_identity") == 0
    assert await count(sql, "event") == 1


async def test_identities_outlive_the_longest_round_of_deliveries(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    await sql.execute("INSERT INTO event_identity VALUES ($1, 'e', $2)", b"i" * 32, now - 2 * DAY)
    await retention.remember_topics(store, {"usage": dt.timedelta(hours=1)})

    await duty(store, keep=DAY).once()

    assert await count(sql, "event_identity") == 1


async def test_a_topic_unread_for_a_retention_counts_no_more(
    store: Database, sql: Connection, now: dt.datetime
) -> None:
    await sql.execute("INSERT INTO event_identity VALUES ($1, 'e', $2)", b"i" * 32, now - 200 * DAY)
    await sql.execute("INSERT INTO topic_retention VALUES ('once', NULL, $1)", now - 91 * DAY)
    await retention.remember_topics(store, {"usage": 7 * DAY})

    await duty(store).once()

    assert await count(sql, "event_identity") == 0


async def test_a_removal_takes_at_most_a_step_and_then_resumes(
    store: Database, sql: Connection, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 3)
    for n in range(7):
        await make_entitlement(sql, f"e{n}", now - KEEP - (10 - n) * DAY)

    after, steps = None, []
    for _ in range(3):
        step = await retention.remove(store, Removable.ENTITLEMENTS, over_by=now - KEEP, after=after)
        steps.append((step.removed, step.is_last, await remaining(sql, "entitlement")))
        after = step.after

    assert steps == [(3, False, ["e3", "e4", "e5", "e6"]), (3, False, ["e6"]), (1, True, [])]
