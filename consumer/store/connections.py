"""New connections to Postgres: each host of the URL in turn, only one that can be written to; else why, for each host.

The driver gives one time-out to all hosts together, and one error for all of them, mostly without the host's name.
"""

import re
import socket
import ssl
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from consumer import clock, database_url
from consumer.database_url import Host
from consumer.errors import Refused, StoreUnavailable
from consumer.store import sqlstates
from consumer.store.sqlstates import Meaning

CONNECT_TIMEOUT: Final = 5.0  # seconds, for all hosts together; an unreachable server must not look like a slow one
URL: Final = "TOLLBELL_DATABASE_URL"
READ_ONLY: Final = "is read-only: a standby, or default_transaction_read_only is on"
_PGBOUNCER: Final = re.compile(r"unsupported startup parameter")
_FAILED: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a host gave no connection; *is_lasting*: a person must change something, waiting does not help."""

    problem: str
    is_lasting: bool
    is_certificate: bool = False


class PostgresConnector:
    """Connects to the servers of one URL; what asyncpg's pool calls for each connection.

    A certificate that cannot be verified is a wrong set-up as long as no connection was ever made, and an outage later:
    it may have expired, and be renewed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._hosts: list[Host | None] = [*database_url.hosts(url)] or [None]
        self._has_connected = False

    async def __call__(self, *_: object, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        """Return a connection that can write.

        Raises:
            Refused: the login or the database is refused, or nothing but a change of the set-up would help.
            StoreUnavailable: no host gives one now.
        """
        deadline = clock.monotonic() + CONNECT_TIMEOUT
        failures: list[Failure] = []
        for n, host in enumerate(self._hosts):
            share = max(deadline - clock.monotonic(), 0.1) / (len(self._hosts) - n)
            try:
                connection = await self._connect(host, {**options, "timeout": share})
            except _FAILED as exc:
                failure = _failure(exc, has_escapes=database_url.has_escapes(self._url))
                said = f"{host}: {failure.problem}" if host else failure.problem
                failures.append(Failure(said, failure.is_lasting, failure.is_certificate))
            else:
                self._has_connected = True
                return connection
        line = f"Postgres: {'; '.join(failure.problem for failure in failures)}"
        if all(one.is_lasting and not (one.is_certificate and self._has_connected) for one in failures):
            raise Refused(line)
        raise StoreUnavailable(line)

    async def _connect(self, host: Host | None, options: dict[str, Any]) -> "asyncpg.Connection[asyncpg.Record]":
        where: dict[str, Any] = {"host": host.name, "port": host.port} if host else {}
        connect: Any = asyncpg.connect  # whose types have an overload for each of its options
        made: asyncpg.Connection[asyncpg.Record] = await connect(
            self._url, target_session_attrs="read-write", **where, **options
        )
        return made


def _failure(exc: BaseException, *, has_escapes: bool) -> Failure:
    text = str(exc).strip().partition("\n")[0]
    match exc:
        case asyncpg.TargetServerAttributeNotMatched():
            return Failure(READ_ONLY, is_lasting=False)
        case asyncpg.PostgresError():
            return _of_postgres(exc, text, has_escapes=has_escapes)
        case ssl.SSLCertVerificationError():
            said = exc.verify_message.rstrip(".")
            problem = f"its certificate is refused: {said}: check the host, sslmode and sslrootcert in {URL}"
            return Failure(problem, is_lasting=True, is_certificate=True)
        case ConnectionError() if "rejected SSL upgrade" in text:
            return Failure(
                f"takes no TLS: use sslmode=prefer in {URL}, or switch ssl on at the server", is_lasting=True
            )
        case asyncpg.ClientConfigurationError() | ValueError():  # its text may repeat a part of the URL
            return Failure(f"{URL} cannot be used: {type(exc).__name__}", is_lasting=True)
        case _:
            return Failure(_of_the_network(exc, text), is_lasting=False)


def _of_postgres(exc: asyncpg.PostgresError, text: str, *, has_escapes: bool) -> Failure:
    is_lasting = sqlstates.meaning(exc) not in {Meaning.OUTAGE, Meaning.BUSY, Meaning.LOST_RACE}
    match exc:
        case asyncpg.InvalidAuthorizationSpecificationError():
            written = " (there, a % itself is written %25)" if has_escapes else ""
            todo = f"check the user and the password in {URL}{written}, and pg_hba.conf"
        case asyncpg.InvalidCatalogNameError():
            todo = f"create it, or name another in {URL}"
        case _ if _PGBOUNCER.search(text):
            todo, is_lasting = "add it to PgBouncer's ignore_startup_parameters", True
        case _:
            todo = f"check {URL}" if is_lasting else ""
    return Failure(f"{text}: {todo}" if todo else text, is_lasting)


def _of_the_network(exc: BaseException, text: str) -> str:
    match exc:
        case ssl.SSLError():
            return f"TLS fails: {exc.reason or text}: check sslmode, sslcert and sslkey in {URL}"
        case socket.gaierror():
            return f"the name cannot be resolved ({exc.strerror})"
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "connection refused: nothing listens there"
        case OSError():  # asyncio repeats the address in its text: the host is named before it
            return exc.strerror or text or type(exc).__name__
        case _:
            return f"{type(exc).__name__}: {text}"
