"""An event is followed to the record that it was made of: in the log, and in the API."""

import asyncio
import datetime as dt
import html
import json
from collections.abc import Callable

import pytest
from aiohttp import web

from consumer.deliver.webhook import KEPT_BYTES, Webhook
from tests.conftest import MakeDeployment, Produce
from tests.support.api import talking
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import RawReceiver, Received, Receiver, read_request
from tests.support.one_rule import scalar
from tests.support.service import Deployment
from tests.support.verification import SECRET
from tests.support.webhooks import LOOPBACK, make_request

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_an_event_names_its_record(deploy: MakeDeployment, produce: Produce, receiver: Receiver) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80, 100), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    envelope = json.loads(native_record(80)) | {"id": "reading-7", "source": "/meters/eu"}
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        await produce(
            topic, native_record(10), json.dumps(envelope).encode(), headers=[("traceparent", TRACE.encode())]
        )
        (received,) = await receiver.wait_for(1)

        record = {"topic": topic, "partition": 0, "offset": 1, "source": "/meters/eu", "traceparent": TRACE}
        (line,) = await replica.logged("event.made", event_id=received.headers["webhook-id"])
        assert {name: line[name] for name in record} == record
        assert line["source_id"] == "reading-7"
        _, event = await api("GET", f"/events/{received.headers['webhook-id']}")
        assert event["record"] == record | {"id": "reading-7"}
        (attempt,) = await replica.logged("delivery.attempted", event_id=event["id"])
        assert {name: attempt[name] for name in record} == record
        rule = {"rule_id": event["rule"]["id"], "rule_key": "quota", "rule": event["rule"]["name"]}
        said = {**rule, "channel_key": "hook", "channel": "Hook", "source_id": "reading-7"}
        assert {name: attempt[name] for name in said} == said
        assert {name: line[name] for name in rule} == rule
        assert received.headers.getall("traceparent") == [TRACE]


async def test_a_channels_own_traceparent_goes_before_the_records(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    rules = rules_yaml(receiver.url(), 80).replace("X-Webhook-Secret: hush-hush", "Traceparent: own")
    await deployment.apply(rules, HOOK_SECRET=SECRET)
    async with await deployment.replica() as replica:
        await replica.ready()
        topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
        await produce(topic, native_record(80), headers=[("traceparent", TRACE.encode())])

        (received,) = await receiver.wait_for(1)
        assert received.headers.getall("traceparent") == ["own"]


async def test_a_delivery_that_ends_without_an_attempt_is_a_warning(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,10h")
    rules = rules_yaml(receiver.url(), 80, 100)
    await deployment.apply(rules, HOOK_SECRET=SECRET)
    receiver.answer(503)
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
        await produce(topic, native_record(80))
        (attempt,) = await replica.logged("delivery.attempted", verdict="RetryIn")

        await api("POST", "/channels/key:hook/disable")
        (swept,) = await replica.logged("delivery.ended")
        await set_disabled_by_tollbell(deployment)
        await produce(topic, native_record(100))
        (_, made) = await replica.logged("delivery.ended", 2)

        why = {"level": "warning", "state": "FAILED", "reason": "channel_disabled"}
        assert {name: swept[name] for name in why} == {name: made[name] for name in why} == why
        rule, record = ("rule_id", "rule_key", "rule"), ("topic", "partition", "offset", "source", "source_id")
        same = ("event_id", *rule, "channel_id", "channel_key", "channel", *record)
        assert {name: swept[name] for name in same} == {name: attempt[name] for name in same}
        assert {name: made[name] for name in rule} == {name: attempt[name] for name in rule}
        assert (made["topic"], made["partition"], made["offset"], made["deliveries"]) == (topic, 0, 1, 1)


async def set_disabled_by_tollbell(deployment: Deployment) -> None:
    await scalar(
        deployment.environment["TOLLBELL_DATABASE_URL"], "UPDATE channel SET disabled_by = 'tollbell' RETURNING 1"
    )


async def test_a_dead_letter_is_found_by_what_its_producer_calls_it(deploy: MakeDeployment, produce: Produce) -> None:
    deployment = await deploy()
    envelope = json.loads(native_record(80)) | {"id": "reading-7", "source": "/meters/eu"}
    envelope["data"]["value"]["usage"] = "many"
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], json.dumps(envelope).encode())

        (line,) = await replica.logged("record.dead_lettered")

        assert (line["level"], line["source"], line["source_id"], line["offset"]) == (
            "warning", "/meters/eu", "reading-7", 0,
        )  # fmt: skip


