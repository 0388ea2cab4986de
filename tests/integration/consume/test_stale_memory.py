"""What a process remembers is an optimisation: where it is stale, the events are the same. On a real Postgres."""

import asyncio
import json
import random

import asyncpg
import pytest

from consumer.consume.dead_letters import DeadLetter
from consumer.consume.ingest import Ingest
from consumer.errors import StoreFailed, StoreUnavailable
from consumer.store.database import Database
from consumer.store.memory import EntitlementKey
from schemas.reading import RejectReason
from tests.integration.consume.test_failing_statements import OF_DATA, UNKNOWN
from tests.integration.consume.test_glances import at, ingest, passed, take
from tests.support.factories import kafka_record
from tests.support.one_rule import configure, scalar
from tests.support.progress import WAITING, statement_waits

NOTIFIED = """
    SELECT array_agg(action || ' ' || (convert_from(payload, 'UTF8')::json #>> '{data,crossing,episode}') ORDER BY id)
    FROM event
    WHERE entitlement_id = 'ent-1'
"""
LOOKS_BACK = {"rearm": "recovery", "notifyOn": ["triggered", "recovered"]}


class Letters:
    """Where dead letters go."""

    def __init__(self) -> None:
        self.sent: list[DeadLetter] = []

    async def send(self, letters: list[DeadLetter]) -> None:
        self.sent += letters


