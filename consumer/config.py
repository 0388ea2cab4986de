"""Settings: from the environment alone (`TOLLBELL_*`), validated at start, one line for what is wrong.

Every setting `X` may be given as `X_FILE`, the path of a file that holds it.
"""

import datetime as dt
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError
from pydantic.functional_validators import AfterValidator, BeforeValidator
from pydantic_core import PydanticUndefined

from consumer.errors import ConfigInvalid
from schemas.durations import parse as parse_duration
from schemas.model import Key
from schemas.secret import Secret

PREFIX: Final = "TOLLBELL_"
# Not ours, and not unknown: the tests' servers, and what Kubernetes injects for a Service named "tollbell".
_FOREIGN: Final = re.compile(r"TOLLBELL_(TEST_.*|SERVICE_.*|PORT(_.*)?)")
_HOST_PORT: Final = re.compile(r"[^\s:,]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")


def _between(least: str, most: str) -> AfterValidator:
    low, high = parse_duration(least), parse_duration(most)

    def check(value: dt.timedelta) -> dt.timedelta:
        if not low <= value <= high:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return AfterValidator(check)


def _listed(text: object) -> object:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


def _schedule(text: object) -> object:
    return [parse_duration(part) for part in _listed(text)] if isinstance(text, str) else text  # type: ignore[attr-defined]


def _network(text: object) -> object:
    try:
        return ip_network(text) if isinstance(text, str) else text
    except ValueError:
        raise ValueError(f"{text!r} is not a CIDR such as 10.1.0.0/16 (no bits set behind the prefix)") from None


def _listen(text: object) -> object:
    host, _, port = str(text).rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - the highest port
        raise ValueError("must be host:port, such as 127.0.0.1:8080 or [::]:8080")
    return Listen(host=host.strip("[]"), port=int(port))


class Listen(BaseModel):
    """Where to listen."""

    host: str
    port: int


def _bootstrap(text: str) -> str:
    for part in text.split(","):
        if not _HOST_PORT.fullmatch(part.strip()):
            raise ValueError("must be host:port[,host:port]")
    return text


class Token(BaseModel):
    """A token of the API, for what, and for which namespace."""

    namespace: Key
    scope: Literal["read", "write"]
    token: InstanceOf[Secret]


def _tokens(text: object) -> object:
    """Read `namespace:scope:token[,…]`; what is wrong is said without the token."""
    if not isinstance(text, str):
        return text
    made = []
    for n, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        namespace, _, rest = part.partition(":")
        scope, _, token = rest.partition(":")
        if not namespace or scope not in {"read", "write"} or not token:
            raise ValueError(f"token {n} must be namespace:scope:token, with the scope read or write")
        try:
            made.append(Token(namespace=namespace, scope=scope, token=Secret(token)))
        except ValidationError:
            raise ValueError(
                f"token {n}: its namespace must have 1 to 256 characters, none of them a control character"
            ) from None
    if len({one.token.reveal() for one in made}) < len(made):
        raise ValueError("the same token stands twice: which namespace and scope would it have?")
    return tuple(made)


