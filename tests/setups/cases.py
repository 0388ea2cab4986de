"""The cases: what is wrong, the line that names it, and the status of `check` and of `run`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consumer import encryption
from tests.setups import kafka
from tests.setups.kafka import Right

KEY = encryption.new_key()
WAITS, READY = "waits", "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A set-up. *says* is in a line of `check`, and in what `run` says, where that has no *run_says* of its own."""

    name: str
    role: str
    environment: dict[str, str]
    says: str
    check_status: int = 1
    run_status: int | str = 1
    run_says: str = ""
    rights: Sequence[Right] = field(default_factory=lambda: kafka.all_rights("tollbell"))


def all_cases(folder: Path, ports: Sequence[int]) -> Iterator[Case]:
    """Give all cases; *ports* are those of PostgreSQL servers."""
    yield from _logins(folder)
    yield from _tls(folder)
    yield from _protocols(folder)
    yield from _rights(folder)
    for port in ports:
        yield from _postgres(folder, port)
        yield from _certificates(folder, port)
    yield from _standby()


def _kafka(folder: Path, port: int = 38101, **more: str) -> dict[str, str]:
    given = {
        "BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_USERNAME": "tollbell",
        "SASL_PASSWORD": "good-pass",
        "SSL_CA_FILE": str(folder / "ca.pem"),
        "GROUP_ID": kafka.GROUP,
        **more,
    }
    return _set(
        "postgresql://tollbell:pg-good-pass@127.0.0.1:38432/tollbell?sslmode=require",
        {f"TOLLBELL_KAFKA_{name}": value for name, value in given.items() if value},
    )


def _set(url: str, more: dict[str, str] | None = None) -> dict[str, str]:
    return {
        "TOLLBELL_DATABASE_URL": url,
        "TOLLBELL_ENCRYPTION_KEYS": KEY,
        "TOLLBELL_HTTP_LISTEN": "127.0.0.1:0",
        "TOLLBELL_LOG_FORMAT": "json",
        **(more or {}),
    }


def _consume(name: str, environment: dict[str, str], says: str, **more: object) -> Case:
    return Case(name=f"kafka: {name}", role="consume", environment=environment, says=says, **more)  # type: ignore[arg-type]


def _logins(folder: Path) -> Iterator[Case]:
    ready = {"check_status": 0, "run_status": READY, "run_says": "ready"}
    refused = r"the login is refused \(.*\): check TOLLBELL_KAFKA_SASL_USERNAME"
    yield _consume("all is right", _kafka(folder), "ok", **ready)
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        yield _consume(
            f"all is right, {mechanism}",
            _kafka(folder, SASL_USERNAME="scram", SASL_MECHANISM=mechanism),
            "ok",
            rights=kafka.all_rights("scram"),
            **ready,
        )
        yield _consume(
            f"wrong password, {mechanism}",
            _kafka(folder, SASL_USERNAME="scram", SASL_MECHANISM=mechanism, SASL_PASSWORD="bad-pass"),
            refused,
        )
    yield _consume("wrong password, PLAIN", _kafka(folder, SASL_PASSWORD="bad-pass"), refused)
    yield _consume("a user that is not there", _kafka(folder, SASL_USERNAME="stranger"), refused)
    yield _consume("the mechanism of another user", _kafka(folder, SASL_MECHANISM="SCRAM-SHA-512"), refused)


def _tls(folder: Path) -> Iterator[Case]:
    yield _consume(
        "wrong CA",
        _kafka(folder, SSL_CA_FILE=str(folder / "other.pem")),
        "its certificate is refused: .*check TOLLBELL_KAFKA_SSL_CA_FILE",
    )
    yield _consume(
        "the system's CAs", _kafka(folder, SSL_CA_FILE=""), "its certificate is refused: .*TOLLBELL_KAFKA_SSL_CA_FILE"
    )
    yield _consume(
        "certificate of another host", _kafka(folder, 38103), "mismatch.*name the broker in TOLLBELL_KAFKA_BOOT"
    )
    yield _consume("expired certificate", _kafka(folder, 38104), "certificate has expired: the broker needs a new one")
    mutual = {"SECURITY_PROTOCOL": "SSL", "SASL_USERNAME": "", "SASL_PASSWORD": ""}
    own = {"SSL_CERT_FILE": str(folder / "client.pem"), "SSL_KEY_FILE": str(folder / "client.key")}
    bad = {"SSL_CERT_FILE": str(folder / "badclient.pem"), "SSL_KEY_FILE": str(folder / "badclient.key")}
    yield _consume(
        "all is right, client certificate",
        _kafka(folder, 38102, **mutual, **own),
        "ok",
        check_status=0,
        run_status=READY,
        run_says="ready",
        rights=kafka.all_rights("tollbell-mtls"),
    )
    yield _consume(
        "no client certificate",
        _kafka(folder, 38102, **mutual),
        "wants a client certificate, or refuses ours.*_SSL_CERT_FILE",
    )
    yield _consume(
        "client certificate of another CA", _kafka(folder, 38102, **mutual, **bad), "certificate.*_SSL_CERT_FILE"
    )


