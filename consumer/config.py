"""Settings: from the environment alone (`TOLLBELL_*`), checked whole before anything starts, a line for each wrong one.

Every setting `X` may be given as `X_FILE`, the path of a file that holds it.
"""

import datetime as dt
import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError
from pydantic.functional_validators import AfterValidator, BeforeValidator
from pydantic_core import PydanticUndefined

from consumer import database_url, encryption, tls
from consumer.errors import ConfigInvalid
from schemas.durations import parse as parse_duration
from schemas.durations import text as duration_text
from schemas.model import Key
from schemas.secret import MASK, Secret

PREFIX: Final = "TOLLBELL_"
# Not ours, and not unknown: the tests' servers, and what Kubernetes injects for a Service named "tollbell".
_FOREIGN: Final = re.compile(r"TOLLBELL_(TEST_.*|SERVICE_.*|PORT(_.*)?)")
_HOST_PORT: Final = re.compile(r"(?:[^\s:,/\[\]]+|\[[0-9a-fA-F:]+\]):(?P<port>[0-9]{1,5})")
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")  # what Kafka takes for a name
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*){1,10}/?")  # no segment is `..`
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{43}=")  # 32 bytes as base64, which may begin with a slash
_SECRETS: Final = frozenset({"database_url", "encryption_keys", "kafka_sasl_password", "api_tokens"})
_URL_OF_NOTHING: Final = "postgresql://localhost/"  # takes the place of a wrong one while the others are checked


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
    if not host or not port.isdecimal() or int(port) > database_url.HIGHEST_PORT:
        raise ValueError("must be host:port, such as 127.0.0.1:8080 or [::]:8080")
    return Listen(host=host.strip("[]"), port=int(port))


class Listen(BaseModel):
    """Where to listen."""

    host: str
    port: int


def _bootstrap(text: str) -> str:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        found = _HOST_PORT.fullmatch(part)
        if not found or not 0 < int(found["port"]) <= database_url.HIGHEST_PORT:
            raise ValueError("must be host:port[,host:port]")
    if not parts:
        raise ValueError("must be host:port[,host:port]")
    return ",".join(parts)


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError("must be a path such as /tollbell: segments of letters, digits, dots, underscores, hyphens")
    return text.rstrip("/")


def _topic(name: str) -> str:
    if not _TOPIC.fullmatch(name) or name in {".", ".."}:
        raise ValueError("a topic's name has 1 to 249 letters, digits, dots, underscores and hyphens")
    return name


def _database(url: Secret) -> Secret:
    database_url.check(url.reveal())
    return url


def _keys(text: Secret) -> Secret:
    try:
        encryption.parse_keys(text.reveal())
    except ConfigInvalid as exc:
        raise ValueError(str(exc).partition(": ")[2]) from None
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
        raise ValueError("duplicate token: which namespace and scope would it have?")
    return tuple(made)


Duration = Annotated[dt.timedelta, BeforeValidator(parse_duration)]
Topic = Annotated[str, AfterValidator(_topic)]
Topics = Annotated[tuple[Topic, ...], BeforeValidator(_listed), Field(min_length=1)]
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

    database_url: Annotated[SecretText, AfterValidator(_database)]
    database_pool_size: Annotated[int, Field(ge=2, le=100)] = 10
    encryption_keys: Annotated[SecretText, AfterValidator(_keys)] | None = None

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

    topics_usage: Topics = ("tollbell.usage",)
    topics_resets: Topics = ("tollbell.resets",)
    topics_invoices: Topics = ("tollbell.invoices",)
    topic_dead_letters: Topic = "tollbell.dead-letters"

    consume_future_tolerance: Annotated[Duration, _between("0s", "24h")] = dt.timedelta(minutes=5)
    consume_period_end_delay: Annotated[Duration, _between("0s", "24h")] = dt.timedelta(minutes=1)
    consume_memory_entitlements: Annotated[int, Field(ge=0, le=10_000_000)] = 1_000_000

    api_tokens: Annotated[tuple[Token, ...], BeforeValidator(_tokens)] = ()
    http_listen: Annotated[Listen, BeforeValidator(_listen)] = Listen(host="127.0.0.1", port=8080)

    console: Literal["on", "off"] = "on"
    console_prefix: Annotated[str, AfterValidator(_prefix)] | None = None

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

    def shown(self) -> dict[str, str]:
        """Return every setting's name and its value as it is written; secrets masked, what is not set empty."""
        return {_name(name): _shown(name, getattr(self, name)) for name in Settings.model_fields}

    def needed(self, name: str) -> Any:
        """Return the setting *name*, needed for what is to be done.

        Raises:
            ConfigInvalid: it is not set.
        """
        value = getattr(self, name)
        if value is None:
            raise ConfigInvalid(f"{_name(name)}: is required for this command, and not set")
        return value


def read(environment: Mapping[str, str], needed: Collection[str] = ()) -> Settings:
    """Return the settings that *environment* holds.

    Args:
        environment: names and texts; those of others are passed over.
        needed: fields that may be absent in general, and not for what is to be done.

    Raises:
        ConfigInvalid: some are unknown, missing or wrong: a line for each that names it, in the order of the table in
            docs/settings.md, unknown ones last; never a secret.
    """
    given, wrong, unknown = _given(environment)
    settings, refused = _validated(given, but=wrong)
    wrong |= refused
    for field, problem in _across(settings, needed):
        wrong.setdefault(field, f"{_name(field)}: {problem}")
    if wrong or unknown:
        known = [wrong[field] for field in Settings.model_fields if field in wrong]
        raise ConfigInvalid("\n".join([*known, *unknown]))
    return settings


