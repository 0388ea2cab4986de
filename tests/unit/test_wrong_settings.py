"""Wrong set-ups that need no server to be seen: `check` and `run` say the same, a line each, and end with status 2."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from consumer import cli, config, encryption
from tests.support.webhooks import Authority

SECRETS = ("hush", "tiger")
GOOD = {
    "DATABASE_URL": "postgresql://tollbell:hush@db/tollbell",
    "ENCRYPTION_KEYS": encryption.new_key(),
    "KAFKA_BOOTSTRAP_SERVERS": "broker:9092",
}
URL = "TOLLBELL_DATABASE_URL: "
PAGE = (Path(__file__).parents[2] / "docs/troubleshooting.md").read_text(encoding="utf-8")
Command = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with certificates and keys, right and wrong; nothing is in the home directory."""
    authority = Authority(tmp_path)
    authority.server()
    key = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "other.key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    (tmp_path / "locked.key").write_bytes(
        key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"tiger"))
    )
    (tmp_path / "client.pem").write_bytes(
        x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes()).public_bytes(pem)
    )
    (tmp_path / "text.pem").write_text("hush: this is no certificate\n")
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nhush\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command with settings; return its status and its lines, none of which has a secret."""

    def run(name: str, settings: dict[str, str | None]) -> tuple[int, list[str]]:
        for setting, value in settings.items():
            if value is not None:
                monkeypatch.setenv(f"TOLLBELL_{setting}", value)
        monkeypatch.setattr(sys, "argv", ["tollbell", name])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert said.out == ""
        assert not [one for one in SECRETS if one in said.err]
        lines = said.err.splitlines()
        assert all(line.startswith("tollbell: ") for line in lines)
        return int(str(ended.value.code)), [line.removeprefix("tollbell: ") for line in lines]

    return run


# What is set (FILES is the folder, None takes a good one away), and the beginning of each line that is said.
SETUPS: list[tuple[str, dict[str, str | None], list[str]]] = [
    (
        "SASL without credentials",
        {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
        [
            "TOLLBELL_KAFKA_SASL_USERNAME: is required with TOLLBELL_KAFKA_SECURITY_PROTOCOL=SASL_SSL, and not set",
            "TOLLBELL_KAFKA_SASL_PASSWORD: is required with TOLLBELL_KAFKA_SECURITY_PROTOCOL=SASL_SSL, and not set",
        ],
    ),
    (
        "a username with PLAINTEXT",
        {"KAFKA_SASL_USERNAME": "me"},
        ["TOLLBELL_KAFKA_SASL_USERNAME: is not used with TOLLBELL_KAFKA_SECURITY_PROTOCOL=PLAINTEXT: set that to SASL"],
    ),
    ("# in the password", {"DATABASE_URL": "postgresql://me:hu#tiger@db/x"}, [f"{URL}has a # in the user name or"]),
    ("/ in the password", {"DATABASE_URL": "postgresql://me:hu/tiger@db/x"}, [f"{URL}has a / in the user name or"]),
    ("? in the password", {"DATABASE_URL": "postgresql://me:hu?tiger@db/x"}, [f"{URL}has a ? in the user name or"]),
    ("@ in the password", {"DATABASE_URL": "postgresql://me:hu@tiger@db/x"}, [f"{URL}has a @ in the user name or"]),
    (
        "[ in the password",
        {"DATABASE_URL": "postgresql://me:hu[tiger@db/x"},
        [f"{URL}cannot be read; in the user name"],
    ),
    ("a space in the password", {"DATABASE_URL": "postgresql://me:hu tiger@db/x"}, [f"{URL}has a space, a line break"]),
    (
        "a password without a user's @",
        {"DATABASE_URL": "postgresql://me:tiger"},
        [f"{URL}the port of host 1 must be a number"],
    ),
    (
        "the scheme of SQLAlchemy",
        {"DATABASE_URL": "postgresql+asyncpg://me:hush@db/x"},
        [f"{URL}must begin with postgresql://, not with postgresql+asyncpg://: postgresql://user:password@host"],
    ),
    ("not a URL", {"DATABASE_URL": "hush"}, [f"{URL}must begin with postgresql://: postgresql://user:password@"]),
    (
        "a bad sslmode",
        {"DATABASE_URL": "postgresql://me:hush@db/x?sslmode=full"},
        [f"{URL}sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full"],
    ),
    (
        "verify-full without an authority",
        {"DATABASE_URL": "postgresql://me:hush@db/x?sslmode=verify-full"},
        [f"{URL}sslmode=verify-full needs sslrootcert, the file of the authority"],
    ),
    (
        "TLS from the first byte, without an sslmode that has TLS",
        {"DATABASE_URL": "postgresql://me:hush@db/x?sslnegotiation=direct&sslmode=prefer"},
        [f"{URL}sslnegotiation=direct needs sslmode=require, verify-ca or verify-full"],
    ),
    (
        "an sslrootcert that is not there",
        {"DATABASE_URL": "postgresql://me:hush@db/x?sslmode=verify-full&sslrootcert=FILES/none.pem"},
        [f"{URL}sslrootcert FILES/none.pem: cannot be read: No such file or directory"],
    ),
    (
        "an sslcrl that is not there",
        {"DATABASE_URL": "postgresql://me:hush@db/x?sslmode=require&sslcrl=FILES/none.pem"},
        [f"{URL}sslcrl FILES/none.pem: cannot be read: No such file or directory"],
    ),
    (
        "an unknown version of TLS",
        {"DATABASE_URL": "postgresql://me:hush@db/x?ssl_min_protocol_version=hush"},
        [f"{URL}ssl_min_protocol_version must be one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3"],
    ),
    (
        "libpq's channel_binding, which the driver lacks",
        {"DATABASE_URL": "postgresql://me:hush@db/x?channel_binding=require"},
        [f"{URL}channel_binding is not supported: remove it; use sslmode=verify-full to be sure of the server"],
    ),
    (
        "libpq's connect_timeout, which the driver lacks",
        {"DATABASE_URL": "postgresql://me:hush@db/x?connect_timeout=10"},
        [f"{URL}connect_timeout is not supported: remove it; each host has a share of 5 s to answer"],
    ),
    (
        "a misspelt parameter",
        {"DATABASE_URL": "postgresql://me:hush@db/x?sslmod=require"},
        [f"{URL}'sslmod' is not known: did you mean sslmode?"],
    ),
    ("a parameter without value", {"DATABASE_URL": "postgresql://me:hush@db/x?tiger"}, [f"{URL}has something after"]),
    (
        "target_session_attrs=standby",
        {"DATABASE_URL": "postgresql://me:hush@a,b/x?target_session_attrs=standby"},
        [f"{URL}target_session_attrs must be one of any, primary, read-write"],
    ),
    (
        "an sslkey without sslcert",
        {"DATABASE_URL": "postgresql://me:hush@db/x?sslkey=FILES/other.key"},
        [f"{URL}sslkey is given without sslcert: give both"],
    ),
    (
        "an encrypted sslkey",
        {"DATABASE_URL": "postgresql://me:hush@db/x?sslcert=FILES/client.pem&sslkey=FILES/locked.key"},
        [f"{URL}sslkey FILES/locked.key: is encrypted with a password: decrypt it with `openssl pkey`"],
    ),
    (
        "a CA file that is not there",
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": "FILES/none.pem"},
        ["TOLLBELL_KAFKA_SSL_CA_FILE: FILES/none.pem: cannot be read: No such file or directory"],
    ),
    (
        "a CA file without a certificate",
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": "FILES/text.pem"},
        ["TOLLBELL_KAFKA_SSL_CA_FILE: FILES/text.pem: has no certificate in PEM form"],
    ),
    (
        "a CA file with a broken certificate",
        {"DELIVERY_CA_FILE": "FILES/broken.pem"},
        ["TOLLBELL_DELIVERY_CA_FILE: FILES/broken.pem: has a certificate that cannot be read"],
    ),
    (
        "a CA file with PLAINTEXT",
        {"KAFKA_SSL_CA_FILE": "FILES/ca.pem"},
        ["TOLLBELL_KAFKA_SSL_CA_FILE: is not used with TOLLBELL_KAFKA_SECURITY_PROTOCOL=PLAINTEXT: set that to SSL or"],
    ),
    (
        "a key without certificate",
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_FILE": "FILES/other.key"},
        ["TOLLBELL_KAFKA_SSL_KEY_FILE: is given without TOLLBELL_KAFKA_SSL_CERT_FILE: give both"],
    ),
    (
        "a certificate without key",
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CERT_FILE": "FILES/client.pem"},
        ["TOLLBELL_KAFKA_SSL_CERT_FILE: FILES/client.pem: has no private key in PEM form"],
    ),
    (
        "an encrypted key",
        {
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CERT_FILE": "FILES/client.pem",
            "KAFKA_SSL_KEY_FILE": "FILES/locked.key",
        },
        ["TOLLBELL_KAFKA_SSL_KEY_FILE: FILES/locked.key: is encrypted with a password: decrypt it with"],
    ),
    (
        "a key that belongs to another certificate",
        {
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CERT_FILE": "FILES/client.pem",
            "KAFKA_SSL_KEY_FILE": "FILES/other.key",
        },
        ["TOLLBELL_KAFKA_SSL_KEY_FILE: FILES/other.key: is not the key of the certificate in FILES/client.pem"],
    ),
    (
        "a setting's file that is not there",
        {"DATABASE_URL": None, "DATABASE_URL_FILE": "FILES/url"},
        ["TOLLBELL_DATABASE_URL_FILE: FILES/url: cannot be read: No such file or directory"],
    ),
    (
        "a secret where the path of its file belongs",
        {"DATABASE_URL": None, "DATABASE_URL_FILE": "postgresql://me:tiger@db/x"},
        ["TOLLBELL_DATABASE_URL_FILE: cannot be read: No such file or directory"],
    ),
    (
        "a misspelt setting",
        {"KAFKA_GROUPID": "mine"},
        ["TOLLBELL_KAFKA_GROUPID: unknown setting: did you mean TOLLBELL_KAFKA_GROUP_ID?"],
    ),
    ("an unknown setting", {"X": "y"}, ["TOLLBELL_X: unknown setting; docs/settings.md lists them all"]),
    ("an encryption key of the wrong length", {"ENCRYPTION_KEYS": "hush"}, ["TOLLBELL_ENCRYPTION_KEYS: key 1 "]),
    ("a broker as a URL", {"KAFKA_BOOTSTRAP_SERVERS": "kafka://b:9092"}, ["TOLLBELL_KAFKA_BOOTSTRAP_SERVERS: must be"]),
    ("a broker's port above 65535", {"KAFKA_BOOTSTRAP_SERVERS": "b:99999"}, ["TOLLBELL_KAFKA_BOOTSTRAP_SERVERS: must"]),
    ("a topic with a space", {"TOPICS_USAGE": "my topic"}, ["TOLLBELL_TOPICS_USAGE: a topic's name has 1 to 249"]),
    (
        "the dead letters' topic among the inputs",
        {"TOPICS_USAGE": "a,b", "TOPIC_DEAD_LETTERS": "b"},
        ["TOLLBELL_TOPIC_DEAD_LETTERS: b is an input topic too: each dead letter would be read as a record"],
    ),
    (
        "settings that a role needs, absent",
        {"ENCRYPTION_KEYS": None, "KAFKA_BOOTSTRAP_SERVERS": None},
        [
            "TOLLBELL_ENCRYPTION_KEYS: is required for this command, and not set",
            "TOLLBELL_KAFKA_BOOTSTRAP_SERVERS: is required for this command, and not set",
        ],
    ),
    (
        "several at once: in the order of the table, unknown ones last",
        {
            "Z": "",
            "RETENTION": "1h",
            "LOG_LEVEL": "loud",
            "KAFKA_START": "now",
            "DATABASE_URL": "mysql://me:hush@db/x",
            "KAFKA_SSL_CA_FILE": "FILES/none.pem",
        },
        [
            f"{URL}must begin with postgresql://, not with mysql://",
            "TOLLBELL_KAFKA_START: ",
            "TOLLBELL_KAFKA_SSL_CA_FILE: is not used with",
            "TOLLBELL_RETENTION: must be from 1d to 730d",
            "TOLLBELL_LOG_LEVEL: ",
            "TOLLBELL_Z: unknown setting",
        ],
    ),
]


@pytest.mark.parametrize(("settings", "says"), [one[1:] for one in SETUPS], ids=[one[0] for one in SETUPS])
def test_a_wrong_set_up_is_said_by_check_and_run_alike(
    settings: dict[str, str | None], says: list[str], files: Path, command: Command
) -> None:
    given = {name: value and value.replace("FILES", str(files)) for name, value in (GOOD | settings).items()}

    checked = command("check", given)
    ran = command("run", given)

    assert checked == ran
    status, lines = checked
    assert status == 2
    expected = [line.replace("FILES", str(files)) for line in says]
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=True)] == expected
    assert [line for line in lines if line.replace(str(files), "/etc/tollbell") not in PAGE] == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hush@db/x",
        "postgres://me@db",
        "postgresql:///x?host=/var/run/postgresql",
        "postgresql://me:@/x?host=/tmp/sock&port=5433",
        "postgresql://me:h%23u%2Fs%40h@[::1]:5433/x?sslmode=require&application_name=mine&statement_timeout=5s",
        "postgresql://me:hush@a:1,b:2,c/x?target_session_attrs=read-write",
        "postgresql://db/x?user=me&password=hu@sh",
        "postgresql://me:50%off@db/x",
        "postgresql://me:hush@db/x?sslmode=verify-full&sslrootcert=FILES/ca.pem",
    ],
)
def test_what_can_be_used_is_taken(url: str, files: Path) -> None:
    given = url.replace("FILES", str(files))

    assert config.read({"TOLLBELL_DATABASE_URL": given}).database_url.reveal() == given
