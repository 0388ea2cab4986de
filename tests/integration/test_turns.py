"""Batches that share an entitlement, taken at once: its records are judged in order, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from consumer.consume.ingest import Ingest, Tally
from consumer.errors import StoreUnavailable
from consumer.store.database import Database
from tests.integration.test_glances import at, ingest, take
from tests.one_rule import configure, scalar
from tests.progress import WAITING, somebody_waits

EVENTS = "SELECT array_agg(action ORDER BY id) FROM event"


@asynccontextmanager
async def held(to: Ingest, url: str) -> AsyncIterator[tuple[asyncpg.Connection, asyncio.Task[Tally]]]:
    """Give a batch whose event waits to be written, for as long as the body lasts: somebody holds its rule."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM rule FOR UPDATE")
            batch = asyncio.create_task(take(to, at(0, 85)))
            await somebody_waits(url)
            yield connection, batch
    finally:
        await connection.close()


async def test_a_record_is_judged_after_the_one_before_it_though_that_is_still_being_written(
    store: Database, database: str
) -> None:
    await configure(store, "hook", notifyOn=["triggered", "recovered"])
    to = await ingest(store)

    async with held(to, database) as (_, first):
        second = asyncio.create_task(take(to, at(1, 10)))
        other = await take(to, at(1, 10, "ent-2"))
        is_waiting = not second.done()

    assert is_waiting
    assert [other.events, (await first).events, (await second).events] == [0, 1, 1]
    assert await scalar(database, EVENTS) == ["triggered", "recovered"]


async def test_where_a_batch_fails_the_one_after_it_about_the_same_entitlement_does_too(
    store: Database, database: str
) -> None:
    await configure(store, "hook", notifyOn=["triggered", "recovered"])
    to = await ingest(store)

    async with held(to, database) as (holder, first):
        second = asyncio.create_task(take(to, at(1, 10)))
        await holder.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WAITING}")  # noqa: S608
        with pytest.raises(StoreUnavailable, match="terminating connection"):
            await first
        with pytest.raises(StoreUnavailable, match="taken again"):
            await second
    again = [await take(to, at(0, 85)), await take(to, at(1, 10))]

    assert [tally.events for tally in again] == [1, 1]
    assert await scalar(database, EVENTS) == ["triggered", "recovered"]
