"""TOLLBELL_DATABASE_URL: checked whole before anything connects. No part of a URL is ever repeated but its hosts.

A character of the password that is not escaped moves everything after it: what looks like a port, a path or a host may
be the rest of the password. So a complaint says where, and which character to escape, and never what it found there.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from consumer import tls

DEFAULT_PORT: Final = 5432
HIGHEST_PORT: Final = 65_535
FORM: Final = "postgresql://user:password@host:port/database"
_SCHEMES: Final = ("postgresql", "postgres")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,30}")
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-fA-F:.%]+\]|[^\[\]:]*)(?::(?P<port>[^:\[\]]*))?")
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_WITH_TLS: Final = ("require", "verify-ca", "verify-full")
_TLS_VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "sslmode": _SSL_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "target_session_attrs": ("any", "primary", "read-write"),  # Tollbell writes: it takes no other server anyway
}
_TAKEN: Final = (
    *_CHOICES, "host", "port", "dbname", "database", "user", "password", "passfile", "service", "krbsrvname", "gsslib",
    "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "application_name", "options", "search_path",
    "client_encoding",
)  # fmt: skip
# Of libpq, and not of the driver, which would send them to the server as if they were settings of the session.
_NOT_OURS: Final[Mapping[str, str]] = {
    "connect_timeout": "each host has a share of 5 s to answer",
    "channel_binding": "use sslmode=verify-full to be sure of the server",
    "require_auth": "use sslmode=verify-full to be sure of the server",
    "ssl": "use sslmode",
    "requiressl": "use sslmode=require",
    "pool_size": "use TOLLBELL_DATABASE_POOL_SIZE",
    "load_balance_hosts": "the first host that can be written to is used",
    "fallback_application_name": "use application_name",
    **dict.fromkeys(
        (
            "hostaddr", "gssencmode", "gssdelegation", "keepalives", "keepalives_idle", "keepalives_interval",
            "keepalives_count", "tcp_user_timeout", "replication", "sslcompression", "sslcertmode", "sslcrldir",
            "sslsni", "requirepeer", "min_protocol_version", "max_protocol_version", "krbspn", "scram_client_key",
            "scram_server_key", "pgbouncer", "schema", "connection_limit", "pool_timeout", "pool_mode",
        ),
        "",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Host:
    """A server that the URL names; without a port, the driver's default is meant."""

    name: str
    port: int | None

    def __str__(self) -> str:
        return self.name if self.name.startswith("/") else f"{self.name}:{self.port or DEFAULT_PORT}"


def check(url: str) -> None:
    """See that *url* can be used, with the files that it names.

    Raises:
        ValueError: what is wrong, without any part of it that may be a secret.
    """
    _check_characters(url)
    parts = urlsplit(url)
    user, _, _ = parts.netloc.rpartition("@")
    if "[" in user or "]" in user:
        raise ValueError(_unescaped("[" if "[" in user else "]"))
    parameters = _parameters(parts.query)
    for name, value in parameters.items():
        _check_parameter(name, value)
    hosts(url)
    _check_tls(parameters)


def hosts(url: str) -> list[Host]:
    """Return the servers that *url* names, in their order; none where the driver's defaults say.

    Raises:
        ValueError: one is not `host` or `host:port`.
    """
    parts = urlsplit(url)
    parameters = _parameters(parts.query)
    spec = parts.netloc.rpartition("@")[2] or parameters.get("host", "")
    ports = [part for part in parameters.get("port", "").split(",") if part]
    found: list[Host] = []
    for n, part in enumerate(spec.split(",") if spec else [], 1):
        text = unquote(part)
        if text.startswith("/"):
            name, port = text, ""
        elif host := _HOST.fullmatch(text):
            name, port = host["name"].strip("[]"), host["port"] or ""
        else:
            raise ValueError(f"host {n} must be host or host:port; {_ESCAPE}")
        port = port or (ports[min(n, len(ports)) - 1] if ports else "")
        if port and (not port.isdecimal() or not 0 < int(port) <= HIGHEST_PORT):
            raise ValueError(f"the port of host {n} must be a number from 1 to {HIGHEST_PORT}; {_ESCAPE}")
        found.append(Host(name or "localhost", int(port) if port else None))
    return found


