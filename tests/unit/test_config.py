"""Settings: a wrong one is one line that names it and says what is allowed; secrets are in none."""

import datetime as dt
from ipaddress import ip_network
from pathlib import Path

import pytest

from consumer import config, encryption
from consumer.errors import ConfigInvalid
from schemas.secret import Secret
from tests.support.webhooks import Authority

URL = "postgresql://tollbell:hush-hush@db/tollbell"


def read(**given: str) -> config.Settings:
    return config.read({"TOLLBELL_DATABASE_URL": URL, **{f"TOLLBELL_{name}": text for name, text in given.items()}})


def refused(environment: dict[str, str]) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        config.read(environment)
    said = str(caught.value)
    assert "\n" not in said
    assert "hush" not in said
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return said


def test_the_database_is_all_that_is_required() -> None:
    settings = config.read({"TOLLBELL_DATABASE_URL": URL, "PATH": "/bin", "tollbell_x": "not ours"})

    assert settings.database_url == Secret(URL)
    assert settings.kafka_group_id == "tollbell"
    assert settings.input_topics == ("tollbell.usage", "tollbell.resets", "tollbell.invoices")
    assert [step.total_seconds() for step in settings.retry_schedule] == [0, 5, 300, 1800, 7200, 18000, 36000, 36000]


def test_lists_are_separated_by_commas() -> None:
    settings = read(
        TOPICS_USAGE="a, b,a", TOPICS_RESETS="b", TOPICS_INVOICES="c,", DELIVERY_ALLOW_CIDRS="10.0.0.0/8, fd00::/8"
    )

    assert settings.topics_usage == ("a", "b", "a")
    assert settings.input_topics == ("a", "b", "c")
    assert settings.delivery_allow_cidrs == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("1.5s", 1.5),
        ("5m", 300),
        ("2h", 7200),
        ("90d", 7_776_000),
        ("0s", 0),
        (" 1s ", 1),
    ],
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert config.parse_duration(text) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "5 s", "5S", "1m30s", "five", "1e3s", "٣s", "inf", 30, None])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 250ms, 30s, 5m, 2h or 90d"):
        config.parse_duration(text)


@pytest.mark.parametrize("text", ["9" * 30 + "d", "9" * 400 + "s"])
def test_a_duration_of_no_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is too long"):
        config.parse_duration(text)


