"""Postgres: the pool, and its errors in our words. Nothing here knows a table."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final, Self, TypeAlias, assert_never

import asyncpg

from consumer import clock, pauses
from consumer.errors import DataRefused, Refused, StoreBusy, StoreFailed, StoreUnavailable, TollbellError
from consumer.store import sqlstates
from consumer.store.connections import CONNECT_TIMEOUT, READ_ONLY, PostgresConnector
from consumer.store.queries import load
from consumer.store.sqlstates import Meaning

ACQUIRE_TIMEOUT: Final = CONNECT_TIMEOUT + 0.5  # of a connection: enough to say why there is none
ANSWER_TIMEOUT: Final = (
    ACQUIRE_TIMEOUT + 0.5
)  # of the sign of life: a server that hangs shows before other statements time out
POOLED: Final = "a pooler in transaction mode is between: connect directly, or set its pool_mode to session"
NO_ANSWER: Final = "no answer in time"
COMMAND_TIMEOUT: Final = 30.0  # seconds; the longest statement of ours takes well under one
ATTEMPTS: Final = 5  # of a statement that lost a race to another (40001, 40P01): one nearly always suffices
SETTINGS: Final = {
    "application_name": "tollbell",
    "timezone": "UTC",
    # A session that hangs inside a transaction would pin dead rows for everybody (performance.md B.3).
    "idle_in_transaction_session_timeout": "10s",
    "plan_cache_mode": "force_generic_plan",
    # A plan outlives what it was made for: an empty partition is read whole, and still when it has filled.
    "enable_seqscan": "off",
    # Likewise: while the outbox is empty it plans to sort all that is due, instead of reading the first few in order.
    "enable_bitmapscan": "off",
    "jit": "off",  # our statements are short; compiling one costs more than it saves
}
Took: TypeAlias = Callable[[str, float], None]  # a statement's name, and the seconds until its answer or failure
_LOST_RACE: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_RAISED: Final = (  # by the driver; where the server answers, with its SQLSTATE
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    UnicodeEncodeError,
)


def _took_nothing(_: str, __: float) -> None:
    pass


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's exceptions into ours.

    Raises:
        DataRefused: the statement's data is at fault.
        Refused: a database, table or right is missing.
        StoreBusy: a limit that the transaction or the operator set was reached (`lock_timeout`, `statement_timeout`).
        StoreFailed: it fails for an unknown reason: for a row's sake, perhaps.
        StoreUnavailable: Postgres did not answer, or the connection broke; whether the statement took effect is
            unknown.
    """
    try:
        yield
    except _RAISED as exc:
        if isinstance(exc, _LOST_RACE):  # the caller's to try again
            raise
        raise _in_our_words(exc) from exc


def _in_our_words(exc: BaseException) -> TollbellError:
    line = _line(exc)
    match sqlstates.meaning(exc):
        case Meaning.DATA:
            return DataRefused("a text is not valid Unicode" if isinstance(exc, UnicodeEncodeError) else line)
        case Meaning.REFUSED:
            is_pooled = getattr(exc, "sqlstate", None) in sqlstates.POOLED
            return Refused(f"Postgres: {line}: {POOLED}" if is_pooled else f"Postgres: {line}")
        case Meaning.BUSY:
            return StoreBusy(f"Postgres: {line}")
        case Meaning.OUTAGE | Meaning.LOST_RACE:
            return StoreUnavailable(f"Postgres: {line}")
        case Meaning.UNKNOWN:
            return StoreFailed(f"Postgres: {getattr(exc, 'sqlstate', None) or type(exc).__name__}: {line}")
        case never:
            assert_never(never)


def _line(exc: BaseException) -> str:
    if isinstance(exc, TimeoutError):  # mostly without a text
        return NO_ANSWER
    text = str(exc).strip().partition("\n")[0]
    return text or type(exc).__name__


