"""Re-arm, recovery and highest, from topic to receiver: in order, once each, whatever the receiver does."""

from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.verification import SECRET, verify

FOLLOWING = "    rearm: recovery\n    notifyOn: [triggered, recovered]\n"


def minute(n: int) -> str:
    return f"2026-11-22T10:{n:02}:00Z"


async def test_episodes_on_a_channel_are_sent_in_order(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """A recovery waits for its triggered event, and the next episode for that recovery."""
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,1s,1s")
    applied = await deployment.apply(rules_yaml(receiver.url(), 80) + FOLLOWING, HOOK_SECRET=SECRET)
    assert applied.status == 0, applied.err
    receiver.answer(503, 200, 503, 200)
    usages = [10, 90, 20, 20, 95, 30]
    async with await deployment.replica() as replica:
        await replica.ready()

        # All in one batch: the events of one statement wait for each other too.
        records = [native_record(usage, calculated_at=minute(n)) for n, usage in enumerate(usages)]
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], *records, *records)

        events = [verify(request)["data"] for request in await receiver.wait_for(6, timeout=30)]
        assert [(one["action"], one["crossing"]["episode"]) for one in events] == [
            ("triggered", 1),
            ("triggered", 1),  # the retry
            ("recovered", 1),
            ("recovered", 1),  # the retry
            ("triggered", 2),
            ("recovered", 2),
        ]
        assert await replica.metric("tollbell_events_total", action="recovered") == 2
        assert await replica.metric("tollbell_judgements_total", reason="rearmed") == 1
        assert await replica.metric("tollbell_judgements_total", reason="late") >= 1


async def test_a_recovery_is_sent_though_its_triggered_failed(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s")
    await deployment.apply(rules_yaml(receiver.url(), 80) + FOLLOWING, HOOK_SECRET=SECRET)
    receiver.answer(500, 200)
    async with await deployment.replica() as replica:
        await replica.ready()

        records = [native_record(usage, calculated_at=minute(n)) for n, usage in enumerate([90, 20])]
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], *records)

        events = [verify(request)["data"]["action"] for request in await receiver.wait_for(2, timeout=30)]
        assert events == ["triggered", "recovered"]


async def test_highest_fires_the_most_advanced_and_names_the_others(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 50, 80, 100, 120) + "    emit: highest\n", HOOK_SECRET=SECRET)
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], *[native_record(n) for n in (110, 60, 130)])

        events = [verify(request)["data"] for request in await receiver.wait_for(2)]
        assert [one["threshold"]["value"] for one in events] == [100, 120]
        assert [one["value"] for one in events[0]["crossing"]["alsoCrossed"]] == [50, 80]
        assert events[1]["crossing"]["alsoCrossed"] == []
        assert await replica.metric("tollbell_judgements_total", reason="also_crossed") == 2
