"""Many requests that take long do not keep records and webhooks from a connection of the same process."""

import asyncio

import pytest

from consumer.errors import StoreUnavailable
from consumer.store import database as databases
from consumer.store.database import Database


async def occupied(shared: Database, count: int) -> list[asyncio.Task[None]]:
    """Hold connections for as long as the tasks are not cancelled; return once two are held."""
    ready = asyncio.Barrier(3)

    async def hold() -> None:
        async with shared.transaction() as connection:
            await connection.rows("database/now")
            await ready.wait()
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(hold()) for _ in range(count)]
    await ready.wait()
    return tasks


async def test_a_share_leaves_the_other_connections_to_the_others(
    migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "ACQUIRE_TIMEOUT", 0.5)
    database = await Database.connect(migrated, size=4)
    shared = database.shared(2)
    tasks = await occupied(shared, 6)
    try:
        async with database.transaction() as connection:
            await connection.rows("database/now")
            await database.now()
        with pytest.raises(StoreUnavailable):
            await shared.rows("database/now")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert await shared.now()
    await database.close()
