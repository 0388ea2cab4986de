"""A migrated database as the service has it, and beside it a connection that sees everything."""

import datetime as dt
from collections.abc import AsyncIterator

import asyncpg
import pytest

from consumer.store import deliveries, migrate, outbox
from consumer.store.database import Database
from tests.support.one_rule import Expire, configure, make_change, scalar
from tests.support.partitions import Connection


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database, size=8)
    await migrate.migrate(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def sql(store: Database, database: str) -> AsyncIterator[Connection]:  # noqa: ARG001 - migrated
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture
async def now(store: Database) -> dt.datetime:
    return await store.now()


@pytest.fixture
async def one_delivery(store: Database) -> str:
    """A pending delivery; its channel's id."""
    await outbox.write(store, [make_change(await configure(store, "hook"))])
    (channel,) = await deliveries.due_channels(store)
    return channel.id


@pytest.fixture
def lease_runs_out(database: str) -> Expire:
    """Let all leases run out: the database's clock cannot be held, so the rows are moved instead."""
    return lambda: scalar(
        database, "UPDATE delivery SET due_at = now() - interval '1 s' WHERE token IS NOT NULL RETURNING 1"
    )
