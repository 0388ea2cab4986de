"""`tollbell check` says whether `run` would work, and what to do where it would not."""

import socket

import pytest

from tests.conftest import MakeDeployment
from tests.support.factories import rules_yaml
from tests.support.one_rule import scalar
from tests.support.places import MakeTopic
from tests.support.verification import SECRET

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
        "ok    port: 127.0.0.1:0 is free",
        "ok    postgres: the schema fits, and takes rows",
        "ok    secrets: those of 1 channels open",
        "ok    channels: 1 are enabled, and none goes to a refused address",
        "ok    receivers: certificates are verified by the authorities of the system",
        (
            f"ok    kafka: group {usage} reads {usage} (3 partitions), and has offsets of 0 partitions;"
            f" dead letters go to {letters}"
        ),
    ]


async def test_check_names_each_failure_with_its_fix_and_goes_on(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_LOG_LEVEL="info")
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)
    key = (await deployment.tollbell("keygen")).out.strip()

    done = await deployment.tollbell(
        "check", TOLLBELL_ENCRYPTION_KEYS=key, TOLLBELL_DELIVERY_ALLOW_CIDRS="", TOLLBELL_TOPICS_RESETS="no-such"
    )

    lines = done.out.splitlines()
    assert (done.status, done.err) == (1, "tollbell: not ready to run: secrets, channels, kafka\n")
    assert [line.partition(":")[0] for line in lines] == [
        "ok    port", "ok    postgres", "FAIL  secrets", "FAIL  channels", "ok    receivers", "FAIL  kafka",
    ]  # fmt: skip
    assert "channel hook of default: encrypted with a key that TOLLBELL_ENCRYPTION_KEYS does not hold" in lines[2]
    assert "channel hook of default: its host is private" in lines[3]
    assert "topic no-such: create it" in lines[5]


async def test_check_reports_unreachable_servers_that_the_role_needs(deploy: MakeDeployment, database: str) -> None:
    """It doesn't look at what the role doesn't need."""
    deployment = await deploy(TOLLBELL_LOG_LEVEL="info")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        unused = f"127.0.0.1:{closed.getsockname()[1]}"
        away = await deployment.tollbell(
            "check", TOLLBELL_DATABASE_URL=f"postgresql://x@{unused}/x", TOLLBELL_KAFKA_BOOTSTRAP_SERVERS=unused
        )
        serving = await deployment.tollbell("check", "--only", "serve", TOLLBELL_KAFKA_BOOTSTRAP_SERVERS=unused)
    empty = await deployment.tollbell("check", TOLLBELL_DATABASE_URL=database.rpartition("/")[0] + "/postgres")
    unset = await deployment.tollbell("check", TOLLBELL_ENCRYPTION_KEYS_FILE="/no/such/file")

    assert (away.status, away.err) == (1, "tollbell: not ready to run: postgres, kafka\n")
    assert away.out.splitlines() == [
        "ok    port: 127.0.0.1:0 is free",
        f"FAIL  postgres: Postgres: {unused}: connection refused: nothing listens there",
        "ok    receivers: certificates are verified by the authorities of the system",
        f"FAIL  kafka: Kafka: asking for topics: {unused}: connection refused: nothing listens there",
    ]
    assert (serving.status, serving.err) == (0, "")
    assert "kafka" not in serving.out
    assert "run `tollbell migrate` first" in empty.out
    assert (unset.status, unset.err.count("\n")) == (2, 1)


@pytest.mark.real_kafka
async def test_what_runs_and_is_risky_is_a_warning_with_what_to_do(
    deploy: MakeDeployment, make_topic: MakeTopic
) -> None:
    deployment = await deploy(TOLLBELL_LOG_LEVEL="info")
    short = await make_topic(2, retention_ms=3_600_000)
    compacted = await make_topic(1, cleanup_policy="compact")
    await deployment.apply(rules_yaml("https://no-such-host.invalid/hook", 80), HOOK_SECRET=SECRET)

    done = await deployment.tollbell(
        "check", TOLLBELL_TOPICS_USAGE=short, TOLLBELL_TOPICS_RESETS=compacted, TOLLBELL_TOPICS_INVOICES=compacted
    )

    warned = [line.removeprefix("warn  ") for line in done.out.splitlines() if line.startswith("warn")]
    assert (done.status, done.err) == (0, ""), done.out
    assert [line[: len(start)] for line, start in zip(warned, [
        "channels: channel hook of default: cannot be resolved now: no-such-host.invalid: correct the url",
        f"kafka: {short} has 2, {compacted} has 1 partitions: records of one entitlement or invoice",
        f"kafka: topic {short} keeps its records for 1:00:00: an outage of Tollbell that lasts longer loses some",
        f"kafka: topic {compacted} is compacted: of records that share a key only the newest is sure to be read",
    ], strict=True)] == [
        "channels: channel hook of default: cannot be resolved now: no-such-host.invalid: correct the url",
        f"kafka: {short} has 2, {compacted} has 1 partitions: records of one entitlement or invoice",
        f"kafka: topic {short} keeps its records for 1:00:00: an outage of Tollbell that lasts longer loses some",
        f"kafka: topic {compacted} is compacted: of records that share a key only the newest is sure to be read",
    ]  # fmt: skip


@pytest.mark.real_kafka
async def test_dead_letters_that_are_compacted_would_be_refused(deploy: MakeDeployment, make_topic: MakeTopic) -> None:
    deployment = await deploy(TOLLBELL_LOG_LEVEL="info")
    compacted = await make_topic(1, cleanup_policy="compact")

    done = await deployment.tollbell("check", "--only", "consume", TOLLBELL_TOPIC_DEAD_LETTERS=compacted)

    assert (done.status, done.err) == (1, "tollbell: not ready to run: kafka\n")
    assert f"topic {compacted}: is compacted, which refuses records without a key" in done.out


async def test_a_check_leaves_nothing_behind(deploy: MakeDeployment, migrated: str) -> None:
    deployment = await deploy(TOLLBELL_LOG_LEVEL="info")

    done = await deployment.tollbell("check")
    listed = await deployment.tollbell("dlq", "list")

    assert done.status == 0, done.out
    assert (listed.status, listed.out) == (0, "")  # the record was aborted: who reads what is committed sees none
    for table in ("entitlement", "event", "delivery", "event_identity"):
        assert await scalar(migrated, f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - of the list above


async def test_a_port_in_use_is_said_unless_a_replica_uses_it(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_LOG_LEVEL="info")
    async with await deployment.replica("--only", "serve") as replica:
        await replica.ready()
        port = (await replica.logged("http.listening"))[0]["port"]
        ours = await deployment.tollbell("check", "--only", "serve", TOLLBELL_HTTP_LISTEN=f"127.0.0.1:{port}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        theirs = await deployment.tollbell("check", "--only", "serve", TOLLBELL_HTTP_LISTEN=at)
        run = await deployment.tollbell("run", "--only", "serve", TOLLBELL_HTTP_LISTEN=at)

    assert f"ok    port: a replica of Tollbell listens on 127.0.0.1:{port} now" in ours.out
    assert f"FAIL  port: TOLLBELL_HTTP_LISTEN={at}: cannot listen there: Address already in use" in theirs.out
    assert (theirs.status, run.status) == (1, 1)
    assert "TOLLBELL_HTTP_LISTEN: cannot listen there" in run.err
