"""Rules edited in mid-period, on the running service: what is remembered, what is in force, and where."""

import json

import pytest

from consumer import clock
from schemas import times
from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record
from tests.support.fakes import Receiver
from tests.support.one_rule import scalar
from tests.support.service import Deployment, Replica
from tests.support.verification import SECRET


def rules(url: str, *thresholds: int, namespace: str = "default", **rule: object) -> str:
    """A rules file in JSON, which is YAML."""
    channel = {"key": "hook", "type": "WEBHOOK", "name": "Hook", "url": url, "signingSecret": SECRET}
    wanted = [{"type": "usage_percentage", "value": value} for value in thresholds]
    named = {"key": "quota", "type": "entitlements.balance.threshold", "name": "Quota", "channels": ["hook"]}
    return json.dumps({"namespace": namespace, "channels": [channel], "rules": [named | {"thresholds": wanted} | rule]})


async def edited(deployment: Deployment, replica: Replica, text: str) -> None:
    """Apply *text*; return when the replica has it."""
    applied = await deployment.apply(text, "--prune")
    assert applied.status == 0, applied.err
    revision = await scalar(deployment.environment["TOLLBELL_DATABASE_URL"], "SELECT revision FROM catalog")
    await replica.until(
        lambda: [line for line in replica.lines if line["event"] == "catalog.loaded" and line["revision"] >= revision],
        count=1,
        seconds=30,
    )


async def fired(receiver: Receiver, count: int) -> list[int]:
    return [json.loads(one.body)["data"]["threshold"]["value"] for one in await receiver.wait_for(count, timeout=30)]


@pytest.fixture
def now() -> str:
    return times.text(clock.now())


async def test_a_threshold_put_back_remembers_and_a_new_one_fires(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    topic, url = deployment.environment["TOLLBELL_TOPICS_USAGE"], receiver.url()
    await deployment.apply(rules(url, 50, 80))
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(85))
        assert await fired(receiver, 2) == [50, 80]

        await edited(deployment, replica, rules(url, 80))
        await edited(deployment, replica, rules(url, 50, 70, 80))
        await produce(topic, native_record(86))

        assert await fired(receiver, 3) == [50, 80, 70]
        await replica.reaches("tollbell_records_total", 2, result="judged")
        assert await replica.metric("tollbell_judgements_total", reason="already_fired") == 2


async def test_a_rule_disabled_and_enabled_again_has_still_fired(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    topic, url = deployment.environment["TOLLBELL_TOPICS_USAGE"], receiver.url()
    await deployment.apply(rules(url, 80))
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(85))
        assert await fired(receiver, 1) == [80]

        await edited(deployment, replica, rules(url, 80, 90, disabled=True))
        await produce(topic, native_record(95))
        await replica.reaches("tollbell_records_total", 1, result="no_rule")
        await edited(deployment, replica, rules(url, 80, 90))
        await produce(topic, native_record(95))

        assert await fired(receiver, 2) == [80, 90]


async def test_on_create_ignore_is_silent_until_the_next_period(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver, now: str
) -> None:
    deployment = await deploy()
    topic, url = deployment.environment["TOLLBELL_TOPICS_USAGE"], receiver.url()
    await deployment.apply(rules(url, 80, onCreate="ignore"))
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(topic, native_record(85), native_record(95))
        await replica.reaches("tollbell_records_total", 2, result="judged")
        await edited(deployment, replica, rules(url, 80, 90, onCreate="ignore"))
        await produce(topic, native_record(97))
        await replica.reaches("tollbell_records_total", 3, result="judged")
        assert await replica.metric("tollbell_judgements_total", reason="ignored_on_create") == 4
        # A new period re-arms, and what was seen before is new no more. And what is first seen below is not ignored.
        await produce(topic, native_record(85, calculated_at=now, period=(now, "2099-01-01T00:00:00Z")))
        await produce(topic, native_record(85, entitlement="other"), native_record(99, entitlement="other"))

        assert sorted(await fired(receiver, 2)) == [80, 90]


async def test_a_rule_matches_features_by_id_or_key_in_its_namespace(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    for namespace, feature in (("default", "llm_tokens"), ("eu", "f-1"), ("us", "another")):
        text = rules(receiver.url(f"/{namespace}"), 80, namespace=namespace, features=[feature])
        assert (await deployment.apply(text)).status == 0
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(topic, *(native_record(85, namespace=namespace) for namespace in ("default", "eu", "us", "none")))

        requests = await receiver.wait_for(2, timeout=30)
        assert sorted(request.path for request in requests) == ["/default", "/eu"]
        await replica.reaches("tollbell_records_total", 2, result="no_rule")
        assert await replica.metric("tollbell_records_total", result="judged") == 2
