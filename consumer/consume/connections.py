"""Why a broker gave no connection: what aiokafka only logs, in our words, with the setting to look at.

aiokafka catches whatever a connection fails with, and raises "Unable to bootstrap from […]" for all of them, or waits.
"""

import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import client, conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from consumer import clock

FRESH: Final = 30.0  # seconds: an older failure says nothing of now
_PROTOCOL: Final = "check TOLLBELL_KAFKA_SECURITY_PROTOCOL: this listener may use another"
SILENT: Final = f"no broker answers what it is asked once connected: {_PROTOCOL}"
# What follows an address that is in no setting of ours.
ADVERTISED: Final = " (which the brokers name: see their advertised.listeners)"
_LOGIN: Final = "check TOLLBELL_KAFKA_SASL_USERNAME, _SASL_PASSWORD and _SASL_MECHANISM"
_CA: Final = "check TOLLBELL_KAFKA_SSL_CA_FILE"
_OURS: Final = "check TOLLBELL_KAFKA_SSL_CERT_FILE and _SSL_KEY_FILE"
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})
# Of OpenSSL, X509_V_ERR_…: what a certificate is refused for, and what to do about it.
_CERTIFICATE: Final = {
    9: "ask the broker's owner for a valid one, or set the clock here",
    10: "the broker needs a new one, or the clock here is wrong",
    62: "name the broker in TOLLBELL_KAFKA_BOOTSTRAP_SERVERS as its certificate does",
    64: "name the broker in TOLLBELL_KAFKA_BOOTSTRAP_SERVERS as its certificate does",
}


@dataclass(frozen=True, slots=True)
class ConnectionReason:
    """Why there is no connection; *is_refusal*: the broker was reached, and only a person can change it."""

    text: str
    is_refusal: bool


@dataclass(frozen=True, slots=True)
class _Failure:
    at: float  # monotonic
    reason: ConnectionReason


@dataclass(frozen=True, slots=True)
class _Seen:
    """Addresses that were connected to: which are in our setting, and why some failed."""

    bootstrap: set[str] = field(default_factory=set)
    failures: dict[str, _Failure] = field(default_factory=dict)


# Set once for a task and whatever it starts, so that a client's background tasks write into it as well.
_seen: ContextVar[_Seen] = ContextVar("connections_seen")


def install() -> None:
    """Let every client of this process keep why its connections fail: aiokafka has no setting for it."""
    client.create_conn = create_conn


def watch() -> None:
    """Keep the failures of this task's clients from now on, if they are not kept yet."""
    if _seen.get(None) is None:
        _seen.set(_Seen())


def reasons() -> ConnectionReason | None:
    """Return why connections of this task's clients failed of late, in one text; None: none did."""
    now, seen = clock.monotonic(), _seen.get(_Seen())
    fresh = {at: one.reason for at, one in seen.failures.items() if now - one.at < FRESH}
    if not fresh:
        return None
    text = "; ".join(
        f"{address}{'' if address in seen.bootstrap else ADVERTISED}: {reason.text}"
        for address, reason in sorted(fresh.items())
    )
    return ConnectionReason(text, all(reason.is_refusal for reason in fresh.values()))


async def create_conn(host: str, port: int, **options: Any) -> Any:
    """Connect as aiokafka does; remember why that failed. Takes the place of aiokafka's function of that name."""
    seen, address = _seen.get(_Seen()), f"{host}:{port}"
    kept = seen.failures
    if "on_close" not in options:  # only a connection to a broker that the cluster names has it
        seen.bootstrap.add(address)
    try:
        made = await conn.create_conn(host, port, **options)
    except (OSError, KafkaError) as exc:
        kept[address] = _Failure(clock.monotonic(), reason(exc))
        raise
    except ValueError as exc:  # aiokafka's answer to a SCRAM exchange that goes wrong; it would end the client's task
        kept[address] = _Failure(clock.monotonic(), ConnectionReason(f"the login fails: {_LOGIN}", is_refusal=True))
        raise KafkaConnectionError("the SCRAM exchange failed") from exc
    kept.pop(address, None)
    return made


def reason(exc: BaseException) -> ConnectionReason:
    """Return what *exc*, raised by a new connection, means, and what to look at."""
    match exc:
        case KafkaConnectionError(__cause__=BaseException() as cause):
            return reason(cause)
        case SaslAuthenticationFailed() | AuthenticationFailedError():
            said = next((str(one) for one in exc.args if isinstance(one, str)), "")
            return ConnectionReason(f"the login is refused{f' ({said})' if said else ''}: {_LOGIN}", is_refusal=True)
        case UnsupportedSaslMechanismError():
            problem = "it does not take this SASL mechanism: check TOLLBELL_KAFKA_SASL_MECHANISM"
            return ConnectionReason(problem, is_refusal=True)
        case IllegalSaslStateError():
            return ConnectionReason(f"it takes no login by SASL: {_PROTOCOL}", is_refusal=True)
        case ssl.SSLError():
            return _of_tls(exc)
        case _:
            return ConnectionReason(_of_the_network(exc), is_refusal=False)


def _of_tls(exc: ssl.SSLError) -> ConnectionReason:
    said = exc.reason or ""
    if isinstance(exc, ssl.SSLCertVerificationError):
        todo = _CERTIFICATE.get(exc.verify_code, _CA)
        return ConnectionReason(
            f"its certificate is refused: {exc.verify_message.rstrip('.')}: {todo}", is_refusal=True
        )
    if said in _NOT_TLS:
        return ConnectionReason(f"it does not answer in TLS: {_PROTOCOL}", is_refusal=True)
    if "ALERT" in said:
        # Which of the two, no broker says: TLS 1.3 has a word for it, and Java's does not use it.
        problem = "it wants a client certificate, or refuses ours"
        return ConnectionReason(f"{problem} ({said}): {_OURS}", is_refusal=True)
    return ConnectionReason(f"TLS fails ({said or type(exc).__name__}): {_PROTOCOL}", is_refusal=False)


def _of_the_network(exc: BaseException) -> str:
    match exc:
        case socket.gaierror():
            return f"the name cannot be resolved ({exc.strerror})"
        case ConnectionRefusedError():
            return "connection refused: nothing listens there"
        case TimeoutError():
            return f"no answer in time: a firewall, or {_PROTOCOL}"
        case EOFError() | ConnectionResetError() | ConnectionAbortedError() | KafkaConnectionError():
            return f"it closed the connection before it answered: {_PROTOCOL}"
        case _:
            said = str(exc).partition("\n")[0]
            return f"{type(exc).__name__}{': ' if said else ''}{said}"
