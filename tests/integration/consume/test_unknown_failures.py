"""Postgres fails a batch for an unknown reason: only a record that fails alone becomes a dead letter."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from consumer.consume import fetch as fetches
from consumer.consume.dead_letters import DeadLetter
from consumer.consume.ingest import Ingest
from consumer.demo.servers.contracts import Broker
from consumer.errors import StoreFailed
from consumer.store.database import Database
from tests.conftest import MakeTopic, Produce
from tests.integration.consume.test_glances import at, ingest, take
from tests.integration.consume.test_rebalances import fetching, until
from tests.integration.consume.test_stale_memory import Letters
from tests.support.factories import kafka_record, native_record
from tests.support.one_rule import configure, scalar

EVENTS = "SELECT count(*) FROM event"


async def fails(database: str, when: str, *, each: str = "STATEMENT") -> None:
    """Let inserts of events fail for EACH statement or row of which *when* is true: `n` counts them, undone or not."""
    connection = await asyncpg.connect(database)
    await connection.execute(f"""
        CREATE SEQUENCE tries;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE n bigint := nextval('tries');
        BEGIN IF {when} THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = '58P01'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON event FOR EACH {each} EXECUTE FUNCTION fail()
    """)
    await connection.close()


async def taken(to: Ingest, values: Sequence[bytes], most: int = 50) -> bool:
    """Take a batch as the loop does: again where it fails, and narrowed after three times; whether it ended."""
    for failures in range(most):
        try:
            records = [kafka_record(value, offset=n) for n, value in enumerate(values)]
            await to.batch(records, is_narrowed=failures >= 3)
        except StoreFailed:
            continue
        return True
    return False


@pytest.mark.parametrize("when", ["n <= 6", "n <= 12", "n BETWEEN 3 AND 40", "random() < 0.3"])
async def test_an_intermittent_failure_of_all_condemns_no_record(store: Database, database: str, when: str) -> None:
    await configure(store, "hook")
    await fails(database, when)
    to = await ingest(store, letters := Letters())

    has_ended = await taken(to, [at(0, 90, f"e{n}") for n in range(16)])

    assert (has_ended, letters.sent, await scalar(database, EVENTS)) == (True, [], 16)


@pytest.mark.parametrize("last", range(4, 16))
@pytest.mark.parametrize("when", ["n <= {}", "n <= 4 OR n = {}"])
async def test_an_intermittent_failure_of_one_record_condemns_none(
    store: Database, database: str, when: str, last: int
) -> None:
    await configure(store, "hook")
    await fails(database, when.format(last))
    to = await ingest(store, letters := Letters())

    has_ended = await taken(to, [at(0, 90)])

    assert (has_ended, letters.sent, await scalar(database, EVENTS)) == (True, [], 1)


@pytest.mark.parametrize(("when", "each"), [("n <> 5", "STATEMENT"), ("true", "ROW")])
async def test_an_outage_of_event_writes_makes_no_dead_letter(
    store: Database, database: str, when: str, each: str
) -> None:
    """Though documents without an event can be."""
    await configure(store, "hook")
    await fails(database, when, each=each)
    to = await ingest(store, letters := Letters())

    has_ended = await taken(to, [*(at(0, 90, f"e{n}") for n in range(16)), at(0, 10, "quiet")], most=8)

    assert (has_ended, letters.sent) == (False, [])


async def test_a_record_that_fails_alone_is_a_dead_letter(store: Database, database: str) -> None:
    """Also where nothing else is to be written."""
    await configure(store, "hook")
    await fails(database, "NEW.entitlement_id = 'bad'", each="ROW")
    to = await ingest(store, letters := Letters())

    has_ended = await taken(to, [at(0, 90, "bad")])

    assert (has_ended, [one.record.offset for one in letters.sent]) == (True, [0])


class Batches(Letters):
    """How many letters each batch had."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        await super().send(list(letters))
        self.sizes.append(len(letters))


async def test_many_failing_records_are_committed_in_steps(
    kafka: Broker,
    make_topic: MakeTopic,
    produce: Produce,
    store: Database,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some are committed before the others are tried."""
    monkeypatch.setattr(fetches, "NARROWED_RECORDS", 3)
    topic, stop, letters = await make_topic(), asyncio.Event(), Batches()
    await produce(topic, *(at(n, 90, "bad") for n in range(7)), at(7, 90, "good"), partition=0)
    async with fetching(kafka, store, topic, letters) as (_, fetch):
        await fails(database, "NEW.entitlement_id = 'bad'", each="ROW")
        running = asyncio.create_task(fetch.run(stop))

        await until(lambda: len(letters.sent) >= 7)
        await until(lambda: fetch.waiting_for is None)
        stop.set()
        await running

    tried = await scalar(database, "SELECT last_value FROM tries")
    assert ([size for size in letters.sizes if size], await scalar(database, EVENTS)) == ([3, 3, 1], 1)
    assert tried < 7 * 10  # five times each of the first of a batch, once each of the others


async def test_too_many_events_are_too_many_only_by_the_row_as_it_is(store: Database, database: str) -> None:
    await configure(store, "hook", thresholds=[{"type": "usage_percentage", "value": v} for v in range(1, 101)])
    here, elsewhere = await ingest(store, letters := Letters()), await ingest(store)
    await take(here, at(0, 0))
    await take(elsewhere, at(1, 95))
    wide = {"id": "c-1", "metadata": {"note": "x" * 800_000}}

    await take(here, native_record(100, calculated_at="2026-11-22T10:15:02Z", customer=wide))

    assert (letters.sent, await scalar(database, EVENTS)) == ([], 100)
