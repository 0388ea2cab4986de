"""Two deliverers side by side: what holds over both of them, and what outlives one that is killed."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from consumer import clock
from consumer.store import jobs
from tests.conftest import MakeDeployment
from tests.support.fakes import Receiver
from tests.support.service import Deployment, Replica
from tests.support.stores import KEY, Store, identity
from tests.support.verification import SECRET, verify

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
MANY = "0s," + ",".join(["200ms"] * 45)  # retries that come soon, and do not end


def hook(receiver: Receiver, **more: Any) -> dict[str, Any]:
    """A channel's settings, with what `verify` verifies."""
    return {"url": receiver.url(), "signingSecret": SECRET, "customHeaders": {"X-Webhook-Secret": "hush-hush"}, **more}


@contextlib.asynccontextmanager
async def two(deployment: Deployment) -> AsyncIterator[tuple[Replica, Replica]]:
    """Run two deliverers."""
    async with await deliverer(deployment) as one, await deliverer(deployment) as other:
        for replica in (one, other):
            await replica.logged("role.ready", role="deliver")
        yield one, other


async def deliverer(deployment: Deployment) -> Replica:
    return await deployment.replica("--only", "deliver", TOLLBELL_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")


async def until(stored: Store, statement: str, *, seconds: float = 60) -> None:
    """Return once *statement* gives true."""
    async with asyncio.timeout(seconds):
        while not await stored.one(statement):
            await clock.wait(asyncio.Event(), 0.1)


@contextlib.asynccontextmanager
async def holding(stored: Store, event_id: str) -> AsyncIterator[None]:
    """Hold the rows of an event's deliveries, so that each statement that would move them waits."""
    connection = await asyncpg.connect(stored.url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT 1 FROM delivery WHERE event_id = $1 FOR UPDATE", event_id)
    yield
    await transaction.rollback()
    await connection.close()


ALL_ARRIVED = "SELECT bool_and(state = 'SUCCESS') FROM delivery"


def said(replicas: tuple[Replica, Replica], event: str) -> int:
    return sum(line["event"] == event for replica in replicas for line in replica.lines)


async def test_a_rate_holds_over_both_and_slows_no_other_channel(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    rate, count = 10, 40
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY)
    limited = hook(receiver, url=receiver.url("/limited"), rateLimit=rate)
    await stored.configure({"limited": limited, "free": hook(receiver, url=receiver.url("/free"))})
    await stored.events(count)
    async with two(deployment):
        requests = await receiver.wait_for(count, timeout=60, path="/limited")

        assert len(receiver.at("/free")) == count
        at = [request.at for request in requests]
        # Sent when claimed; half a second is allowed for the way of a request on a busy machine.
        for first in range(count):
            for last in range(first, count):
                assert last - first + 1 <= 1 + rate * (at[last] - at[first] + 0.5)
    assert len({request.headers["webhook-id"] for request in requests}) == count


async def test_what_waits_for_another_one_comes_after_it_and_at_once(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_RETRY_SCHEDULE=MANY)
    await stored.configure({"hook": hook(receiver)})
    chain = await stored.events(1)
    for n in range(1, 100):
        chain += await stored.events(1, after=identity(n))
    receiver.answer(503)
    async with two(deployment):
        # Polls alone, at most 1.33 a second of each, would take more than half a minute.
        requests = await receiver.wait_for(101, timeout=30)

    assert [request.headers["webhook-id"] for request in requests] == [chain[0], *chain]


async def test_the_breaker_is_shared_and_probes_one_by_one(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(
        TOLLBELL_ENCRYPTION_KEYS=KEY,
        TOLLBELL_RETRY_SCHEDULE=MANY,
        TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="1",
        TOLLBELL_DELIVERY_BREAKER_FAILURES="3",
        TOLLBELL_DELIVERY_BREAKER_PAUSE="500ms",
        TOLLBELL_DELIVERY_BREAKER_LONGEST_PAUSE="1s",
    )
    await stored.configure({"hook": hook(receiver)})
    await stored.events(12)
    receiver.otherwise(503)
    async with two(deployment) as replicas:
        await until(stored, "SELECT opened >= 4 FROM channel_pace")
        before = list(receiver.requests)
        release = receiver.hold()  # the next probe is answered when we say so
        await receiver.wait_for(len(before) + 1, timeout=30)
        receiver.otherwise(200)
        one_probe = (receiver.in_flight, await stored.one("SELECT probe IS NOT NULL FROM channel_pace"))
        release.set()
        await until(stored, ALL_ARRIVED)

        assert one_probe == (1, True)
        # Three failures and one in flight of each replica until it opened; then a probe each time it opened again.
        assert len(before) <= 3 + 2 + 4
        paused = [line for replica in replicas for line in replica.lines if line["event"] == "channel.paused"]
        assert [line["pause_s"] for line in paused if line["pause_s"] > 1] == []
        assert len(paused) >= 4
        assert {(line["channel_id"], line["channel_key"], line["channel"]) for line in paused} == {
            (stored.ids["hook"], "hook", "hook")
        }
        async with asyncio.timeout(30):
            while said(replicas, "channel.resumed") == 0:
                await clock.wait(asyncio.Event(), 0.05)
        assert [await replica.terminate() for replica in replicas] == [0, 0]
    assert said(replicas, "channel.resumed") == 1
    steps = await stored.one("SELECT sum(step) FROM delivery")
    assert steps == len(receiver.requests)  # a pause spends nothing
    assert await stored.sql("SELECT downs, opened, failures FROM channel_pace") == [(0, 0, 0)]


async def test_what_expires_while_the_breaker_is_open_is_not_sent(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(
        TOLLBELL_ENCRYPTION_KEYS=KEY,
        TOLLBELL_RETRY_SCHEDULE=MANY,
        TOLLBELL_DELIVERY_BREAKER_FAILURES="1",
        TOLLBELL_DELIVERY_BREAKER_PAUSE="1h",
        TOLLBELL_DELIVERY_BREAKER_LONGEST_PAUSE="1h",
    )
    await stored.configure({"hook": hook(receiver, expireAfter="1h")})
    await stored.events(1)
    receiver.otherwise(503)
    async with two(deployment) as replicas:
        await until(stored, "SELECT opened = 1 FROM channel_pace")
        await stored.events(10)
        await replicas[0].reaches("tollbell_channels", 1, state="paused")
        await replicas[0].reaches("tollbell_deliveries", 10, state="PENDING")
        assert await replicas[0].metric("tollbell_deliveries", state="SENDING") == 1

        await stored.sql(
            "UPDATE delivery SET created_at = created_at - interval '1 h', round_from = round_from - interval '1 h'"
        )

        await until(stored, "SELECT count(*) = 11 FROM delivery WHERE state = 'FAILED' AND reason = 'expired'")
    assert len(receiver.requests) == 1


async def test_a_failing_channel_is_disabled_once_and_recovered(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(
        TOLLBELL_ENCRYPTION_KEYS=KEY,
        TOLLBELL_RETRY_SCHEDULE=MANY,
        TOLLBELL_DELIVERY_BREAKER_FAILURES="1000",
        TOLLBELL_DELIVERY_DISABLE_AFTER="1s",
        TOLLBELL_DELIVERY_DISABLE_ATTEMPTS="6",
    )
    channel = hook(receiver)
    await stored.configure({"hook": channel})
    events = await stored.events(3)
    receiver.otherwise(401)
    async with two(deployment) as replicas:
        await until(stored, "SELECT disabled_by = 'tollbell' FROM channel")
        events += await stored.events(2)
        await until(stored, "SELECT count(*) = 5 FROM delivery WHERE state = 'FAILED' AND reason = 'channel_disabled'")
        async with asyncio.timeout(30):
            while said(replicas, "channel.disabled") == 0:
                await clock.wait(asyncio.Event(), 0.05)

        sent = len(receiver.requests)
        receiver.otherwise(200)
        await stored.configure({"hook": channel | {"disabled": False}})
        job_id = await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)

        await until(stored, ALL_ARRIVED)
        assert {verify(request)["id"] for request in receiver.requests[sent:]} == set(events)
        assert [await replica.terminate() for replica in replicas] == [0, 0]
    disabled = [line for replica in replicas for line in replica.lines if line["event"] == "channel.disabled"]
    assert [(line["level"], line["channel_id"], line["channel_key"], line["by"]) for line in disabled] == [
        ("error", stored.ids["hook"], "hook", "tollbell")
    ]
    job = await jobs.get(stored.database, "default", job_id)
    assert job is not None
    assert (job.state, job.total, job.done) == ("DONE", 5, 5)


async def test_jobs_survive_a_killed_deliverer_and_double_nothing(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    count = 1200
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_DELIVERY_TIMEOUT="1s")
    hooks = {key: hook(receiver, url=receiver.url(f"/{key}")) for key in ("failed", "received")}
    await stored.configure(hooks)
    events = await stored.events(count)
    ended = "UPDATE delivery SET state = $1, due_at = NULL, ended_at = clock_timestamp() WHERE channel_id = $2"
    await stored.sql(ended, "FAILED", stored.ids["failed"])
    await stored.sql(ended, "SUCCESS", stored.ids["received"])
    recovery = await jobs.recover(stored.database, "default", stored.ids["failed"], since=LONG_AGO)
    async with holding(stored, events[700]):
        async with await deliverer(deployment) as victim:
            await until(stored, "SELECT done = 500 FROM job")  # and it waits in its second batch
            await receiver.wait_for(1, timeout=60)
            victim.kill()
            await victim.process.wait()
        resend = await jobs.resend(stored.database, "default", events[0], channels=[stored.ids["received"]])
    async with two(deployment):
        await until(stored, "SELECT bool_and(state = 'DONE') FROM job")
        await until(stored, ALL_ARRIVED, seconds=120)

    for job_id, total in [(recovery, count), (resend, 1)]:
        job = await jobs.get(stored.database, "default", job_id)
        assert job is not None
        assert (job.state, job.total, job.done) == ("DONE", total, total)
    rounds = await stored.sql(
        "SELECT channel_id = $1, round, count(*) FROM delivery GROUP BY 1, 2", stored.ids["failed"]
    )
    assert sorted(rounds) == [(False, 1, count - 1), (False, 2, 1), (True, 2, count)]
    assert {request.headers["webhook-id"] for request in receiver.at("/failed")} == set(events)
    assert {request.headers["webhook-id"] for request in receiver.at("/received")} == {events[0]}


async def test_another_replica_sends_a_flat_body_again_byte_for_byte(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_RETRY_SCHEDULE=MANY)
    await stored.configure({"hook": hook(receiver, format="flat")})
    (event,) = await stored.events(1)
    receiver.answer(503)
    async with two(deployment):
        first, retried = await receiver.wait_for(2, timeout=30)
        await until(stored, ALL_ARRIVED)
        assert first.body == retried.body
        assert b'"value":{"usage":1.50}' in first.body

        # As if another release had made it, whose renderer differs.
        other = first.body.replace(b"1.50", b"1.5000")
        await stored.sql("UPDATE rendered SET body = $1", other)
        await jobs.resend(stored.database, "default", event)

        *_, resent = await receiver.wait_for(3, timeout=30)
        assert resent.body == other
        for request in (first, retried, resent):
            assert verify(request)["id"] == event
    assert await stored.one("SELECT count(*) FROM rendered") == 1


async def test_a_newer_releases_format_ends_the_delivery_with_a_log(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY)
    await stored.configure({"hook": hook(receiver)})
    await stored.sql("UPDATE channel SET format = 'of-tomorrow'")
    await stored.events(1)
    async with two(deployment):
        await until(stored, "SELECT state = 'FAILED' FROM delivery")

    assert await stored.sql("SELECT outcome, detail FROM attempt") == [
        ("rendering", "format of-tomorrow: is none that this release knows")
    ]
    assert await stored.sql("SELECT failures FROM channel_pace") == [(0,)]
    assert receiver.requests == []
