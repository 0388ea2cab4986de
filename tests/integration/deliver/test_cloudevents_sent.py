"""What a channel of CloudEvents sends through the whole service, to a receiver that reads it by the HTTP binding."""

import json
import re
from typing import Any
from urllib.parse import unquote

import standardwebhooks

from tests.conftest import MakeDeployment, Produce
from tests.support.api import channel, rule, talking
from tests.support.factories import native_record
from tests.support.fakes import Received, Receiver
from tests.support.verification import SECRET

ENTITLEMENT = 'ent "ü" 100%'


def read(request: Received) -> dict[str, Any]:
    """The CloudEvent of *request*, by the HTTP protocol binding 3.1 and 3.2."""
    if request.headers["content-type"].startswith("application/cloudevents+json"):
        return dict(json.loads(request.body))
    raw = {name.lower(): value for name, value in request.headers.items() if name.lower().startswith("ce-")}
    assert "ce-datacontenttype" not in raw
    assert all(re.fullmatch(r"[!#$&-~]+|(?:[!#$&-~]|%[0-9A-F]{2})+", value) for value in raw.values())
    attributes = {name.removeprefix("ce-"): unquote(value, errors="strict") for name, value in raw.items()}
    return {**attributes, "datacontenttype": request.headers["content-type"], "data": json.loads(request.body)}


async def test_both_content_modes_repeat_the_event_at_each_attempt(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,100ms,1s")
    receiver.answer(500, path="/binary")
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        made = []
        for mode in ("structured", "binary"):
            hook = channel(receiver.url(f"/{mode}"), format="cloudevents", contentMode=mode, signingSecret=SECRET)
            status, one = await api("POST", "/channels", hook)
            assert (status, one["contentMode"]) == (201, mode)
            made.append(one["id"])
        _, preview = await api("POST", "/channels/preview", hook | {"customHeaders": {"ce-tenant": "acme"}})
        await api("POST", "/rules", rule(*made))
        await replica.logged("catalog.loaded", rules=1)
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90, entitlement=ENTITLEMENT))
        await replica.logged("delivery.attempted", 2, verdict="Delivered")

    (structured,), (first, again) = receiver.at("/structured"), receiver.at("/binary")
    assert read(structured) == read(first) == read(again)
    assert read(first)["subject"] == ENTITLEMENT
    assert first.body == again.body
    assert again.headers["ce-id"] == again.headers["webhook-id"]
    for request in (structured, first, again):
        standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))
    shown = preview["items"][0]["headers"]
    assert {name for name in first.headers if name.startswith("ce-")} | {"ce-tenant"} == {
        name for name in shown if name.startswith("ce-")
    }


async def test_a_binary_round_has_each_attribute_once(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """Its channel is of another mode meanwhile, and sets such headers by itself."""
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,100ms")
    release = receiver.hold(reply=500)
    own = {"ce-id": "of-its-own", "CE-Type": "of-its-own", "ce-tenant": "acme"}
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        hook = channel(receiver.url(), format="cloudevents", contentMode="binary")
        _, made = await api("POST", "/channels", hook)
        await api("POST", "/rules", rule(made["id"]))
        await replica.logged("catalog.loaded", rules=1)
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))
        await receiver.wait_for(1)
        edit = hook | {"contentMode": "structured", "customHeaders": own}
        status, _ = await api("PUT", f"/channels/{made['id']}", edit)
        release.set()
        await replica.logged("delivery.attempted", verdict="Delivered")
        _, tested = await api("POST", f"/channels/{made['id']}/test")
        await replica.logged("delivery.attempted", event_id=tested["id"])

    first, again, test = receiver.requests
    assert status == 200
    assert [again.headers.getall(name) for name in ("ce-id", "ce-type")] == [
        [first.headers["ce-id"]],
        [first.headers["ce-type"]],
    ]
    assert again.headers["ce-tenant"] == "acme"
    assert [test.headers.getall(name) for name in ("ce-id", "ce-type")] == [["of-its-own"]] * 2
