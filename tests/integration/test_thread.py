"""The whole path: a record on a topic becomes a signed webhook at a receiver."""

import json

from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record, openmeter_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.verification import SECRET, verify


async def test_a_usage_record_becomes_a_signed_webhook(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    applied = await deployment.apply(rules_yaml(receiver.url(), 80, 100), HOOK_SECRET=SECRET)
    assert applied.status == 0, applied.err
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(10), native_record(100))

        bodies = [verify(received) for received in await receiver.wait_for(2)]
        assert sorted(body["data"]["threshold"]["value"] for body in bodies) == [80, 100]
        assert {body["timestamp"] for body in bodies} == {"2026-11-22T10:15:30Z"}
        assert await replica.terminate() == 0


async def test_amounts_of_25_digits_arrive_unchanged(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 100), HOOK_SECRET=SECRET)
    usage, allowance = "1234567890123456789012345.678901", "1234567890123456789012345.678901"
    async with await deployment.replica() as replica:
        await replica.ready()

        # One less in the last digit is not 100 %: it must not fire, or the second could not either.
        almost = native_record("1234567890123456789012345.678900", allowance)
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], almost, native_record(usage, allowance))

        body = verify((await receiver.wait_for(1))[0])
        assert str(body["data"]["value"]["usage"]) == usage
        assert str(body["data"]["value"]["totalAvailableGrantAmount"]) == allowance
        assert f'"usage":{usage}'.encode() in receiver.requests[0].body


async def test_the_bytes_of_a_retry_are_those_of_the_first_attempt(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    receiver.answer(503, 200)
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,1s")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(80))

        first, second = await receiver.wait_for(2)
        assert verify(first) == verify(second)
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert int(second.headers["webhook-timestamp"]) >= int(first.headers["webhook-timestamp"])
        await replica.logged("delivery.attempted", verdict="Delivered", attempt=2)
        assert await replica.metric("tollbell_attempts_total", outcome="status") == 1
        assert await replica.metric("tollbell_attempts_total", outcome="success") == 1


async def test_openmeters_records_are_judged_in_both_modes(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80, 100), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    full = '{"balance":0,"hasAccess":true,"overage":0,"totalAvailableGrantAmount":0.8,"usage":0.7999999999999999}'
    binary = json.loads(openmeter_record(full))
    attributes = [
        (f"ce_{name}", str(binary[name]).encode())
        for name in ("specversion", "id", "source", "type", "subject", "time")
    ]
    async with await deployment.replica() as replica:
        await replica.ready()

        # OpenMeter sends ce_type and others beside a structured value.
        await produce(topic, openmeter_record(), headers=[("ce_type", b"x"), ("ce_time", b"2026-08-18T16:01:50Z")])
        await produce(topic, json.dumps(binary["data"]).encode(), headers=attributes)

        bodies = [verify(received) for received in await receiver.wait_for(2)]
        at = {body["data"]["threshold"]["value"]: body["data"] for body in bodies}
        assert set(at) == {80, 100}
        assert at[80]["entitlement"]["usagePeriod"]["intervalISO"] == "P1M"
        assert at[80]["customer"]["usageAttribution"] == {"subjectKeys": ["acme-prod"]}
        assert str(at[100]["value"]["usage"]) == "0.7999999999999999"


async def test_a_threshold_fires_once_however_often_it_is_shown(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    next_month = {"period": ("2026-11-15T00:00:00Z", "2026-12-15T00:00:00Z")}
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(topic, native_record(80), native_record(80), native_record(20), native_record(95))
        await produce(topic, native_record(85, **next_month), native_record(99))

        fired = [verify(received)["data"]["entitlement"] for received in await receiver.wait_for(2)]
        assert [one["currentUsagePeriod"]["from"][:10] for one in fired] == ["2026-11-01", "2026-11-15"]
        await replica.reaches("tollbell_judgements_total", 1, reason="stale_period")
        assert await replica.metric("tollbell_judgements_total", reason="already_fired") == 2
        assert await replica.metric("tollbell_events_total") == 2
        assert len(receiver.requests) == 2


async def test_a_channel_may_get_cloudevents(deploy: MakeDeployment, produce: Produce, receiver: Receiver) -> None:
    deployment = await deploy()
    rules = rules_yaml(receiver.url(), 80).replace("type: WEBHOOK", "type: WEBHOOK\n    format: cloudevents")
    applied = await deployment.apply(rules, HOOK_SECRET=SECRET)
    assert applied.status == 0, applied.err
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(80))

        (received,) = await receiver.wait_for(1)
        event = verify(received)
        assert received.headers.getall("content-type") == ["application/cloudevents+json"]
        assert (event["specversion"], event["id"]) == ("1.0", received.headers["webhook-id"])
        assert event["data"]["threshold"]["value"] == 80