@pytest.mark.parametrize(("text", "prefix"), [("/tollbell", "/tollbell"), ("/x/y-1.2/", "/x/y-1.2")])
def test_the_console_prefix_is_a_path_without_a_final_slash(text: str, prefix: str) -> None:
    assert read(CONSOLE_PREFIX=text).console_prefix == prefix


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:8080", "127.0.0.1", 8080), ("[::]:80", "::", 80), ("0.0.0.0:0", "0.0.0.0", 0)],
)
def test_where_to_listen_is_host_and_port(text: str, host: str, port: int) -> None:
    assert read(HTTP_LISTEN=text).http_listen == config.Listen(host=host, port=port)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        # durations, and their bounds
        ("DELIVERY_TIMEOUT", "15", "must be a duration such as 250ms, 30s, 5m, 2h or 90d"),
        ("DELIVERY_TIMEOUT", "0s", "must be from 100ms to 5m"),
        ("DELIVERY_TIMEOUT", "301s", "must be from 100ms to 5m"),
        ("DELIVERY_TIMEOUT", "9999999999999999d", "is too long"),
        ("DRAIN_TIMEOUT", "2h", "must be from 0s to 1h"),
        ("CONSUME_FUTURE_TOLERANCE", "25h", "must be from 0s to 24h"),
        ("DELIVERY_LONGEST_ROUND", "59s", "must be from 1m to 30d"),
        ("RETENTION", "12h", "must be from 1d to 730d"),
        ("RETENTION", "731d", "must be from 1d to 730d"),
        ("RETRY_SCHEDULE", "", "at least 1 item"),
        ("RETRY_SCHEDULE", "0s,5", "must be a duration such as"),
        ("RETRY_SCHEDULE", "0s,73h", "must be from 0s to 72h"),
        ("RETRY_SCHEDULE", ",".join(["1s"] * 51), "at most 50 items"),
        # numbers
        ("DATABASE_POOL_SIZE", "many", "valid integer"),
        ("DATABASE_POOL_SIZE", "1", "greater than or equal to 2"),
        ("DELIVERY_CONCURRENCY", "0", "greater than or equal to 1"),
        ("DELIVERY_CONCURRENCY", "10001", "less than or equal to 10000"),
        ("DELIVERY_CHANNEL_CONCURRENCY", "1.5", "valid integer"),
        ("CONSUME_MEMORY_ENTITLEMENTS", "-1", "greater than or equal to 0"),
        # one of a few
        ("KAFKA_START", "beginning", "Input should be 'latest' or 'earliest'"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI", "Input should be 'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'"),
        ("LOG_LEVEL", "INFO", "Input should be 'debug', 'info', 'warning' or 'error'"),
        ("LOG_FORMAT", "xml", "Input should be 'json' or 'text'"),
        ("CONSOLE", "yes", "Input should be 'on' or 'off'"),
        ("CONSOLE_PREFIX", "tollbell", "must be a path such as /tollbell"),
        ("CONSOLE_PREFIX", "//evil.example", "must be a path such as /tollbell"),
        ("CONSOLE_PREFIX", "/a/../b", "must be a path such as /tollbell"),
        ("CONSOLE_PREFIX", "/a b", "must be a path such as /tollbell"),
        # names
        ("KAFKA_GROUP_ID", "", "at least 1 character"),
        ("API_TOKENS", "n" * 257 + ":read:hush", "token 1: its namespace must have 1 to 256 characters"),
        (
            "API_TOKENS",
            "a:read:t,b\x7f:read:hush",
            "token 2: its namespace must have 1 to 256 characters, none of them",
        ),
        ("TOPICS_USAGE", ",", "at least 1 item"),
        ("TOPIC_DEAD_LETTERS", "x" * 250, "a topic's name has 1 to 249 letters"),
        # addresses
        ("HTTP_LISTEN", "8080", "must be host:port, such as 127.0.0.1:8080 or [::]:8080"),
        ("HTTP_LISTEN", ":8080", "must be host:port, such as 127.0.0.1:8080 or [::]:8080"),
        ("HTTP_LISTEN", "localhost:http", "must be host:port, such as 127.0.0.1:8080 or [::]:8080"),
        ("HTTP_LISTEN", "localhost:65536", "must be host:port, such as 127.0.0.1:8080 or [::]:8080"),
        ("DELIVERY_ALLOW_CIDRS", "10.0.0.1/8", "'10.0.0.1/8' is not a CIDR such as 10.1.0.0/16"),
        ("DELIVERY_ALLOW_CIDRS", "10.0.0.0/8,inside", "'inside' is not a CIDR such as 10.1.0.0/16"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker", "host:port"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_what_is_allowed(name: str, text: str, says: str) -> None:
    said = refused({"TOLLBELL_DATABASE_URL": URL, f"TOLLBELL_{name}": text})

    assert said.startswith(f"TOLLBELL_{name}: ")
    assert says in said


def test_a_required_one_that_is_missing_is_named() -> None:
    assert refused({}) == "TOLLBELL_DATABASE_URL: is required, and not set"


@pytest.mark.parametrize(
    "name", ["TOLLBELL_KAFKA_GROUPID", "TOLLBELL_", "TOLLBELL_X_FILE", "TOLLBELL_PORTAL", "TOLLBELL_SERVICES"]
)
def test_an_unknown_one_is_named(name: str) -> None:
    said = refused({"TOLLBELL_DATABASE_URL": URL, name: "hush-hush"})

    assert said.startswith(f"{name}: unknown setting")


@pytest.mark.parametrize(
    "name",
    [
        # what the tests' servers are found by
        "TOLLBELL_TEST_KAFKA",
        # what Kubernetes injects for a Service named "tollbell"
        "TOLLBELL_SERVICE_HOST",
        "TOLLBELL_SERVICE_PORT_HTTP",
        "TOLLBELL_PORT",
        "TOLLBELL_PORT_8080_TCP_ADDR",
    ],
)
def test_what_others_set_is_not_unknown(name: str) -> None:
    settings = config.read({"TOLLBELL_DATABASE_URL": URL, name: "tcp://10.0.0.1:8080"})

    assert settings == read()


def test_every_setting_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{URL}\n", encoding="utf-8")
    (tmp_path / "size").write_text("20", encoding="utf-8")
    authority = Authority(tmp_path)
    (tmp_path / "ca").write_text(str(authority.file), encoding="utf-8")

    settings = config.read(
        {
            "TOLLBELL_DATABASE_URL_FILE": str(tmp_path / "url"),
            "TOLLBELL_DATABASE_POOL_SIZE_FILE": str(tmp_path / "size"),
            "TOLLBELL_KAFKA_SECURITY_PROTOCOL": "SSL",
            "TOLLBELL_KAFKA_SSL_CA_FILE_FILE": str(tmp_path / "ca"),
            "TOLLBELL_DELIVERY_CA_FILE": str(authority.file),
        }
    )

    assert settings.database_url == Secret(URL)
    assert settings.database_pool_size == 20
    assert settings.kafka_ssl_ca_file == settings.delivery_ca_file == authority.file


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff hush-hush")

    missing = refused({"TOLLBELL_DATABASE_URL_FILE": str(tmp_path / "missing")})
    binary = refused({"TOLLBELL_DATABASE_URL_FILE": str(tmp_path / "binary")})

    path = tmp_path / "missing"
    assert missing == f"TOLLBELL_DATABASE_URL_FILE: {path}: cannot be read: No such file or directory"
    assert binary == f"TOLLBELL_DATABASE_URL_FILE: {tmp_path / 'binary'}: cannot be read: is not UTF-8"


def test_by_itself_and_by_a_file_is_once_too_often(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL, encoding="utf-8")

    said = refused({"TOLLBELL_DATABASE_URL": URL, "TOLLBELL_DATABASE_URL_FILE": str(tmp_path / "url")})

    assert said == "TOLLBELL_DATABASE_URL: is set twice, by itself and by TOLLBELL_DATABASE_URL_FILE"


def test_secrets_are_in_no_form_of_the_settings() -> None:
    settings = read(KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT", KAFKA_SASL_USERNAME="me", KAFKA_SASL_PASSWORD="hush-hush")

    assert "hush" not in repr(settings)
    assert "hush" not in str(settings.model_dump())


def test_what_a_command_needs_and_lacks_is_named() -> None:
    with pytest.raises(ConfigInvalid, match="TOLLBELL_ENCRYPTION_KEYS: is required for this command, and not set"):
        read().needed("encryption_keys")
    key = encryption.new_key()
    assert read(ENCRYPTION_KEYS=key).needed("encryption_keys") == Secret(key)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read().kafka_group_id = "other"  # type: ignore[misc]


def test_each_setting_has_its_default_listed() -> None:
    defaults = config.defaults()

    assert defaults["TOLLBELL_DATABASE_URL"] is ...
    assert defaults["TOLLBELL_KAFKA_GROUP_ID"] == "tollbell"
    assert len(defaults) == len(config.Settings.model_fields)
