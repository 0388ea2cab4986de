"""`tollbell migrate` from several places at once, and on a schema that is not what it was."""

import asyncio

import pytest

from consumer.errors import Refused
from consumer.store import migrate
from consumer.store.database import Database


async def test_one_of_several_concurrent_migrations_does_the_work(database: str) -> None:
    opened = [await Database.connect(database, size=2) for _ in range(3)]

    done = await asyncio.gather(*(migrate.migrate(one) for one in opened))

    assert sorted(map(len, done)) == [0, 0, len(migrate.migrations())]
    for one in opened:
        await one.close()


async def test_an_edited_migration_is_refused_and_nothing_applied(migrated: str) -> None:
    opened = await Database.connect(migrated, size=2)
    async with opened.transaction() as connection:
        await connection.script("UPDATE schema_migration SET checksum = 'another' WHERE name = '0001_02_memory'")
        await connection.script("DELETE FROM schema_migration WHERE name = '0002_01_rule_revisions'")

    with pytest.raises(Refused, match="0001_02_memory was applied with other contents: migrations are never edited"):
        await migrate.migrate(opened)

    with pytest.raises(Refused, match=r"0002_01_rule_revisions is missing.*run `tollbell migrate`"):
        await migrate.check(opened)
    await opened.close()