async def refuse(database: str, when: str, state: str) -> None:
    """Let Postgres fail every event of which *when* is true with the SQLSTATE *state*."""
    connection = await asyncpg.connect(database)
    await connection.execute(f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF {when} THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse()
    """)
    await connection.close()


async def narrowed(to: Ingest, *values: bytes) -> None:
    """Take a batch that has failed a few times already."""
    await to.batch([kafka_record(value, offset=n) for n, value in enumerate(values)], is_narrowed=True)


OF_USAGE_90 = "convert_from(NEW.payload, 'UTF8')::json #>> '{data,value,usage}' = '90'"


@pytest.mark.parametrize("seen_before", [10, None])
async def test_what_another_writer_fired_recovers_here(store: Database, database: str, seen_before: int | None) -> None:
    await configure(store, "hook", **LOOKS_BACK)
    here, elsewhere = await ingest(store), await ingest(store)
    if seen_before is not None:
        await take(here, at(0, seen_before), at(1, seen_before))
        assert passed(here, at(2, seen_before)) == 1

    await take(elsewhere, at(2, 85))
    await take(here, at(3, 10))
    await take(elsewhere, at(4, 90))
    await take(here, at(5, 10), at(6, 10))

    assert await scalar(database, NOTIFIED) == ["triggered 1", "recovered 1", "triggered 2", "recovered 2"]


async def test_a_recovery_is_found_despite_a_stale_memory(store: Database, database: str) -> None:
    """The record says something new, and on the stale memory it would change nothing itself."""
    await configure(store, "hook", **LOOKS_BACK)
    here, elsewhere = await ingest(store), await ingest(store)
    await take(here, at(0, 10), at(1, 10))
    await take(elsewhere, at(2, 85))
    changed = json.loads(at(3, 10))  # so it is judged, and on what is remembered here nothing would be written
    changed["data"]["entitlement"]["activeFrom"] = "2026-11-01T00:00:00Z"

    await take(here, json.dumps(changed).encode())

    assert await scalar(database, NOTIFIED) == ["triggered 1", "recovered 1"]


@pytest.mark.parametrize("seed", range(4))
async def test_writers_in_turn_make_what_one_alone_makes(store: Database, database: str, seed: int) -> None:
    dice = random.Random(seed)
    await configure(
        store, "hook", **LOOKS_BACK, thresholds=[{"type": "usage_percentage", "value": v} for v in (50, 80)]
    )
    usages = [dice.choice([10, 60, 90]) for _ in range(40)]
    writers = [await ingest(store) for _ in range(3)]

    for second, usage in enumerate(usages):
        await take(dice.choice(writers), at(second, usage))
    alone = await ingest(store)
    await take(alone, *[at(second, usage, "alone") for second, usage in enumerate(usages)])

    many = await scalar(database, NOTIFIED)
    assert many == await scalar(database, NOTIFIED.replace("ent-1", "alone"))
    assert len(many) > 5


async def test_a_rule_made_during_a_write_applies_to_the_next_record(store: Database, database: str) -> None:
    await configure(store, "hook")
    to = await ingest(store)
    connection = await asyncpg.connect(database)
    await take(to, at(0, 60))
    async with connection.transaction():
        await connection.execute("SELECT FROM rule FOR UPDATE")
        batch = asyncio.create_task(take(to, at(1, 85)))
        await statement_waits(database)
        await configure(store, "hook", key="lower", thresholds=[{"type": "usage_percentage", "value": 50}])
        await to.rulebook.refresh()
        sifting = passed(to, at(2, 86))  # under the new rules: what the batch leaves is of the old ones
    await batch
    await connection.close()

    tally = await take(to, at(3, 86))

    assert (sifting, tally.events) == (0, 1)


async def test_what_the_clock_forgets_during_a_write_stays_forgotten(store: Database, database: str) -> None:
    await configure(store, "hook")
    to = await ingest(store)
    connection = await asyncpg.connect(database)
    async with connection.transaction():
        await connection.execute("SELECT FROM rule FOR UPDATE")
        batch = asyncio.create_task(take(to, at(1, 85), at(1, 85, "ent-2")))
        await statement_waits(database)
        to.memory.forget([EntitlementKey("default", "ent-1")])
    await batch
    await connection.close()

    assert (passed(to, at(2, 86)), passed(to, at(2, 86, "ent-2"))) == (0, 1)
    assert len(to.memory) == 1


@pytest.mark.parametrize("state", [OF_DATA, UNKNOWN])
async def test_a_refused_record_spares_others_of_its_entitlement(store: Database, database: str, state: str) -> None:
    await configure(store, "hook", **LOOKS_BACK)
    await refuse(database, OF_USAGE_90, state)
    to = await ingest(store, letters := Letters())
    batch = [at(0, 90), at(1, 10), at(2, 85), at(3, 10), at(3, 85, "ent-2")]

    if state == UNKNOWN:
        with pytest.raises(StoreFailed):
            await take(to, *batch)
    await narrowed(to, *batch)
    next_one = await take(to, at(4, 88))

    assert [(one.record.offset, one.reject.reason) for one in letters.sent] == [(0, RejectReason.REFUSED)]
    assert next_one.events == 1
    assert await scalar(database, NOTIFIED) == ["triggered 1", "recovered 1", "triggered 2"]


async def test_a_failure_of_every_write_makes_no_dead_letter(store: Database, database: str) -> None:
    await configure(store, "hook")
    await refuse(database, "true", UNKNOWN)
    to = await ingest(store, letters := Letters())

    with pytest.raises(StoreFailed, match="made to fail"):
        await narrowed(to, at(0, 90), at(0, 90, "ent-2"))

    assert letters.sent == []


async def test_a_failed_batch_leaves_nothing_remembered(store: Database, database: str) -> None:
    await configure(store, "hook", **LOOKS_BACK)
    to = await ingest(store)
    await take(to, at(0, 10), at(0, 10, "ent-2"))
    connection = await asyncpg.connect(database)
    async with connection.transaction():
        await connection.execute("SELECT FROM rule FOR UPDATE")
        batch = asyncio.create_task(take(to, at(1, 85)))
        await statement_waits(database)
        await connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WAITING}")  # noqa: S608
        with pytest.raises(StoreUnavailable, match="terminating connection"):
            await batch
    await connection.close()

    assert (len(to.memory), passed(to, at(2, 10, "ent-2"))) == (0, 0)
