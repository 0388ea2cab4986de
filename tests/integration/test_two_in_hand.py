"""Two batches in hand at any time, on a Postgres that takes its time for some: what is told is what one would tell."""

import asyncio
import random
from collections import deque
from collections.abc import Sequence

import asyncpg
import pytest

from consumer.consume.hand import DEPTH
from consumer.consume.ingest import SLICE_RECORDS, Tally
from consumer.store.database import Database
from tests.factories import native_record
from tests.integration.test_glances import ingest, take
from tests.one_rule import configure

BATCHES, MOST, FOR_BATCHES = 60, 6, 3
USAGES = (10, 60, 90)
SLOW_TO_TELL = """
    CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(random() * 0.03); RETURN NEW; END $$;
    CREATE TRIGGER take_time BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION take_time();
"""
TOLD = """
    SELECT array_agg(action || ' ' || (convert_from(payload, 'UTF8')::json #>> '{data,threshold,value}') || ' '
                     || (convert_from(payload, 'UTF8')::json #>> '{data,crossing,episode}') ORDER BY id)
    FROM event
    WHERE entitlement_id = $1
"""


def shown(batch: Sequence[tuple[int, int, int]], prefix: str = "") -> list[bytes]:
    """The records of a batch: when, how much, and whose."""
    return [
        native_record(usage, entitlement=f"{prefix}e{n}", calculated_at=f"2026-11-22T10:{at // 60:02}:{at % 60:02}Z")
        for at, usage, n in batch
    ]


@pytest.mark.parametrize(("seed", "slice_records"), [(0, SLICE_RECORDS), (1, 1)])
async def test_what_is_told_of_each_is_what_its_records_alone_would_make(
    store: Database, database: str, monkeypatch: pytest.MonkeyPatch, seed: int, slice_records: int
) -> None:
    monkeypatch.setattr("consumer.consume.ingest.SLICE_RECORDS", slice_records)
    dice = random.Random(seed)
    thresholds = [{"type": "usage_percentage", "value": value} for value in (50, 80)]
    await configure(store, "hook", thresholds=thresholds, rearm="recovery", notifyOn=["triggered", "recovered"])
    batches = [
        # Each entitlement is in a few batches that follow each other: what is remembered of it is often new.
        [(n * MOST + i, dice.choice(USAGES), n - dice.randrange(FOR_BATCHES)) for i in range(dice.randint(1, MOST))]
        for n in range(BATCHES)
    ]
    connection = await asyncpg.connect(database)
    await connection.execute(SLOW_TO_TELL)

    together = await ingest(store)
    in_hand = deque[asyncio.Task[Tally]]()
    for batch in batches:
        in_hand.append(asyncio.create_task(take(together, *shown(batch))))
        while len(in_hand) >= DEPTH:
            await in_hand.popleft()
    await asyncio.gather(*in_hand)
    alone = await ingest(store)
    await take(alone, *(record for batch in batches for record in shown(batch, "alone-")))

    told = [[await connection.fetchval(TOLD, f"{of}e{n}") for n in range(BATCHES)] for of in ("", "alone-")]
    await connection.close()
    assert told[0] == told[1]
    assert sum(of is not None and len(of) > 1 for of in told[0]) > BATCHES / 3
