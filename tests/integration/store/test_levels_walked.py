"""A page of the list of entitlements is as of one moment, whatever is written while it is read: its walk is whole."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from consumer.store import levels
from consumer.store.database import Database
from consumer.store.levels import Found, LevelCursor, LevelFilter
from tests.faults.proxy import Proxy, Trap

RULE = """
    INSERT INTO rule (id, namespace, type, name, spec) VALUES ('r', 'default', 'entitlements.reset', 'R', '{}')
"""
ENTITLEMENTS = """
    INSERT INTO entitlement (namespace, id, version, period_from, about, marks, level, level_at)
    SELECT 'default', 'at-' || level, 1, now() - interval '1 day', '{}', '{}', level, now()
    FROM unnest(ARRAY[90, 60, 30]) AS level
"""
READ = b"AS sorted_by"  # of `levels/read`, which comes after `levels/find`


class Reading:
    """Reads a connection to Postgres: when what was found is to be read."""

    def sent(self, chunk: bytes) -> list[str]:
        return ["read"] if READ in chunk else []

    def answered(self, _: bytes) -> list[str]:
        return []


@contextlib.asynccontextmanager
async def behind_a_wire(url: str) -> AsyncIterator[tuple[Proxy, Database]]:
    parts = urlsplit(url)
    assert parts.port
    async with Proxy(parts.port, Reading) as wire:
        to_wire = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{wire.port}").geturl()
        database = await Database.connect(to_wire, size=1)
        yield wire, database
        await database.close()


async def first_page(database: Database) -> Found:
    return await levels.page(database, "default", LevelFilter(limit=2), most_bytes=1024)


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE entitlement SET level = 0 WHERE id = 'at-60'",  # the next page would begin behind at-30
        "UPDATE entitlement SET level = 120 WHERE id = 'at-60'",  # and here with at-90, again
        "DELETE FROM entitlement WHERE id = 'at-90'",  # and here there would be none
    ],
)
async def test_a_page_is_as_of_one_moment(migrated: str, meanwhile: str) -> None:
    connection = await asyncpg.connect(migrated)
    await connection.execute(RULE)
    await connection.execute(ENTITLEMENTS)
    async with behind_a_wire(migrated) as (wire, database):
        reading = wire.set(Trap("read"))
        asked = asyncio.create_task(first_page(database))
        await reading.came.wait()
        await connection.execute(meanwhile)
        reading.released.set()
        found = await asked
    await connection.close()

    assert [one.place for one in found.entitlements] == [LevelCursor(90, "at-90"), LevelCursor(60, "at-60")]
    assert found.left_out == 0
