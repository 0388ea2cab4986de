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
# PgBouncer's words for what a server of PostgreSQL has a code for: its own errors are all 08P01.
_LOGIN_REFUSED: Final = re.compile(r"authentication failed|no such user")
_NO_DATABASE: Final = re.compile(r"database \".*\" does not exist|no such database")
_CLIENT_CERTIFICATE: Final = re.compile(r"valid client certificate|certificate authentication failed")
_OURS: Final = f"check sslcert and sslkey in {URL}"
# By what OpenSSL finds wrong with a certificate (X509_V_ERR_…); of anything else, its authority is not ours.
_CERTIFICATE: Final = {
    9: "the server needs a valid one, or the clock here is wrong",
    10: "the server needs a new one, or the clock here is wrong",
    23: f"the server needs a new one, or sslcrl in {URL} is wrong",
    62: f"name the server in {URL} as its certificate does",
    64: f"name the server in {URL} as its certificate does",
}
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
                failure = _failure(exc, self._url)
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


def _failure(exc: BaseException, url: str) -> Failure:
    text = str(exc).strip().partition("\n")[0]
    is_lost = isinstance(exc, asyncpg.ConnectionDoesNotExistError)
    # TLS 1.3: that the server refuses our certificate it says after the handshake.
    match exc.__cause__ or exc if is_lost else exc:
        case asyncpg.TargetServerAttributeNotMatched():
            return Failure(READ_ONLY, is_lasting=False)
        case ssl.SSLError() as failed:
            return _of_tls(failed)
        case asyncpg.PostgresError() as said if not is_lost:
            return _of_postgres(said, text, url)
        case ConnectionError() if "rejected SSL upgrade" in text:
            # Where it may do without TLS, a PostgreSQL that has none says so, and is used.
            return Failure(_NO_TLS if database_url.needs_tls(url) else _OTHER, is_lasting=True)
        case asyncpg.ClientConfigurationError() | ValueError():  # its text may repeat a part of the URL
            return Failure(f"{URL} cannot be used: {type(exc).__name__}", is_lasting=True)
        case _:
            return Failure(
                _of_the_network(exc, text, has_certificate=database_url.has_certificate(url)), is_lasting=False
            )


_CLOSED: Final = f"it closed the connection before it answered: if that stays, check the host and the port in {URL}"
# With TLS 1.3 the connection may be gone before its reason is read.
_REFUSED_PERHAPS: Final = f"it closed the connection before it answered, and may refuse our certificate: {_OURS}"
_NO_TLS: Final = f"takes no TLS: use sslmode=prefer in {URL}, or switch ssl on at the server"
_OTHER: Final = f"it does not answer as PostgreSQL does: check the host and the port in {URL}"


def _of_tls(exc: ssl.SSLError) -> Failure:
    if isinstance(exc, ssl.SSLCertVerificationError):
        todo = _CERTIFICATE.get(exc.verify_code, f"check sslrootcert in {URL}")
        problem = f"its certificate is refused: {exc.verify_message.rstrip('.')}: {todo}"
        return Failure(problem, is_lasting=True, is_certificate=True)
    said = exc.reason or str(exc).partition("\n")[0]
    if "PROTOCOL" in said or "VERSION" in said:
        todo = f"check ssl_min_protocol_version and ssl_max_protocol_version in {URL}"
        return Failure(f"TLS fails: {said}: {todo}", is_lasting=False)
    if "ALERT" in said:
        problem = f"it wants a client certificate, or refuses ours ({said}): {_OURS}"
        return Failure(problem, is_lasting=True, is_certificate=True)
    return Failure(f"TLS fails: {said}: check sslmode, sslcert and sslkey in {URL}", is_lasting=False)


def _of_postgres(exc: asyncpg.PostgresError, text: str, url: str) -> Failure:
    is_lasting = sqlstates.meaning(exc) not in {Meaning.OUTAGE, Meaning.BUSY, Meaning.LOST_RACE}
    is_bouncer = isinstance(exc, asyncpg.ProtocolViolationError)
    match exc:
        case asyncpg.InvalidAuthorizationSpecificationError() if _CLIENT_CERTIFICATE.search(text):
            todo = _OURS
        case asyncpg.InvalidAuthorizationSpecificationError():
            todo = _login(url)
        case asyncpg.InvalidCatalogNameError():
            todo = f"create it, or name another in {URL}"
        case asyncpg.InsufficientPrivilegeError():
            todo = f"grant this user CONNECT, or name another database in {URL}"
        case asyncpg.TooManyConnectionsError():
            todo = "raise that limit, or lower TOLLBELL_DATABASE_POOL_SIZE"
        case _ if is_bouncer and _LOGIN_REFUSED.search(text):
            todo, is_lasting = _login(url), True
        case _ if is_bouncer and _NO_DATABASE.search(text):
            todo, is_lasting = f"create it, or name another in {URL}", True
        case _ if _PGBOUNCER.search(text):
            todo, is_lasting = "add it to PgBouncer's ignore_startup_parameters", True
        case _:
            todo = f"check {URL}" if is_lasting else ""
    return Failure(f"{text}: {todo}" if todo else text, is_lasting)


def _login(url: str) -> str:
    written = " (there, a % itself is written %25)" if database_url.has_escapes(url) else ""
    return f"check the user and the password in {URL}{written}, and pg_hba.conf"


def _of_the_network(exc: BaseException, text: str, *, has_certificate: bool) -> str:
    match exc:
        case socket.gaierror():
            return f"the name cannot be resolved ({exc.strerror})"
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "connection refused: nothing listens there"
        case asyncpg.ConnectionDoesNotExistError() | ConnectionResetError() | ConnectionError(errno=None):
            return _REFUSED_PERHAPS if has_certificate else _CLOSED
        case OSError():  # asyncio repeats the address in its text: the host is named before it
            return exc.strerror or text or type(exc).__name__
        case _:
            return f"{type(exc).__name__}: {text}"
