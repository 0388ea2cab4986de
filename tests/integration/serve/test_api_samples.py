"""Testing a rule or a channel: a real event with a sample payload, delivered, and nothing of it remembered."""

import json

from tests.conftest import Produce
from tests.support.api import Api, channel, rule
from tests.support.factories import native_record
from tests.support.fakes import Receiver

TEST = {"notification.rule.test": True}


async def test_a_rules_test_sends_an_event_and_fires_nothing(api: Api, produce: Produce, receiver: Receiver) -> None:
    """The first real event still fires."""
    topic = await api.topic()
    _, hook = await api("POST", "/channels", channel(receiver.url("/a")))
    _, other = await api("POST", "/channels", channel(receiver.url("/b")))
    _, quota = await api("POST", "/rules", rule(hook["id"], other["id"], features=["llm_tokens"]))
    await api.replica.logged("catalog.loaded", rules=1)

    status, made = await api("POST", f"/rules/{quota['id']}/test")

    assert (status, made["annotations"], made["rule"]) == (201, TEST, quota)
    assert [one["channel"]["id"] for one in made["deliveryStatus"]] == [hook["id"], other["id"]]
    for request in await receiver.wait_for(2):
        assert request.headers["webhook-id"] == made["id"]
        assert json.loads(request.body) == json.loads(json.dumps(made["payload"], default=float))
    assert (await api("POST", f"/rules/{quota['id']}/test"))[1]["id"] != made["id"]
    await receiver.wait_for(4)
    await produce(topic, native_record(85))
    real = json.loads((await receiver.wait_for(6))[5].body)
    assert real["data"]["entitlement"]["id"] == "ent-1"
    _, listed = await api("GET", f"/events?rule={quota['id']}")
    assert [one.get("annotations") for one in listed["items"]] == [TEST, TEST, None]


async def test_a_channel_is_tested_with_or_without_a_rule(api: Api, receiver: Receiver) -> None:
    _, hook = await api("POST", "/channels", channel(receiver.url("/a")))
    _, other = await api("POST", "/channels", channel(receiver.url("/b")))

    status, without = await api("POST", f"/channels/{hook['id']}/test")
    assert (status, without["annotations"], without["rule"]["name"]) == (201, TEST, "Sample rule")
    assert without["rule"]["channels"] == [{"id": hook["id"], "type": "WEBHOOK"}]
    _, read = await api("GET", f"/events/{without['id']}")
    assert (read["payload"], read["rule"]) == (without["payload"], without["rule"])
    _, created = await api(
        "POST", "/rules", {"type": "invoice.created", "name": "New", "channels": [hook["id"], other["id"]]}
    )
    status, made = await api("POST", f"/channels/{hook['id']}/test")
    assert (status, made["rule"], made["type"]) == (201, created, "invoice.created")
    assert [one["channel"]["id"] for one in made["deliveryStatus"]] == [hook["id"]]

    assert {one.path for one in await receiver.wait_for(2)} == {"/a"}
    assert (await api("POST", f"/events/{without['id']}/resend", {}))[0] == 202
    assert (await receiver.wait_for(3, timeout=30))[2].headers["webhook-id"] == without["id"]


async def test_what_is_disabled_deleted_or_unknown_is_not_tested(shared_api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    _, off = await shared_api("POST", "/channels", channel(disabled=True))
    _, quota = await shared_api("POST", "/rules", rule(hook["id"], disabled=True))

    assert (await shared_api("POST", f"/rules/{quota['id']}/test"))[0] == 400
    assert (await shared_api("POST", f"/channels/{off['id']}/test"))[0] == 400
    await shared_api("DELETE", f"/rules/{quota['id']}")
    await shared_api("DELETE", f"/channels/{hook['id']}")
    assert (await shared_api("POST", f"/rules/{quota['id']}/test"))[0] == 409
    assert (await shared_api("POST", f"/channels/{hook['id']}/test"))[0] == 409
    assert (await shared_api("POST", "/rules/nowhere/test"))[0] == 404
    assert (await shared_api("POST", "/channels/nowhere/test"))[0] == 404
    assert (await shared_api("GET", "/events"))[1]["totalCount"] == 0
