"""Mutants of what reports to operators what is wrong, and of what keeps secrets out of it."""

from tests.mutants.mutant import Mutant

CONFIG = "consumer/config.py"
URL = "consumer/database_url.py"
SETTINGS = "unit/test_wrong_settings.py"
SERVERS = "integration/test_wrong_servers.py"
KAFKA = "unit/test_kafka_connections.py"

MUTANTS = [
    Mutant(
        CONFIG,
        "    if settings.topic_dead_letters in settings.input_topics:\n",
        "    if False:\n",
        "a dead letter is read, rejected, and written again, for ever",
        by=SETTINGS,
    ),
    Mutant(
        CONFIG,
        '    return f"{text[:300]}: " if looks_like_a_path or field not in _SECRETS else ""\n',
        '    return f"{text[:300]}: "\n',
        "a secret that was given in place of its file's path is in the log",
        by=SETTINGS,
    ),
    Mutant(
        URL,
        '    if "#" in rest:\n',
        '    if "##" in rest:\n',
        "a # in the password cuts the URL off, and the wrong host is asked",
        by=SETTINGS,
    ),
    Mutant(
        "consumer/store/connections.py",
        'target_session_attrs="read-write"',
        'target_session_attrs="any"',
        "a standby is connected to, and every write fails",
        by=SERVERS,
    ),
    Mutant(
        "consumer/store/database.py",
        '        if row["is_read_only"]:\n',
        "        if False:\n",
        "a primary that was demoted is ready",
        by=SERVERS,
    ),
    Mutant(
        "consumer/consume/connections.py",
        "all(reason.is_refusal for reason in fresh.values())",
        "any(reason.is_refusal for reason in fresh.values())",
        "one broker's expired certificate ends every replica while the others are down",
        by=KAFKA,
    ),
    Mutant(
        "consumer/consume/kafka.py",
        "    while exc is not None and not isinstance(exc, _NO_RIGHT):\n        exc = exc.__cause__\n",
        "",
        "a missing right that aiokafka wraps is waited for, for ever",
        by=KAFKA,
    ),
    Mutant(
        "consumer/commands/apply.py",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL",
        "os.O_WRONLY | os.O_CREAT",
        "secrets of another run, which nothing else has, are overwritten",
        by="integration/commands/test_apply.py",
    ),
]