async def test_an_attempt_that_a_killed_replica_made_has_its_line(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_DELIVERY_TIMEOUT="1s")
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    held = receiver.hold()
    async with await deployment.replica() as victim:
        await victim.ready()
        await produce(topic, native_record(80))
        await receiver.wait_until(lambda _: receiver.in_flight == 1)
        victim.process.kill()
        await victim.process.wait()
    held.set()
    async with await deployment.replica("--only", "deliver") as replica:
        lost, sent = await replica.logged("delivery.attempted", 2)

    assert (lost["outcome"], lost["attempt"], sent["outcome"], sent["attempt"]) == ("interrupted", 1, "status", 2)
    same = ("event_id", "rule_id", "rule_key", "rule", "channel_id", "channel_key", "channel", "to", "topic",
            "partition", "offset", "source", "source_id")  # fmt: skip
    assert {name: lost[name] for name in same} == {name: sent[name] for name in same}


async def test_a_failed_delivery_is_a_warning_without_a_secret(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,0s")
    rules = rules_yaml(receiver.url(), 80).replace("hush-hush", "Bearer hush-hush-token")
    await deployment.apply(rules, HOOK_SECRET=SECRET)

    async def repeats(request: Received) -> web.Response:
        return web.Response(
            status=422, text=f"no such plan; you said {request.headers['x-webhook-secret']}, hush-hush-token"
        )

    receiver.answer(repeats, repeats)
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(80))

        first, last = await replica.logged("delivery.attempted", 2)
        assert (first["level"], first.get("answer")) == ("info", None)
        assert (last["level"], last["answer"]) == ("warning", "no such plan; you said ***, ***")
        _, event = await api("GET", f"/events/{last['event_id']}")
        said = [one["response"]["body"] for one in event["deliveryStatus"][0]["attempts"]]
        assert said == [last["answer"], last["answer"]]


@pytest.mark.parametrize("spelt", [str, json.dumps, html.escape])
async def test_a_repeated_secret_is_masked_before_the_answer_is_cut(
    spelt: Callable[[str], str], receiver: Receiver
) -> None:
    async def repeats(request: Received) -> web.Response:
        return web.Response(status=400, text="." * (KEPT_BYTES - 20) + spelt(request.headers["x-key"]))

    receiver.answer(repeats)
    async with Webhook(dt.timedelta(seconds=5), allowed=LOOPBACK) as webhook:
        outcome = await webhook.send(make_request(receiver.url(), headers={"X-Key": 'Bearer sk_"live"_<&>0123456789'}))

    assert (outcome.status, "***" in outcome.body, "live" in outcome.body) == (400, True, False)


async def test_a_path_that_an_answer_repeats_is_masked() -> None:
    async def repeats(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        body = b"Cannot %s" % request.partition(b" HTTP/1.1")[0]
        writer.write(b"HTTP/1.1 404 X\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    async with (
        RawReceiver(repeats) as receiver,
        Webhook(dt.timedelta(seconds=5), allowed=LOOPBACK) as webhook,
    ):
        outcome = await webhook.send(make_request(f"{receiver.url()}/services/T00000001/aBcDeFgHiJkLmNoPqRsTuVwX"))

    assert (outcome.status, outcome.body) == (404, "Cannot POST /***")
