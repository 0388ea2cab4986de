"""The PostgreSQL servers of the set-ups: databases that are migrated, empty, read-only or closed, and users."""

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
    with contextlib.suppress(asyncpg.DuplicateDatabaseError):
        await connection.execute("CREATE DATABASE closed OWNER postgres")
    await connection.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    for user, may in (("certified", "LOGIN"), ("retired", "NOLOGIN"), ("crowded", "LOGIN CONNECTION LIMIT 0")):
        with contextlib.suppress(asyncpg.DuplicateObjectError):
            await connection.execute(f"CREATE ROLE {user} {may} PASSWORD 'pg-good-pass'")
    await connection.close()
    own = await Database.connect(OWN.format(port=port), size=2)
    await migrate.migrate(own)
    await own.close()
