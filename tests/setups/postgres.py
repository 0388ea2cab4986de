"""The PostgreSQL servers of the set-ups: a migrated database, an empty one, and one that is read-only."""

import contextlib

import asyncpg

from consumer.store import migrate
from consumer.store.database import Database

SUPER = "postgresql://postgres:super-pass@127.0.0.1:{port}/postgres"
OWN = "postgresql://tollbell:pg-good-pass@127.0.0.1:{port}/tollbell"


async def prepare(port: int) -> None:
    """Make what is not there yet."""
    connection = await asyncpg.connect(SUPER.format(port=port))
    for name in ("empty", "frozen"):
        with contextlib.suppress(asyncpg.DuplicateDatabaseError):
            await connection.execute(f"CREATE DATABASE {name} OWNER tollbell")
    await connection.execute("ALTER DATABASE frozen SET default_transaction_read_only = on")
    await connection.close()
    own = await Database.connect(OWN.format(port=port), size=2)
    await migrate.migrate(own)
    await own.close()
