"""Roles alone, hostile receivers beside healthy ones, metrics from zero, secrets nowhere."""

import asyncio

import asyncpg
import pytest

from consumer.metrics import ATTEMPT_OUTCOMES
from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import RawReceiver, Receiver, never, read_request
from tests.support.verification import SECRET, verify

TWO_CHANNELS = """\
channels:
  - {{key: healthy, type: WEBHOOK, name: Healthy, url: "{healthy}", signingSecret: "{secret}",
     customHeaders: {{X-Webhook-Secret: hush-hush}}}}
  - {{key: hostile, type: WEBHOOK, name: Hostile, url: "{hostile}"}}
rules:
  - {{key: quota, type: entitlements.balance.threshold, name: Quota, channels: [hostile, healthy],
     thresholds: [{{type: usage_percentage, value: 80}}]}}
"""


async def test_each_role_runs_alone_and_the_outbox_is_all_they_share(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    no_kafka = {"TOLLBELL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    async with (
        await deployment.replica("--only", "consume", TOLLBELL_ENCRYPTION_KEYS="") as consumer,
        await deployment.replica("--only", "deliver", **no_kafka) as deliverer,
        await deployment.replica("--only", "serve", **no_kafka) as server,
    ):
        await consumer.ready()
        await deliverer.logged("role.ready", role="deliver")
        await server.logged("role.ready", role="serve")

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))

        verify((await receiver.wait_for(1))[0])
        await deliverer.logged("delivery.attempted", verdict="Delivered")
        assert await consumer.metric("tollbell_events_total") == 1
        assert await deliverer.metric("tollbell_attempts_total", outcome="success") == 1
        assert (await server.http("/readyz"))[0] == 200
        for replica in (consumer, deliverer, server):
            assert await replica.terminate() == 0


@pytest.mark.parametrize("behaviour", ["hangs", "drips", "resets", "is no HTTP", "redirects inside"])
async def test_a_hostile_receiver_costs_its_own_channel_and_no_other(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver, behaviour: str
) -> None:
    entitlements = 12
    expected = {"hangs": "timeout", "drips": "timeout", "resets": "reset", "is no HTTP": "protocol"}
    async with RawReceiver(HOSTILE[behaviour]) as hostile:
        deployment = await deploy(
            TOLLBELL_DELIVERY_CONCURRENCY="8",
            TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="4",
            TOLLBELL_DELIVERY_TIMEOUT="1s",
            TOLLBELL_DELIVERY_BREAKER_FAILURES="1000",  # the slots alone must hold it; a pause would help them
        )
        urls = {"healthy": receiver.url(), "hostile": hostile.url(), "secret": SECRET}
        assert (await deployment.apply(TWO_CHANNELS.format(**urls))).status == 0
        async with await deployment.replica() as replica:
            await replica.ready()

            topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
            await produce(topic, *(native_record(90, entitlement=f"ent-{n}") for n in range(entitlements)))

            await receiver.wait_for(entitlements)
            outcome = expected.get(behaviour, "status")
            await replica.logged("delivery.attempted", entitlements, outcome=outcome, verdict="RetryIn")
            await replica.logged("delivery.attempted", entitlements, verdict="Delivered")
            assert len(receiver.requests) == entitlements
            states = await counted(deployment.environment["TOLLBELL_DATABASE_URL"])
            assert states == {"SUCCESS": entitlements, "SENDING": entitlements}


async def test_receivers_that_hang_late_get_no_more_slots_than_others(deploy: MakeDeployment, produce: Produce) -> None:
    """Those that answer and then hang, compared with those that never answer."""
    hanging: list[int] = [0]
    at_once: list[int] = []

    async def answering_and_hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        hanging[0] += 1
        at_once.append(hanging[0])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
        await reader.read()  # until it is hung up on
        hanging[0] -= 1

    async with RawReceiver(answering_and_hanging) as one, RawReceiver(answering_and_hanging) as two:
        deployment = await deploy(
            TOLLBELL_DELIVERY_CONCURRENCY="8",
            TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="4",
            TOLLBELL_DELIVERY_TIMEOUT="400ms",  # who takes as long is slow by it, and quick by the clock
        )
        urls = {"healthy": one.url(), "hostile": two.url(), "secret": SECRET}
        assert (await deployment.apply(TWO_CHANNELS.format(**urls))).status == 0
        async with await deployment.replica() as replica:
            await replica.ready()

            topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
            await produce(topic, *(native_record(90, entitlement=f"ent-{n}") for n in range(8)))

            await replica.logged("delivery.attempted", 16, verdict="Delivered")
    assert max(at_once[-4:]) <= 2  # one in four of eight; all of them at first, when nothing was known yet


async def counted(url: str) -> dict[str, int]:
    """Return how many deliveries there are in each state."""
    connection = await asyncpg.connect(url)
    try:
        return dict(await connection.fetch("SELECT state, count(*) FROM delivery GROUP BY state"))
    finally:
        await connection.close()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-A: ")  # never a whole header
    await never(reader, writer)


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"\x00\x01\x02 what is this\r\n\r\n")
    await writer.drain()


async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100_000)
    where = b"Location: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    writer.write(b"HTTP/1.1 307 Temporary Redirect\r\n" + where)
    await writer.drain()


HOSTILE = {"hangs": never, "drips": drip, "resets": reset, "is no HTTP": garbage, "redirects inside": redirect}


async def test_an_internal_address_is_refused_unless_allowed(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    # Opened when the channel was made, and no longer: the socket is what protects.
    async with await deployment.replica(TOLLBELL_DELIVERY_ALLOW_CIDRS="") as replica:
        await replica.ready()

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))

        (line,) = await replica.logged("delivery.attempted", outcome="address")
        assert line["verdict"] == "RetryIn"
        assert receiver.requests == []


async def test_metrics_start_at_zero_and_secrets_are_nowhere(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    key = deployment.environment["TOLLBELL_ENCRYPTION_KEYS"]
    applied = await deployment.apply(rules_yaml(receiver.url() + "?token=t1ger", 80), HOOK_SECRET=SECRET)
    receiver.answer(500, 200)
    async with await deployment.replica(TOLLBELL_RETRY_SCHEDULE="0s,100ms") as replica:
        await replica.ready()
        for outcome in ATTEMPT_OUTCOMES:
            assert await replica.metric("tollbell_attempts_total", outcome=outcome) == 0
        assert await replica.metric("tollbell_events_total", action="triggered") == 0

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90), b"no json")
        await receiver.wait_for(2)
        await replica.logged("delivery.attempted", verdict="Delivered")
        await replica.reaches("tollbell_channels", 1, state="enabled")
        _, metrics = await replica.http("/metrics")
        await replica.terminate()

    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [str(dict(row)) for t in tables for row in await connection.fetch(f'SELECT * FROM "{t[0]}"')]  # noqa: S608
    await connection.close()
    said = str(replica.lines) + metrics + applied.out + applied.err
    for secret in (SECRET, SECRET.removeprefix("whsec_"), "hush-hush", key):
        assert secret not in said
        assert not any(secret in row for row in rows)
    assert "t1ger" not in said
