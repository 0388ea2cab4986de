"""A replica that has no descriptor left: nothing is lost, no channel pays for it, and it is said as what it is."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.verification import SECRET

STANDARD_FILES = 3  # those have the lowest numbers, so every new one is too high


@contextmanager
def no_more_files(pid: int) -> Iterator[None]:
    """Let a process open no file while the body runs."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (STANDARD_FILES, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


async def test_what_we_lack_costs_no_retry_and_pauses_no_channel(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s", TOLLBELL_DELIVERY_BREAKER_FAILURES="1")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()
        with no_more_files(replica.process.pid):
            await produce(topic, native_record(90, entitlement="one"))
            short, *_ = await replica.logged("delivery.attempted", outcome="shortage", seconds=90)
            await replica.logged("delivery.attempted", outcome="shortage", attempt=2, seconds=90)
        await replica.logged("delivery.attempted", verdict="Delivered", seconds=90)

        assert short["detail"] == "this replica is short of resources: too many open files"
        assert short["retry_in_s"] == 1.0
        assert await replica.terminate() == 0
    assert [line["level"] for line in replica.lines if line["event"] == "deliver.short"] == ["error"]
    assert [line for line in replica.lines if line["event"] in {"channel.paused", "channel.disabled"}] == []
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    [row] = await connection.fetch("SELECT state, failures, downs FROM delivery JOIN channel_pace USING (channel_id)")
    await connection.close()
    assert (row["state"], row["failures"], row["downs"]) == ("SUCCESS", 0, 0)
    assert len(receiver.requests) == 1


async def test_a_replica_says_how_many_files_it_may_open(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    async with await deployment.replica() as replica:
        [said] = await replica.logged("app.files")

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert said["limit"] >= min(hard, 65_536)