def _protocols(folder: Path) -> Iterator[Case]:
    plain = {"SECURITY_PROTOCOL": "PLAINTEXT", "SASL_USERNAME": "", "SASL_PASSWORD": "", "SSL_CA_FILE": ""}
    closed = "closed the connection before it answered: check TOLLBELL_KAFKA_SECURITY_PROTOCOL"
    waits = {"run_status": WAITS}
    yield _consume("PLAINTEXT to a TLS listener", _kafka(folder, **plain), closed, **waits)
    yield _consume(
        "SASL_PLAINTEXT to a TLS listener",
        _kafka(folder, SECURITY_PROTOCOL="SASL_PLAINTEXT", SSL_CA_FILE=""),
        closed,
        **waits,
    )
    yield _consume(
        "SSL to a SASL_SSL listener",
        _kafka(folder, SECURITY_PROTOCOL="SSL", SASL_USERNAME="", SASL_PASSWORD=""),
        "check TOLLBELL_KAFKA_SECURITY_PROTOCOL",
        **waits,
    )
    yield _consume(
        "TLS to a PLAINTEXT listener", _kafka(folder, 38106), "check TOLLBELL_KAFKA_SECURITY_PROTOCOL", **waits
    )
    yield _consume(
        "SASL to a PLAINTEXT listener",
        _kafka(folder, 38106, SECURITY_PROTOCOL="SASL_PLAINTEXT", SSL_CA_FILE=""),
        "it takes no login by SASL: check TOLLBELL_KAFKA_SECURITY_PROTOCOL",
    )
    yield _consume(
        "a name that is not there",
        _kafka(folder, BOOTSTRAP_SERVERS="no-such-host.invalid:9092"),
        r"no-such-host.invalid:9092: the name cannot be resolved",
        **waits,
    )
    yield _consume(
        "a port where nothing listens",
        _kafka(folder, BOOTSTRAP_SERVERS="127.0.0.1:9"),
        "127.0.0.1:9: connection refused: nothing listens there",
        **waits,
    )


def _rights(folder: Path) -> Iterator[Case]:
    def lacking(name: str, says: str, *gone: tuple[str, str], **more: object) -> Case:
        rights = [right for right in kafka.all_rights("tollbell") if right[1:] not in gone]
        return _consume(name, _kafka(folder), says, rights=rights, **more)

    usage, letters = "topic:tollbell.usage", f"topic:{kafka.LETTERS}"
    yield _consume(
        "no rights",
        _kafka(folder),
        "lacks Read on topic tollbell.*, Write on topic tollbell.*, Read on group tollbell: grant",
        rights=[],
    )
    yield lacking("no Read on a topic", "user lacks Read on topic tollbell.usage: grant", ("READ", usage))
    yield lacking(
        "no Write on the dead letters", "user lacks Write on topic tollbell.dead-letters: grant", ("WRITE", letters)
    )
    yield lacking("no Read on the group", "user lacks Read on group tollbell: grant", ("READ", "group:tollbell"))
    runs = {"check_status": 0, "run_status": READY, "run_says": "ready"}
    yield lacking(
        "no Write on transactional ids",
        "the write was not tried: that takes Write on transactional ids",
        ("WRITE", "transactional_id:tollbell-check"),
        **runs,
    )
    yield lacking(
        "no DescribeConfigs", "this user lacks DescribeConfigs on the topics", ("DESCRIBE_CONFIGS", usage), **runs
    )
    yield _consume(
        "a topic that is not there",
        {**_kafka(folder), "TOLLBELL_TOPICS_USAGE": "none"},
        "lacks Read on topic none|not there, or not to be described: topic none",
    )


def _of_postgres(port: int, name: str, url: str, says: str, *, at: int = 0, **more: object) -> Case:
    """Return a case of the server at *port*, or of that at *at*."""
    environment = _set(f"postgresql://{url}".replace("AT", f"127.0.0.1:{at or port}"))
    return Case(name=f"postgres {port}: {name}", role="serve", environment=environment, says=says, **more)  # type: ignore[arg-type]


