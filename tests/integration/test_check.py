"""`tollbell check` says whether `run` would work, and what to do where it would not."""

import socket

from tests.conftest import MakeDeployment
from tests.factories import rules_yaml
from tests.verification import SECRET

URL = "http://127.0.0.1:9000/hook"


async def test_where_everything_is_there_each_line_says_ok(deploy: MakeDeployment) -> None:
    deployment = await deploy(partitions=3, TOLLBELL_LOG_LEVEL="info")
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)

    done = await deployment.tollbell("check")

    usage, letters = (
        deployment.environment["TOLLBELL_TOPICS_USAGE"],
        deployment.environment["TOLLBELL_TOPIC_DEAD_LETTERS"],
    )
    assert (done.status, done.err) == (0, ""), done.out
    *lines, note = done.out.splitlines()
    assert note.startswith("note  kafka: records of one entitlement should share a key")
    assert lines == [
        "ok    postgres: the schema fits",
        "ok    secrets: those of 1 channels open",
        "ok    channels: 1 are enabled, and none goes to a refused address",
        "ok    receivers: certificates are verified by the authorities of the system",
        (
            f"ok    kafka: group {usage} reads {usage} (3 partitions), and has offsets of 0 partitions;"
            f" dead letters go to {letters}"
        ),
    ]


async def test_what_fails_is_named_with_what_to_do_and_the_rest_is_looked_at(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_LOG_LEVEL="info")
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)
    key = (await deployment.tollbell("keygen")).out.strip()

    done = await deployment.tollbell(
        "check", TOLLBELL_ENCRYPTION_KEYS=key, TOLLBELL_DELIVERY_ALLOW_CIDRS="", TOLLBELL_TOPICS_RESETS="no-such"
    )

    lines = done.out.splitlines()
    assert (done.status, done.err) == (1, "tollbell: not ready to run: secrets, channels, kafka\n")
    assert [line.partition(":")[0] for line in lines] == [
        "ok    postgres", "FAIL  secrets", "FAIL  channels", "ok    receivers", "FAIL  kafka",
    ]  # fmt: skip
    assert "channel hook of default: encrypted with a key that TOLLBELL_ENCRYPTION_KEYS does not hold" in lines[1]
    assert "channel hook of default: its host is private" in lines[2]
    assert "topic no-such: create it" in lines[4]


async def test_servers_that_are_away_are_said_and_only_what_a_role_needs_is_looked_at(
    deploy: MakeDeployment, database: str
) -> None:
    deployment = await deploy(TOLLBELL_LOG_LEVEL="info")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
        away = await deployment.tollbell(
            "check", TOLLBELL_DATABASE_URL=f"postgresql://x@{nobody}/x", TOLLBELL_KAFKA_BOOTSTRAP_SERVERS=nobody
        )
        serving = await deployment.tollbell("check", "--only", "serve", TOLLBELL_KAFKA_BOOTSTRAP_SERVERS=nobody)
    empty = await deployment.tollbell("check", TOLLBELL_DATABASE_URL=database.rpartition("/")[0] + "/postgres")
    unset = await deployment.tollbell("check", TOLLBELL_ENCRYPTION_KEYS_FILE="/no/such/file")

    assert (away.status, away.err) == (1, "tollbell: not ready to run: postgres, kafka\n")
    assert [line[:14] for line in away.out.splitlines()] == ["FAIL  postgres", "ok    receivers"[:14], "FAIL  kafka: K"]
    assert (serving.status, serving.err) == (0, "")
    assert "kafka" not in serving.out
    assert "run `tollbell migrate` first" in empty.out
    assert (unset.status, unset.err.count("\n")) == (2, 1)