def _given(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return the texts given by field, the lines about wrong ones by field, and those about unknown ones."""
    given: dict[str, str] = {}
    wrong: dict[str, str] = {}
    unknown: list[str] = []
    for name, text in sorted(environment.items()):
        if not name.startswith(PREFIX) or _FOREIGN.fullmatch(name):
            continue
        field = name.removeprefix(PREFIX).lower()
        of_file = field.removesuffix("_file")
        if field in Settings.model_fields:
            if not text and Settings.model_fields[field].default is None:  # so that a template may leave it empty
                continue
            value = text
        elif field != of_file and of_file in Settings.model_fields:
            field = of_file
            try:
                value = Path(text).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as exc:  # ValueError: not UTF-8, or a NUL
                why = exc.strerror if isinstance(exc, OSError) else "is not UTF-8"
                wrong[field] = f"{name}: {_path(field, text)}cannot be read: {why}"
                continue
        else:
            unknown.append(f"{name[:100]}: unknown setting{_meant(field)}")
            continue
        if field in given:
            wrong[field] = f"{_name(field)}: is set twice, by itself and by {_name(field)}_FILE"
        given[field] = value
    return given, wrong, unknown


def _path(field: str, text: str) -> str:
    """Return the *text* of a file's path to be shown; nothing where it may be the secret itself, set by mistake."""
    is_key = any(_KEY.fullmatch(part.strip()) for part in text.split(","))
    looks_like_a_path = text.startswith(("/", "./", "../")) and "://" not in text and not is_key
    return f"{text[:300]}: " if looks_like_a_path or field not in _SECRETS else ""


def _shown(field: str, value: object) -> str:
    if field in _SECRETS:
        return MASK if value else ""
    match value:
        case None:
            return ""
        case dt.timedelta():
            return duration_text(value)
        case tuple():
            return ",".join(_shown(field, one) for one in value)
        case Listen():
            return f"[{value.host}]:{value.port}" if ":" in value.host else f"{value.host}:{value.port}"
        case _:
            return str(value)


def _meant(field: str) -> str:
    names = [*Settings.model_fields, *(f"{name}_file" for name in Settings.model_fields)]
    close = difflib.get_close_matches(field, names, n=1, cutoff=0.75)
    return f": did you mean {_name(close[0])}?" if close else "; docs/settings.md lists them all"


def _name(field: str) -> str:
    return f"{PREFIX}{field.upper()}"


def _validated(given: Mapping[str, str], but: Collection[str]) -> tuple[Settings, dict[str, str]]:
    """Return the settings without those that are wrong, and the lines about these by field."""
    tried = {field: text for field, text in given.items() if field not in but}
    try:
        return Settings.model_validate(tried), {}
    except ValidationError as exc:
        wrong: dict[str, str] = {}
        for error in exc.errors(include_input=False, include_url=False):
            field = str(error["loc"][0])
            said = error["msg"].removeprefix("Value error, ")
            problem = "is required, and not set" if error["type"] == "missing" else said
            wrong.setdefault(field, f"{_name(field)}: {problem}")
    rest = {field: text for field, text in tried.items() if field not in wrong}
    wrong = {field: line for field, line in wrong.items() if field not in but}
    return Settings.model_validate({"database_url": _URL_OF_NOTHING, **rest}), wrong


def _across(settings: Settings, needed: Collection[str]) -> Iterator[tuple[str, str]]:
    """Give what is wrong with fields that are right by themselves: beside others, or in the files that they name."""
    for field in needed:
        if getattr(settings, field) is None:
            yield field, "is required for this command, and not set"
    yield from _login(settings)
    if settings.topic_dead_letters in settings.input_topics:
        problem = "is an input topic too: each dead letter would be read as a record"
        yield "topic_dead_letters", f"{settings.topic_dead_letters} {problem}"
    for field in ("kafka_ssl_ca_file", "delivery_ca_file"):
        if path := getattr(settings, field):
            yield from _checked(field, lambda path=path: tls.check_authorities(path))  # type: ignore[misc]
    certificate, key = settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file
    if key and not certificate:
        yield "kafka_ssl_key_file", f"is given without {_name('kafka_ssl_cert_file')}: give both"
    if certificate:
        yield from _checked(
            "kafka_ssl_cert_file", lambda: tls.check_pair(certificate, key), of_key="kafka_ssl_key_file"
        )


def _login(settings: Settings) -> Iterator[tuple[str, str]]:
    protocol = settings.kafka_security_protocol
    said = f"{_name('kafka_security_protocol')}={protocol}"
    for field in ("kafka_sasl_username", "kafka_sasl_password"):
        value = getattr(settings, field)
        if protocol.startswith("SASL") and not value:
            yield field, f"is required with {said}, and not set"
        elif value and not protocol.startswith("SASL"):
            yield field, f"is not used with {said}: set that to SASL_SSL, or remove this"
    for field in ("kafka_ssl_ca_file", "kafka_ssl_cert_file", "kafka_ssl_key_file"):
        if getattr(settings, field) and not protocol.endswith("SSL"):
            yield field, f"is not used with {said}: set that to SSL or SASL_SSL, or remove this"


def _checked(field: str, check: Callable[[], None], *, of_key: str = "") -> Iterator[tuple[str, str]]:
    try:
        check()
    except tls.Unusable as exc:
        yield of_key if exc.is_key else field, str(exc)


def defaults() -> dict[str, object]:
    """Return every setting's name and its default; `...` for a required one: what docs/settings.md must show."""
    return {
        f"{PREFIX}{name.upper()}": ... if field.default is PydanticUndefined else field.default
        for name, field in Settings.model_fields.items()
    }