Duration = Annotated[dt.timedelta, BeforeValidator(parse_duration)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
SecretText = Annotated[
    InstanceOf[Secret], BeforeValidator(lambda text: Secret(text) if isinstance(text, str) else text)
]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Schedule = Annotated[
    tuple[Annotated[dt.timedelta, _between("0s", "72h")], ...],
    BeforeValidator(_schedule),
    Field(min_length=1, max_length=50),
]


class Settings(BaseModel):
    """Everything that can be set. A field `kafka_group_id` is the setting TOLLBELL_KAFKA_GROUP_ID."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: SecretText
    database_pool_size: Annotated[int, Field(ge=2, le=100)] = 10
    encryption_keys: SecretText | None = None

    kafka_bootstrap_servers: Annotated[str, AfterValidator(_bootstrap)] | None = None
    kafka_group_id: Annotated[str, Field(min_length=1, max_length=249)] = "tollbell"
    kafka_start: Literal["latest", "earliest"] = "latest"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretText | None = None
    kafka_ssl_ca_file: Path | None = None
    kafka_ssl_cert_file: Path | None = None
    kafka_ssl_key_file: Path | None = None

    topics_usage: Names = ("tollbell.usage",)
    topics_resets: Names = ("tollbell.resets",)
    topics_invoices: Names = ("tollbell.invoices",)
    topic_dead_letters: Annotated[str, Field(min_length=1, max_length=249)] = "tollbell.dead-letters"

    consume_future_tolerance: Annotated[Duration, _between("0s", "24h")] = dt.timedelta(minutes=5)
    consume_period_end_delay: Annotated[Duration, _between("0s", "24h")] = dt.timedelta(minutes=1)
    consume_memory_entitlements: Annotated[int, Field(ge=0, le=10_000_000)] = 1_000_000

    api_tokens: Annotated[tuple[Token, ...], BeforeValidator(_tokens)] = ()
    http_listen: Annotated[Listen, BeforeValidator(_listen)] = Listen(host="127.0.0.1", port=8080)

    delivery_allow_cidrs: Annotated[tuple[Network, ...], BeforeValidator(_listed)] = ()
    delivery_ca_file: Path | None = None
    delivery_timeout: Annotated[Duration, _between("100ms", "5m")] = dt.timedelta(seconds=15)
    delivery_concurrency: Annotated[int, Field(ge=1, le=10_000)] = 500
    delivery_channel_concurrency: Annotated[int, Field(ge=1, le=1_000)] = 8
    delivery_breaker_failures: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    delivery_breaker_pause: Annotated[Duration, _between("100ms", "1h")] = dt.timedelta(seconds=5)
    delivery_breaker_longest_pause: Annotated[Duration, _between("100ms", "24h")] = dt.timedelta(minutes=5)
    delivery_disable_after: Annotated[Duration, _between("0s", "365d")] = dt.timedelta(days=5)
    delivery_disable_attempts: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    delivery_disable_events: Annotated[int, Field(ge=1, le=10)] = 2
    delivery_longest_round: Annotated[Duration, _between("1m", "30d")] = dt.timedelta(hours=72)
    retry_schedule: Schedule = tuple(
        parse_duration(text) for text in ("0s", "5s", "5m", "30m", "2h", "5h", "10h", "10h")
    )

    retention: Annotated[Duration, _between("1d", "730d")] = dt.timedelta(days=90)

    drain_timeout: Annotated[Duration, _between("0s", "1h")] = dt.timedelta(seconds=25)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] | None = None

    @property
    def input_topics(self) -> tuple[str, ...]:
        """Every topic that is read, once."""
        return tuple(dict.fromkeys((*self.topics_usage, *self.topics_resets, *self.topics_invoices)))

    def needed(self, name: str) -> Any:
        """Return the setting *name*, needed for what is to be done.

        Raises:
            ConfigInvalid: it is not set.
        """
        value = getattr(self, name)
        if value is None:
            raise ConfigInvalid(f"{PREFIX}{name.upper()}: is required for this command, and not set")
        return value


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings that *environment* holds.

    Raises:
        ConfigInvalid: one is unknown, missing or wrong: one line that names it; never a secret.
    """
    given: dict[str, str] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX) or _FOREIGN.fullmatch(name):
            continue
        field, value = _setting(name, text)
        if field in given:
            raise ConfigInvalid(f"{PREFIX}{field.upper()}: is set twice, by itself and by {PREFIX}{field.upper()}_FILE")
        given[field] = value
    try:
        return Settings.model_validate(given)
    except ValidationError as exc:
        raise ConfigInvalid(_explain(exc)) from None


def _setting(name: str, text: str) -> tuple[str, str]:
    field = name.removeprefix(PREFIX).lower()
    if field in Settings.model_fields:
        return field, text
    of_file = field.removesuffix("_file")
    if field.endswith("_file") and of_file in Settings.model_fields:
        try:
            return of_file, Path(text).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigInvalid(f"{name}: the file cannot be read: {getattr(exc, 'strerror', exc)}") from None
    raise ConfigInvalid(f"{name}: there is no such setting; the README's table lists them all")


def _explain(exc: ValidationError) -> str:
    first = exc.errors(include_input=False, include_url=False)[0]
    name = f"{PREFIX}{str(first['loc'][0]).upper()}"
    if first["type"] == "missing":
        return f"{name}: is required, and not set"
    return f"{name}: {first['msg'].removeprefix('Value error, ')}"


def defaults() -> dict[str, object]:
    """Return every setting's name and its default; `...` for a required one: what the README's table must show."""
    return {
        f"{PREFIX}{name.upper()}": ... if field.default is PydanticUndefined else field.default
        for name, field in Settings.model_fields.items()
    }
