"""The schema: numbered SQL files, forward only, each applied once, in one transaction, under a lock.

A file's name is `<release>_<number>_<what>.sql`. Each release runs on its own schema and on the next one's, so one
migrates first, then rolls the replicas. A file that was applied is never edited: its checksum is remembered.
"""

import hashlib
import importlib.resources
from dataclasses import dataclass
from typing import Final

import asyncpg

from consumer.errors import Refused
from consumer.store import retention
from consumer.store.database import Database, DatabaseConnection

ENCODING: Final = "UTF8"
_LOCK: Final = 0x_7011_BE11  # of pg_advisory_xact_lock: any number that is not used elsewhere
# What a user lacks that may not make tables: the right, or any schema of its search_path.
_NOT_ALLOWED: Final = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSchemaNameError)
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name       text PRIMARY KEY,
    release    integer NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    name: str
    release: int
    sql: str

    @property
    def checksum(self) -> str:
        """Of the text, so that an edited file is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return all migrations of this release, in order."""
    folder = importlib.resources.files("consumer.store") / "migrations"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [
        Migration(file.name.removesuffix(".sql"), int(file.name.partition("_")[0]), file.read_text(encoding="utf-8"))
        for file in files
    ]


async def migrate(database: Database) -> list[str]:
    """Apply what is missing, with partitions for now; return the names of what was applied.

    Safe to run from several processes at once.

    Raises:
        Refused: the schema is newer than this release, an applied file was edited, or this user may not change the
            schema; nothing was changed.
        StoreUnavailable: Postgres cannot be reached.
    """
    try:
        done = await _apply(database)
    except Refused as exc:
        if isinstance(exc.__cause__, _NOT_ALLOWED):
            raise Refused(
                f"{exc}: run as the user that migrated before; the first time, as one that may make tables there"
                " (GRANT CREATE ON SCHEMA … TO …)"
            ) from exc
        raise
    # After the commit, as it is one table at a time, and never waits: a running service makes what is missing.
    now = await database.now()
    await retention.make(database, now=now, kept_from=now)
    return done


async def _apply(database: Database) -> list[str]:
    async with database.transaction() as connection:
        await connection.script(f"SELECT pg_advisory_xact_lock({_LOCK})")
        await connection.script(_TABLE)
        applied = await _applied(connection)
        if not applied:
            await _see_encoding(connection)
        known = migrations()
        if unknown := sorted(applied.keys() - {one.name for one in known}):
            raise Refused(
                f"Postgres: the schema has {unknown[-1]}, which this release does not know: use a newer release"
            )
        done = []
        for one in known:
            if one.name not in applied:
                await connection.script(one.sql)
                await connection.rows(
                    "database/remember_migration", name=one.name, release=one.release, checksum=one.checksum
                )
                done.append(one.name)
            elif applied[one.name] != one.checksum:
                raise Refused(f"Postgres: {one.name} was applied with other contents: migrations are never edited")
    return done


async def _see_encoding(connection: DatabaseConnection) -> None:
    """See that a new schema can keep any text: what it cannot hold would be refused, record by record."""
    row = await connection.row("database/encoding")
    if row and row["encoding"] != ENCODING:
        raise Refused(
            f"Postgres: the database's encoding is {row['encoding']}: make one with ENCODING '{ENCODING}'"
            " TEMPLATE template0"
        )


async def check(database: Database) -> None:
    """See that this release can run on the schema: its own, or the next release's; and as this user.

    Raises:
        Refused: it is older (migrate first), or newer than the next release's (use a newer release), or another user's.
        StoreUnavailable: Postgres cannot be reached.
    """
    own = migrations()
    release = own[-1].release
    try:
        rows = await database.rows("database/migrations")
    except Refused as exc:
        if isinstance(exc.__cause__, asyncpg.InsufficientPrivilegeError):
            raise Refused(
                f"{exc}: run as the user that migrated, or make this one a member of it (GRANT … TO …)"
            ) from exc
        if isinstance(exc.__cause__, asyncpg.UndefinedTableError):
            raise Refused("Postgres: the database has no schema of Tollbell: run `tollbell migrate` first") from exc
        raise
    names = {row["name"] for row in rows}
    if missing := [one.name for one in own if one.name not in names]:
        raise Refused(
            f"Postgres: the schema is older than this release ({missing[0]} is missing): run `tollbell migrate`"
        )
    newest = max(row["release"] for row in rows)
    if newest > release + 1:
        raise Refused(f"Postgres: the schema is of release {newest}, this is {release}: use a newer release")
    await retention.check(database)


async def _applied(connection: DatabaseConnection) -> dict[str, str]:
    return {row["name"]: row["checksum"] for row in await connection.rows("database/migrations")}
