"""What receivers ask for by their answers: to wait, or to stop."""

import asyncio

import asyncpg
from aiohttp import web

from consumer import clock
from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.verification import SECRET


async def test_a_retry_after_pauses_the_channel_and_nothing_is_lost(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,10ms", TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="1")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    receiver.answer(web.Response(status=429, headers={"Retry-After": "2"}))
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(topic, native_record(90, entitlement="one"))
        await replica.logged("delivery.attempted", channel_paused_s=2.0)
        await produce(topic, native_record(90, entitlement="two"))

        first, *others = await receiver.wait_for(3, timeout=30)
        assert all(other.at - first.at >= 1.9 for other in others)


async def test_410_disables_the_channel_until_a_person_enables_it(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """Its deliveries fail with the reason."""
    deployment = await deploy()
    rules = rules_yaml(receiver.url(), 80)
    await deployment.apply(rules, HOOK_SECRET=SECRET)
    receiver.answer(410)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(90, entitlement="one"))
        await replica.logged("channel.disabled", by="tollbell")

        await produce(topic, native_record(90, entitlement="two"))
        await replica.reaches("tollbell_events_total", 2)
        await replica.reaches("tollbell_channels", 1, state="disabled_by_tollbell")
        said_nothing = await deployment.apply(rules, HOOK_SECRET=SECRET)
        enabled = rules.replace("    name: Hook\n", "    name: Hook\n    disabled: false\n")
        await deployment.apply(enabled, HOOK_SECRET=SECRET)
        await produce(topic, native_record(90, entitlement="three"))

        await receiver.wait_for(2)
        assert said_nothing.out == "= channel hook\n= rule quota\n"
        await replica.logged("delivery.attempted", verdict="Delivered")
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    rows = await connection.fetch("SELECT state, reason FROM delivery ORDER BY id")
    await connection.close()
    disabled = ("FAILED", "channel_disabled")
    assert [tuple(row) for row in rows] == [disabled, disabled, ("SUCCESS", None)]


async def test_a_channels_own_schedule_and_expiry_win(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,2h")
    own = "    retrySchedule: [0s, 100ms, 100ms]\n    expireAfter: 3s\n"
    rules = rules_yaml(receiver.url(), 80).replace("rules:\n", own + "rules:\n")
    applied = await deployment.apply(rules, HOOK_SECRET=SECRET)
    assert applied.status == 0, applied.err
    receiver.answer(500, 200, web.Response(status=503, headers={"Retry-After": "600"}))
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(90, entitlement="one"))
        await replica.logged("delivery.attempted", verdict="Delivered", attempt=2)

        await produce(topic, native_record(90, entitlement="two"))
        await replica.logged("delivery.attempted", channel_paused_s=600.0)

        connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
        async with asyncio.timeout(20):
            while await connection.fetchval("SELECT count(*) FROM delivery WHERE reason = 'expired'") == 0:
                await clock.wait(asyncio.Event(), 0.1)
        await connection.close()
        assert len(receiver.requests) == 3
        assert (await deployment.apply(rules, HOOK_SECRET=SECRET)).out == "= channel hook\n= rule quota\n"


async def test_a_channels_own_concurrency_holds(deploy: MakeDeployment, produce: Produce, receiver: Receiver) -> None:
    deployment = await deploy(TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="8")
    rules = rules_yaml(receiver.url(), 80).replace("rules:\n", "    concurrency: 2\nrules:\n")
    await deployment.apply(rules, HOOK_SECRET=SECRET)
    releases = [receiver.hold() for _ in range(6)]
    async with await deployment.replica() as replica:
        await replica.ready()

        records = [native_record(90, entitlement=f"ent-{n}") for n in range(6)]
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], *records)
        await receiver.wait_until(lambda _: receiver.in_flight == 2)
        for release in releases:
            release.set()

        await receiver.wait_for(6, timeout=20)
        assert receiver.most_in_flight == 2
