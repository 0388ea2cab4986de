"""What is passed over at a glance, and what no longer is: on a real Postgres, batch by batch."""

import asyncio
import datetime as dt
from collections.abc import Sequence

import pytest

from consumer.consume.batch import PART_RECORDS, in_parts
from consumer.consume.dead_letters import DeadLetter, Sink
from consumer.consume.fast_path.sift import sift
from consumer.consume.ingest import Ingest, Tally
from consumer.consume.memory import Memory
from consumer.consume.rulebook import Rulebook
from consumer.errors import SourceUnavailable
from consumer.metrics import Metrics
from consumer.store.database import Database
from tests.support.factories import NOW, kafka_record, native_record
from tests.support.one_rule import configure, scalar

HOUR = dt.timedelta(hours=1)


class NoLetters:
    """Where no dead letter comes."""

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        assert not letters


class NoKafka:
    """A Kafka that takes no dead letter."""

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        raise SourceUnavailable(f"Kafka takes no dead letter, not one of {len(letters)}")


async def ingest(store: Database, letters: Sink | None = None) -> Ingest:
    """As `dlq replay` makes one."""
    metrics = Metrics()
    rulebook = Rulebook(store, metrics)
    await rulebook.refresh()
    return Ingest(
        store, Memory(store, limit=1000), rulebook, letters or NoLetters(), metrics, lambda: None, 24 * 365 * HOUR
    )


def at(second: int, usage: int, entitlement: str = "ent-1") -> bytes:
    return native_record(usage, entitlement=entitlement, calculated_at=f"2026-11-22T10:15:{second:02}Z")


async def take(to: Ingest, *values: bytes) -> Tally:
    return await to.batch([kafka_record(value) for value in values])


def counted(by: Ingest, name: str) -> float:
    families = by.metrics.registry.collect()
    return sum(one.value for family in families for one in family.samples if one.name == name)


def passed(to: Ingest, *values: bytes) -> int:
    """How many would be passed over now; looking changes nothing where all are."""
    sifted = sift([kafka_record(one) for one in values], to.rulebook.catalog, to.memory.standings, latest=NOW + HOUR)
    return sum(sifted.passed.values())


async def test_records_between_two_thresholds_are_skipped(store: Database, database: str) -> None:
    """From an entitlement's first record on, and again after a threshold was crossed."""
    await configure(store, "hook")
    to = await ingest(store)

    first = await take(to, at(0, 10))
    quiet = passed(to, *(at(n, 10 + n % 10) for n in range(1, 30)))
    crossed = await take(to, at(30, 20), at(31, 85), at(32, 20), at(33, 90))
    behind = passed(to, at(34, 90), at(35, 99))

    assert (first.events, quiet, crossed.events, behind) == (0, 29, 1, 2)
    assert crossed.reasons.total() == 4
    assert await scalar(database, "SELECT count(*) FROM event") == 1


async def test_a_rebalance_forgets_what_was_being_judged(store: Database) -> None:
    await configure(store, "hook")
    to = await ingest(store)

    batch = asyncio.create_task(take(to, at(0, 10)))
    await asyncio.wait({batch}, timeout=0)  # it waits for Postgres now
    to.memory.forget()
    await batch

    assert len(to.memory) == 0
    assert not to.memory.standings.known
    await take(to, at(1, 10))
    assert len(to.memory) == 1


async def test_a_record_without_rules_is_skipped_until_one_covers_it(store: Database) -> None:
    to = await ingest(store)

    first = await take(to, at(0, 90))
    second = await take(to, at(1, 90), at(2, 90))
    await configure(store, "hook")
    await to.rulebook.refresh()
    wanted = await take(to, at(3, 90))

    assert (first.uncovered, second.uncovered, second.reasons.total()) == (1, 2, 0)
    assert (wanted.uncovered, wanted.events) == (0, 1)


async def test_an_edit_of_another_features_rule_costs_no_judgement(store: Database) -> None:
    await configure(store, "hook", features=["llm_tokens"])
    to = await ingest(store)
    await take(to, at(0, 10))

    await configure(store, "hook", key="another", features=["another"])
    await to.rulebook.refresh()
    unaffected = passed(to, at(1, 10))
    await configure(store, "hook", key="same", features=["f-1"], thresholds=[{"type": "usage_percentage", "value": 5}])
    await to.rulebook.refresh()
    affected = passed(to, at(1, 10))
    wanted = await take(to, at(1, 10))

    assert (unaffected, affected, wanted.events) == (1, 0, 1)


async def test_an_event_of_a_retried_batch_is_counted_once(store: Database) -> None:
    await configure(store, "hook")
    to = await ingest(store, NoKafka())

    for _ in range(2):
        with pytest.raises(SourceUnavailable, match="not one of 1"):
            await take(to, at(0, 90), b"no record")

    assert counted(to, "tollbell_events_total") == 1
    assert counted(to, "tollbell_records_total") == 0


async def test_parts_of_a_batch_share_no_entitlement_and_one_write(store: Database, database: str) -> None:
    await configure(store, "hook")
    to = await ingest(store)
    values = [at(usage // 5, usage, f"ent-{n}") for usage in (10, 85) for n in range(PART_RECORDS)]
    wanted = sift([kafka_record(one) for one in values], to.rulebook.catalog, to.memory.standings, latest=NOW + HOUR)

    parts = in_parts(wanted.wanted)
    tally = await take(to, *values)

    keys = [{one.key for one in part} for part in parts]
    assert len(parts) == 2
    assert not keys[0] & keys[1]
    assert sum(map(len, parts)) == len(values)
    assert tally.events == PART_RECORDS
    assert await scalar(database, "SELECT count(*) FROM event") == PART_RECORDS