def has_escapes(url: str) -> bool:
    """Return whether the user name or the password has a %, which may have been meant as itself."""
    return "%" in urlsplit(url).netloc.rpartition("@")[0]


def needs_tls(url: str) -> bool:
    """Return whether *url* takes no connection without TLS."""
    return _parameters(urlsplit(url).query).get("sslmode") in _WITH_TLS


def has_certificate(url: str) -> bool:
    """Return whether *url* has a certificate of ours."""
    return "sslcert" in _parameters(urlsplit(url).query)


_ESCAPE: Final = "in the user name and the password, write : / ? # [ ] @ % as %3A %2F %3F %23 %5B %5D %40 %25"


def _unescaped(character: str) -> str:
    return f"has a {character} in the user name or the password: write it as {quote(character, safe='')}"


def _check_characters(url: str) -> None:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        found = f", not with {scheme}://" if separator and _SCHEME.fullmatch(scheme) else ""
        raise ValueError(f"must begin with postgresql://{found}: {FORM}")
    if any(one.isspace() or not one.isprintable() for one in rest):
        raise ValueError("has a space, a line break or a control character: write them as %20 and the like")
    if "#" in rest:
        raise ValueError(_unescaped("#"))
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    after = rest[len(authority) :]
    if "@" not in authority and "@" in after and "=" not in after.partition("@")[0]:
        raise ValueError(_unescaped(after[0]))
    if authority.count("@") > 1:
        raise ValueError(_unescaped("@"))
    try:
        urlsplit(url)
    except ValueError:  # a bracket, or a letter that becomes one of :/?#@ (NFKC)
        raise ValueError(f"cannot be read; {_ESCAPE}") from None


def _parameters(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError:
        raise ValueError("has something after its ? that is not name=value, joined by &") from None


def _check_parameter(name: str, value: str) -> None:
    if (why := _NOT_OURS.get(name)) is not None:
        raise ValueError(f"{name} is not supported: remove it{why and f'; {why}'}")
    if (choices := _CHOICES.get(name)) and value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}")
    if name not in _TAKEN and (close := difflib.get_close_matches(name, _TAKEN, n=1, cutoff=0.8)):
        raise ValueError(f"{name[:50]!r} is not known: did you mean {close[0]}?")


def _check_tls(parameters: Mapping[str, str]) -> None:
    files = {name: Path(parameters[name]) for name in ("sslrootcert", "sslcert", "sslkey") if name in parameters}
    if "sslkey" in files and "sslcert" not in files:
        raise ValueError("sslkey is given without sslcert: give both")
    mode, is_trusting = parameters.get("sslmode"), (Path.home() / ".postgresql" / "root.crt").exists()
    if parameters.get("sslnegotiation") == "direct" and mode not in _WITH_TLS:
        raise ValueError(f"sslnegotiation=direct needs sslmode={', '.join(_WITH_TLS[:-1])} or {_WITH_TLS[-1]}")
    if mode in {"verify-ca", "verify-full"} and "sslrootcert" not in files and not is_trusting:
        raise ValueError(f"sslmode={mode} needs sslrootcert, the file of the authority that signed the server's")
    try:
        if "sslrootcert" in files:
            tls.check_authorities(files["sslrootcert"])
    except tls.Unusable as exc:
        raise ValueError(f"sslrootcert {exc}") from None
    try:
        if "sslcrl" in parameters:
            tls.check_revoked(Path(parameters["sslcrl"]))
    except tls.Unusable as exc:
        raise ValueError(f"sslcrl {exc}") from None
    try:
        if "sslcert" in files:
            tls.check_pair(files["sslcert"], files.get("sslkey"), password=parameters.get("sslpassword"))
    except tls.Unusable as exc:
        raise ValueError(f"{'sslkey' if exc.is_key else 'sslcert'} {exc}") from None
