"""What each error means, on a real Postgres: an outage, a limit, the data, or unknown."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

import asyncpg
import pytest

from consumer import clock
from consumer.errors import DataRefused, Refused, StoreBusy, StoreFailed, StoreUnavailable, TollbellError
from consumer.store import sqlstates
from consumer.store.database import Database, translated

LISTS: Final[list[tuple[Mapping[str, str], type[TollbellError]]]] = [
    (sqlstates.OUTAGE, StoreUnavailable),
    (sqlstates.BUSY, StoreBusy),
    (sqlstates.DATA, DataRefused),
    (sqlstates.REFUSED, Refused),
]
# Damaged rows, a user's trigger, mistakes of ours, what no release has had yet.
UNKNOWN: Final = ("XX000", "XX001", "58030", "P0001", "42601", "34000", "54023", "53000", "ZZ999")


async def met(connection: asyncpg.Connection, sql: str, *arguments: object) -> TollbellError:
    """Return what *sql* raises, in our words."""
    with pytest.raises(TollbellError) as caught, translated():
        await connection.fetch(sql, *arguments)
    return caught.value


@pytest.fixture
async def connection(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(migrated)
    yield made
    made.terminate()


@pytest.fixture
async def other(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(migrated)
    yield made
    made.terminate()


async def test_each_sqlstate_means_what_its_list_says(connection: asyncpg.Connection) -> None:
    wanted = {state: kind for states, kind in LISTS for state in states} | dict.fromkeys(UNKNOWN, StoreFailed)

    found = {}
    for state in wanted:
        code = state.ljust(5, "0")
        raised = f"DO $$ BEGIN RAISE EXCEPTION 'made to fail' USING ERRCODE = '{code}'; END $$"
        found[state] = type(await met(connection, raised))

    assert found == wanted


WIDE: Final = "".join(chr(0x10000 + n * 7919 % 0x9FFFF) for n in range(2_000))  # which Postgres cannot compress
# (what is wrong, the statement, its argument)
OF_DATA: Final[list[tuple[str, str, object]]] = [
    ("too long for an index", "INSERT INTO feature VALUES ('n', $1, 'k')", WIDE),
    ("NUL", "SELECT $1::text", "a\x00b"),
    ("half of a surrogate pair", "SELECT $1::text", "\ud800"),
    ("half of a surrogate pair, escaped", "SELECT $1::json ->> 'a'", '{"a": "\\ud800"}'),
    ("too deep", "SELECT $1::json", "[" * 100_000),
    ("no JSON", "SELECT $1::json", "{"),
    ("more than its type can hold", "SELECT $1::int", 2**40),
    ("a constraint", "INSERT INTO topic_retention VALUES ($1, NULL), ($1, NULL)", "twice"),
]


@pytest.mark.parametrize(("what", "sql", "argument"), OF_DATA, ids=[what for what, _, _ in OF_DATA])
async def test_what_fails_for_a_rows_sake_is_data(
    what: str, sql: str, argument: object, connection: asyncpg.Connection
) -> None:
    assert type(await met(connection, sql, argument)) is DataRefused, what


async def test_a_standby_is_an_outage(connection: asyncpg.Connection) -> None:
    await connection.execute("SET default_transaction_read_only = on")

    found = await met(connection, "INSERT INTO topic_retention VALUES ('t', NULL)")

    assert type(found) is StoreUnavailable


async def test_a_lock_held_by_others_is_busy(connection: asyncpg.Connection, other: asyncpg.Connection) -> None:
    await connection.execute("SET lock_timeout = '10ms'; SET statement_timeout = '20ms'")
    async with other.transaction():
        await other.execute("LOCK TABLE feature")

        assert type(await met(connection, "SELECT * FROM feature")) is StoreBusy
    assert type(await met(connection, "SELECT pg_sleep(5)")) is StoreBusy


async def test_a_connection_that_is_gone_is_an_outage(
    connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    await other.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())

    ended, closed = await met(connection, "SELECT 1"), await met(connection, "SELECT 1")

    assert (type(ended), type(closed)) == (StoreUnavailable, StoreUnavailable)


async def test_a_connection_asked_at_a_bad_moment_is_an_outage(connection: asyncpg.Connection) -> None:
    async with asyncio.TaskGroup() as tasks:
        busy = tasks.create_task(connection.fetch("SELECT pg_sleep(0.2)"))
        await clock.sleep(0)

        assert type(await met(connection, "SELECT 1")) is StoreUnavailable
        assert not busy.done()


async def test_no_answer_in_time_is_an_outage(connection: asyncpg.Connection) -> None:
    with pytest.raises(StoreUnavailable) as caught, translated():
        await connection.fetch("SELECT pg_sleep(5)", timeout=0.05)

    assert type(caught.value) is StoreUnavailable


async def test_a_pool_that_is_closed_is_an_outage(migrated: str) -> None:
    database = await Database.connect(migrated, size=2)
    await database.close()

    with pytest.raises(StoreUnavailable) as caught:
        await database.now()

    assert type(caught.value) is StoreUnavailable


async def test_a_statement_that_is_wrong_is_unknown(connection: asyncpg.Connection) -> None:
    found = await met(connection, "SELECT $1::int", 1, 2)

    assert type(found) is StoreFailed
    assert str(found).startswith("Postgres: InterfaceError: the server expects 1 argument")


async def test_a_table_that_changes_under_a_plan_is_an_outage(
    connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    async with connection.transaction():
        await connection.fetch("SELECT * FROM topic_retention")
    await other.execute("ALTER TABLE topic_retention ADD COLUMN more text")

    with pytest.raises(StoreUnavailable) as caught, translated():
        async with connection.transaction():
            await connection.fetch("SELECT * FROM topic_retention")

    assert type(caught.value) is StoreUnavailable


def test_a_connection_that_ends_inside_the_driver_is_an_outage() -> None:
    text = "cannot switch to state 12; another operation (2) is in progress"

    assert sqlstates.meaning(asyncpg.InternalClientError(text)) is sqlstates.Meaning.OUTAGE