def _certificates(folder: Path, port: int) -> Iterator[Case]:
    def case(name: str, url: str, says: str, **more: Any) -> Case:
        return _of_postgres(port, name, url, says, **more)

    ready = {"check_status": 0, "run_status": READY, "run_says": "ready"}
    tollbell, full = "tollbell:pg-good-pass@AT/tollbell", f"sslmode=verify-full&sslrootcert={folder / 'ca.pem'}"
    for mode in ("disable", "allow", "prefer", "require"):
        yield case(f"all is right, {mode}", f"{tollbell}?sslmode={mode}", "ok", **ready)
    yield case(
        "all is right, verify-ca", f"{tollbell}?sslmode=verify-ca&sslrootcert={folder / 'ca.pem'}", "ok", **ready
    )
    yield case("certificate of another host", f"{tollbell}?{full}", "mismatch.*: name the server in", at=port + 2)
    yield case("expired certificate", f"{tollbell}?{full}", "has expired: the server needs a new one", at=port + 3)
    certified, ours = (
        "certified:pg-good-pass@AT/tollbell?sslmode=require",
        "check sslcert and sslkey in TOLLBELL_DATABASE",
    )
    yield case("no client certificate", certified, f"requires a valid client certificate: {ours}")
    yield case(
        "client certificate of another CA",
        # With TLS 1.3 the connection may be gone before its reason is read.
        f"{certified}&ssl_max_protocol_version=TLSv1.2"
        f"&sslcert={folder / 'badclient.pem'}&sslkey={folder / 'badclient.key'}",
        f"wants a client certificate, or refuses ours .*: {ours}",
    )
    yield case("a port of another server", tollbell, "it does not answer as PostgreSQL does", at=38101)


def _postgres(folder: Path, port: int) -> Iterator[Case]:
    def case(name: str, url: str, says: str, **more: Any) -> Case:
        return _of_postgres(port, name, url, says, **more)

    full = f"sslmode=verify-full&sslrootcert={folder / 'ca.pem'}"
    login = "check the user and the password in TOLLBELL_DATABASE_URL"
    ready = {"check_status": 0, "run_status": READY, "run_says": "ready"}
    yield case("all is right, verify-full", f"tollbell:pg-good-pass@AT/tollbell?{full}", "ok", **ready)
    yield case("wrong password", "tollbell:bad-pass@AT/tollbell", f"password authentication failed.*{login}")
    yield case("a user that is not there", "stranger:bad-pass@AT/tollbell", f"authentication failed.*{login}")
    yield case(
        "a user that pg_hba.conf keeps out",
        "reader:pg-good-pass@AT/tollbell?sslmode=disable",
        f"no pg_hba.conf entry.*{login}",
    )
    yield case("a user that may not log in", "retired:pg-good-pass@AT/tollbell", f"not permitted to log in.*{login}")
    yield case(
        "a user that may not use the database",
        "reader:pg-good-pass@AT/closed",
        'permission denied for database "closed": grant this user CONNECT',
    )
    yield case(
        "a user whose connections are all taken",
        "crowded:pg-good-pass@AT/tollbell",
        'too many connections for role "crowded": raise that limit',
        run_status=WAITS,
    )
    yield case(
        "a database that is not there", "tollbell:pg-good-pass@AT/none", 'database "none" does not exist: create'
    )
    yield case(
        "wrong CA",
        f"tollbell:pg-good-pass@AT/tollbell?sslmode=verify-full&sslrootcert={folder / 'other.pem'}",
        "its certificate is refused: .*: check sslrootcert in TOLLBELL_DATABASE_URL",
    )
    yield from _databases(case)


def _databases(case: Callable[..., Case]) -> Iterator[Case]:
    yield case("no schema", "tollbell:pg-good-pass@AT/empty", "run `tollbell migrate` first")
    yield case(
        "tables of another user",
        "reader:pg-good-pass@AT/tollbell",
        "permission denied for .*: run as the user that migrated",
    )
    yield case(
        "a setting that it does not know",
        "tollbell:pg-good-pass@AT/tollbell?no_such_setting=1",
        'unrecognized configuration parameter "no_such_setting": check TOLLBELL_DATABASE_URL',
    )
    yield case(
        "a database that is read-only",
        "tollbell:pg-good-pass@AT/frozen",
        "is read-only: a standby, or default_transaction_read_only is on",
        run_status=WAITS,
    )


def _standby() -> Iterator[Case]:
    def case(name: str, hosts: str, says: str, **more: object) -> Case:
        environment = _set(f"postgresql://tollbell:pg-good-pass@{hosts}/tollbell")
        return Case(name=f"postgres: {name}", role="serve", environment=environment, says=says, **more)  # type: ignore[arg-type]

    standby, primary, closed = "127.0.0.1:38433", "127.0.0.1:38432", "127.0.0.1:9"
    ready = {"check_status": 0, "run_status": READY, "run_says": "ready"}
    yield case("a standby alone", standby, f"{standby}: is read-only: a standby", run_status=WAITS)
    yield case("a standby, then the primary", f"{standby},{primary}", "ok", **ready)
    yield case("a closed port, then the primary", f"{closed},{primary}", "ok", **ready)
    yield case(
        "a closed port, then a standby",
        f"{closed},{standby}",
        "nothing listens there; .*is read-only",
        run_status=WAITS,
    )
    yield case(
        "a name that is not there",
        "no-such-host.invalid",
        "no-such-host.invalid:5432: the name cannot be",
        run_status=WAITS,
    )