class DatabaseConnection:
    """A connection of the pool that runs our statements by name."""

    def __init__(self, raw: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", took: Took = _took_nothing) -> None:
        self._raw = raw
        self._took = took

    async def rows(self, name: str, /, **arguments: object) -> list[asyncpg.Record]:
        """Run the statement *name*; return its rows."""
        query, began = load(name), clock.monotonic()
        try:
            return await self._raw.fetch(query.sql, *query.arguments(arguments))
        finally:
            self._took(name, clock.monotonic() - began)

    async def row(self, name: str, /, **arguments: object) -> asyncpg.Record | None:
        """Run the statement *name*; return its first row, or None."""
        rows = await self.rows(name, **arguments)
        return rows[0] if rows else None

    async def script(self, sql: str) -> None:
        """Run a migration's text."""
        await self._raw.execute(sql)


class _Share:
    """Connections that some may use at once."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def __aenter__(self) -> None:
        async with asyncio.timeout(ACQUIRE_TIMEOUT):
            await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._free.release()


_ALL: Final = contextlib.nullcontext[None]()


class Database:
    """A pool. Every method raises what `translated` raises."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        took: Took = _took_nothing,
        *,
        share: "_Share | contextlib.nullcontext[None]" = _ALL,
    ) -> None:
        self._pool = pool
        self._took = took
        self._share = share

    @classmethod
    async def connect(cls, url: str, *, size: int, took: Took = _took_nothing) -> Self:
        """Return a pool of at most *size* connections; the first one is made at once. *took* is called by statements.

        Raises:
            StoreUnavailable: no server answers there that can be written to.
            Refused: the login, the database or a certificate is refused.
        """
        with translated():
            pool = await asyncpg.create_pool(
                connect=PostgresConnector(url),
                min_size=1,
                max_size=size,
                command_timeout=COMMAND_TIMEOUT,
                max_inactive_connection_lifetime=300,
                reset=_keep,
                server_settings=SETTINGS,
            )
        return cls(pool, took)

    async def close(self) -> None:
        """Close all connections; those that do not end within 5 s are cut."""
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    def shared(self, most: int) -> "Database":
        """Return the same, with at most *most* connections in use at once; a further use waits, as for any other."""
        return Database(self._pool, self._took, share=_Share(most))

    @contextlib.asynccontextmanager
    async def transaction(self, *, is_snapshot: bool = False) -> AsyncIterator[DatabaseConnection]:
        """Give a connection inside a transaction; committed at the end, rolled back on any exception.

        One that *is_snapshot* reads, and all as of one moment.
        """
        try:
            async with (
                self._writable(),
                self._share,
                self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as raw,
                raw.transaction(isolation="repeatable_read" if is_snapshot else None, readonly=is_snapshot),
            ):
                yield DatabaseConnection(raw, self._took)
        except _LOST_RACE as exc:
            raise StoreUnavailable(f"Postgres: {_line(exc)}: another writer changed the same rows: try again") from exc

    async def rows(self, name: str, /, **arguments: object) -> list[asyncpg.Record]:
        """Run one statement as its own transaction; again where it lost a race to another."""
        for attempt in range(ATTEMPTS):
            try:
                async with self._writable(), self._share, self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as raw:
                    return await DatabaseConnection(raw, self._took).rows(name, **arguments)
            except _LOST_RACE as exc:
                if attempt == ATTEMPTS - 1:
                    raise StoreUnavailable(f"Postgres: {_line(exc)}") from exc
                await clock.sleep(pauses.CONFLICT.after(attempt + 1) * (1.5 + clock.jitter() / 2))
        raise AssertionError("the loop returns or raises")

    async def row(self, name: str, /, **arguments: object) -> asyncpg.Record | None:
        """Run one statement; return its first row, or None."""
        rows = await self.rows(name, **arguments)
        return rows[0] if rows else None

    async def now(self) -> dt.datetime:
        """Return the database's clock: also the cheapest sign of life.

        Raises:
            StoreUnavailable: Postgres cannot be reached, or not be written to.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                row = await self.row("database/now")
        except TimeoutError as exc:
            raise StoreUnavailable(f"Postgres: {NO_ANSWER}") from exc
        assert row is not None  # noqa: S101 - a SELECT of one row has one row
        if row["is_read_only"]:
            await self._pool.expire_connections()
            raise StoreUnavailable(f"Postgres: {READ_ONLY}")
        now: dt.datetime = row["now"]
        return now

    async def is_pooled(self) -> bool:
        """Return whether a pooler gives each transaction any session: prepared statements and LISTEN get lost then.

        Raises:
            Refused: likewise; it has just lost one.
            StoreUnavailable: Postgres cannot be reached.
        """
        query = load("database/session").sql
        acquire = self._pool.acquire
        async with (
            self._writable(),
            acquire(timeout=ACQUIRE_TIMEOUT) as one,
            acquire(timeout=ACQUIRE_TIMEOUT) as other,
        ):
            before: int = await one.fetchval(query)
            async with other.transaction():
                # A pooler has the session of *one* back, and it is the first that it gives to another.
                taken: int = await other.fetchval(query)
                after: int = await one.fetchval(query)
        return taken == before or after != before

    @contextlib.asynccontextmanager
    async def _writable(self) -> AsyncIterator[None]:
        """Translate errors; where the server has become read-only, let the next connection find another host."""
        try:
            with translated():
                yield
        except StoreUnavailable as exc:
            if isinstance(exc.__cause__, asyncpg.ReadOnlySQLTransactionError):
                await self._pool.expire_connections()
            raise


async def _keep(_: object) -> None:
    """Reset nothing when a connection goes back: no session of ours has a state. Saves a round trip a statement."""


def columns(rows: Sequence[Sequence[Any]], width: int) -> list[Sequence[Any] | None]:
    """Return *rows* turned into *width* columns, as `unnest` wants them; empty columns for no rows.

    One without a single value is None: `unnest` fills it up, and nothing of it need be encoded.
    """
    if not rows:
        return [()] * width
    return [
        None if column[0] is None and column.count(None) == len(column) else column
        for column in zip(*rows, strict=True)
    ]
