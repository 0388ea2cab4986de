"""Why there is no connection to Postgres: of what a server answers, which line, and whether waiting may help."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from consumer.errors import Refused, StoreUnavailable
from consumer.store import connections
from consumer.store.connections import PostgresConnector
from consumer.store.database import Database, translated

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SECRET = "s3cr3t"
LOGIN = "check the user and the password in TOLLBELL_DATABASE_URL, and pg_hba.conf"
DATABASE = "create it, or name another in TOLLBELL_DATABASE_URL"
CLOSED = "it closed the connection before it answered: if that stays, check the host and the port in"
OURS = "check sslcert and sslkey in TOLLBELL_DATABASE_URL"


def error(code: str, text: str) -> bytes:
    """An ErrorResponse of the protocol."""
    fields = b"".join(kind + value.encode() + b"\0" for kind, value in ((b"S", "FATAL"), (b"C", code), (b"M", text)))
    return b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0"


def answering(*, tls: bytes = b"", startup: bytes = b"") -> Answer:
    """A server that answers the question for TLS, and the startup, with these; and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            for said in (tls, startup) if tls else (startup,):
                length = int.from_bytes(await reader.readexactly(4), "big")
                await reader.readexactly(length - 4)
                writer.write(said)
                await writer.drain()
        writer.close()

    return answer


@contextlib.asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[int]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def said(answer: Answer, query: str = "sslmode=disable") -> tuple[str, bool]:
    """Return the line, and whether it is said that waiting does not help."""
    async with served(answer) as port:
        connect = PostgresConnector(f"postgresql://me:{SECRET}@127.0.0.1:{port}/x?{query}")
        with pytest.raises((Refused, StoreUnavailable)) as caught:
            await connect()
    line = str(caught.value)
    assert line.startswith(f"Postgres: 127.0.0.1:{port}: ")
    assert SECRET not in line
    return line.removeprefix(f"Postgres: 127.0.0.1:{port}: "), isinstance(caught.value, Refused)


@pytest.mark.parametrize(
    ("code", "text", "says", "is_lasting"),
    [
        ("28P01", "password authentication failed", LOGIN, True),
        ("28000", "connection requires a valid client certificate", OURS, True),
        ("28000", 'certificate authentication failed for user "me"', OURS, True),
        ("42501", 'permission denied for database "x"', "grant this user CONNECT, or name another database in", True),
        (
            "53300",
            'too many connections for role "me"',
            "raise that limit, or lower TOLLBELL_DATABASE_POOL_SIZE",
            False,
        ),
        ("3D000", 'database "x" does not exist', DATABASE, True),
        # Of PgBouncer, which has one code for all that it says itself.
        ("08P01", "SASL authentication failed", LOGIN, True),
        ("08P01", 'database "x" does not exist', DATABASE, True),
        ("08P01", "unsupported startup parameter: jit", "add it to PgBouncer's ignore_startup_parameters", True),
        ("08P01", "no more connections allowed (max_client_conn)", "", False),
    ],
)
async def test_what_postgres_answers_has_what_to_do_behind_it(
    code: str, text: str, says: str, is_lasting: bool
) -> None:
    line, lasts = await said(answering(startup=error(code, text)))

    assert line.startswith(f"{text}: {says}" if says else text)
    assert lasts == is_lasting


@pytest.mark.parametrize(
    ("answer", "query", "says", "is_lasting"),
    [
        (answering(tls=b"H", startup=b"TTP/1.1 400"), "sslmode=prefer", "it does not answer as PostgreSQL does", True),
        (answering(tls=b"N"), "sslmode=require", "takes no TLS: use sslmode=prefer", True),
        (answering(), "sslmode=disable", CLOSED, False),
        (answering(), "sslmode=prefer", CLOSED, False),
    ],
)
async def test_what_is_no_postgres_is_not_called_one(answer: Answer, query: str, says: str, is_lasting: bool) -> None:
    line, lasts = await said(answer, query)

    assert line.startswith(says)
    assert lasts == is_lasting


def certificate_error(code: int, text: str) -> ssl.SSLCertVerificationError:
    made = ssl.SSLCertVerificationError(1, text)
    made.verify_code, made.verify_message = code, text
    return made


def tls_error(reason: str) -> ssl.SSLError:
    made = ssl.SSLError(1, reason)
    made.reason = reason
    return made


def lost(cause: BaseException) -> asyncpg.PostgresError:
    made = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    made.__cause__ = cause
    return made


@pytest.mark.parametrize(
    ("met", "says", "is_lasting"),
    [
        (certificate_error(10, "certificate has expired"), "the server needs a new one, or the clock here", True),
        (certificate_error(64, "IP address mismatch"), "name the server in TOLLBELL_DATABASE_URL as its", True),
        (certificate_error(19, "self-signed certificate"), "check sslrootcert in TOLLBELL_DATABASE_URL", True),
        (lost(tls_error("TLSV1_ALERT_UNKNOWN_CA")), f"refuses ours (TLSV1_ALERT_UNKNOWN_CA): {OURS}", True),
        (lost(ConnectionResetError(104, "reset")), f"and may refuse our certificate: {OURS}", False),
        (tls_error("NO_PROTOCOLS_AVAILABLE"), "check ssl_min_protocol_version and ssl_max_protocol_version", False),
        (tls_error("BAD_ECPOINT"), "TLS fails: BAD_ECPOINT: check sslmode, sslcert and sslkey in", False),
    ],
)
async def test_a_failure_of_tls_names_what_to_look_at(
    monkeypatch: pytest.MonkeyPatch, met: Exception, says: str, is_lasting: bool
) -> None:
    async def connect(*_: object, **__: object) -> None:
        raise met

    monkeypatch.setattr(connections.asyncpg, "connect", connect)

    with pytest.raises(Refused if is_lasting else StoreUnavailable) as caught:
        await PostgresConnector(f"postgresql://me:{SECRET}@db/x?sslcert=mine.pem")()

    assert says in str(caught.value)


class FakeServer:
    """Sessions by their number; a pooler in transaction mode gives the one that came back last to the next client."""

    def __init__(self, *, is_pooled: bool) -> None:
        self.is_pooled = is_pooled
        self.free = [2, 1]
        self.clients = 0

    @contextlib.asynccontextmanager
    async def acquire(self, **_: float) -> AsyncIterator["FakeConnection"]:
        self.clients += 1
        yield FakeConnection(self, self.clients)


class FakeConnection:
    """A client's connection: its session is its own, or what the pooler gives it for a transaction."""

    def __init__(self, server: FakeServer, own: int) -> None:
        self._server = server
        self._own = own
        self._pinned: int | None = None

    async def fetchval(self, _: str) -> int:
        if not self._server.is_pooled:
            return self._own
        return self._pinned or self._server.free[-1]

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self._pinned = self._server.free.pop()
        yield
        self._server.free.append(self._pinned)


@pytest.mark.parametrize("is_pooled", [True, False])
async def test_a_pooler_in_transaction_mode_is_seen_by_its_sessions(is_pooled: bool) -> None:
    pool: Any = FakeServer(is_pooled=is_pooled)

    assert await Database(pool).is_pooled() == is_pooled


@pytest.mark.parametrize("lost", [asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError])
def test_a_lost_prepared_statement_names_the_pooler(lost: type[Exception]) -> None:
    with (
        pytest.raises(Refused, match=r"^Postgres: prepared statement x: a pooler in transaction mode is between: "),
        translated(),
    ):
        raise lost("prepared statement x")
