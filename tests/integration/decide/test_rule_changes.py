"""A change of a rule by the API is in force in another replica: soon, and a disable at once."""

from consumer import clock
from consumer.demo.servers.contracts import Broker
from tests.conftest import MakeDeployment, Produce
from tests.support.api import channel, rule, talking
from tests.support.factories import native_record
from tests.support.fakes import Receiver
from tests.support.progress import read_to_the_end

CHANGES = 100


async def test_a_change_reaches_a_second_replica_within_a_second(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver, kafka: Broker
) -> None:
    """A disabled rule makes nothing from the answer on."""
    deployment = await deploy(partitions=4)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as first, await deployment.replica() as second, talking(first) as api:
        await first.ready()
        await second.ready()
        _, hook = await api("POST", "/channels", channel(receiver.url()))
        _, quota = await api("POST", "/rules", rule(hook["id"]))
        await second.logged("catalog.loaded", rules=1)
        took = []
        for n in range(CHANGES):
            # Load: judged by both, and below the rule's line.
            await produce(topic, *(native_record(1, entitlement=f"below-{n}-{m}") for m in range(20)))
            before = sum(line["event"] == "catalog.loaded" for line in second.lines)
            assert (await api("PUT", f"/rules/{quota['id']}", rule(hook["id"], name=f"Quota {n}")))[0] == 200
            answered = clock.monotonic()
            await second.logged("catalog.loaded", before + 1)
            took.append(clock.monotonic() - answered)
        await produce(topic, native_record(90, entitlement="while it was enabled"))
        await receiver.wait_for(1)

        assert (await api("PUT", f"/rules/{quota['id']}", rule(hook["id"], disabled=True)))[0] == 200
        await produce(topic, *(native_record(90, entitlement=f"ent-{n}") for n in range(200)))

        await read_to_the_end(kafka, topic, topic)
        wanted = {"type": quota["type"], "action": "triggered"}
        assert sum([await one.metric("tollbell_events_total", **wanted) for one in (first, second)]) == 1
    took.sort()
    print(  # noqa: T201 - the figures are what one wants to know
        f"in force after p50 {took[CHANGES // 2] * 1000:.0f} ms, p99 {took[CHANGES * 99 // 100] * 1000:.0f} ms"
    )
    assert took[CHANGES * 99 // 100] < 1
