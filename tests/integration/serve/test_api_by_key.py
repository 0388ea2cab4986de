"""Rules and channels are found by `key:NAME` wherever an id is taken; optional bodies; a list of jobs; explain."""

import json
from typing import Any

from tests.support.api import Api, channel, rule
from tests.support.factories import invoice_record, native_record
from tests.support.fakes import Receiver

NAMES = {"key": "spaces and ümlauts"}
PATH = "key:spaces%20and%20%C3%BCmlauts"


async def made(api: Api, url: str = "https://example.com/hook") -> tuple[Any, Any]:
    _, hook = await api("POST", "/channels", channel(url, key="hook"))
    _, quota = await api("POST", "/rules", rule("key:hook", **NAMES))
    return hook, quota


async def test_every_call_that_takes_an_id_takes_a_key(shared_api: Api) -> None:
    api = shared_api
    hook, quota = await made(api)

    assert [one["id"] for one in quota["channels"]] == [hook["id"]]
    assert (await api("GET", f"/rules/{PATH}"))[1]["id"] == quota["id"]
    assert (await api("GET", "/channels/key:hook"))[1]["id"] == hook["id"]
    # (the call, its body, the status)
    for method, path, body, status in [
        ("PUT", f"/rules/{PATH}", rule("key:hook", hook["id"], name="Other", **NAMES), 200),
        ("PUT", "/channels/key:hook", channel(key="hook", name="Other"), 200),
        ("GET", f"/rules/{PATH}/state", None, 200),
        ("POST", f"/rules/{PATH}/explain", {"record": json.loads(native_record(1))}, 200),
        ("POST", f"/rules/{PATH}/test", None, 201),
        ("POST", "/channels/key:hook/test", None, 201),
        ("POST", "/channels/key:hook/disable", None, 200),
        ("POST", "/channels/key:hook/enable", None, 200),
        ("POST", f"/rules/{PATH}/disable", None, 200),
        ("POST", f"/rules/{PATH}/enable", None, 200),
        ("POST", "/channels/key:hook/secret/rotate", None, 200),
        ("POST", "/channels/key:hook/recover", {"since": "2026-01-01T00:00:00Z"}, 202),
        ("GET", "/channels/key:hook/deliveries", None, 200),
        ("DELETE", f"/rules/{PATH}", None, 204),
        ("DELETE", "/channels/key:hook", None, 204),
    ]:
        answered, said = await api(method, path, body)
        assert answered == status, (method, path, said)

    for gone in (f"/rules/{PATH}", "/channels/key:hook", "/rules/key:no-such", f"/rules/key:{'k' * 257}"):
        assert (await api("GET", gone))[0] == 404


async def test_lists_are_filtered_by_keys(shared_api: Api) -> None:
    api = shared_api
    hook, quota = await made(api)
    _, event = await api("POST", f"/rules/{quota['id']}/test")

    for path in (
        "/rules?channel=key:hook",
        "/rules?channel=key:no-such,key:hook",
        f"/events?rule={PATH}",
        "/events?channel=key:hook",
    ):
        assert (await api("GET", path))[1]["totalCount"] == 1, path
    for path in ("/rules?channel=key:none", "/events?rule=key:none", "/events?channel=key:none", "/jobs?channel=key:a"):
        assert (await api("GET", path))[1]["totalCount"] == 0, path
    assert (await api("POST", f"/events/{event['id']}/resend", {"channels": ["key:hook"]}))[0] == 202
    status, refused = await api("POST", f"/events/{event['id']}/resend", {"channels": ["key:none"]})
    assert (status, refused["detail"]) == (400, "channel key:none is none of the event's")
    status, refused = await api("POST", "/rules", rule("key:none", hook["id"]))
    assert (status, refused["detail"]) == (400, "channels[0]: there is no channel of this id or key")


async def test_a_key_of_another_namespace_or_deleted_finds_nothing(shared_api: Api, api: Api) -> None:
    await made(shared_api)

    assert (await api("GET", "/channels/key:hook"))[0] == 404
    await shared_api("DELETE", f"/rules/{PATH}")
    await shared_api("DELETE", "/channels/key:hook")
    _, again = await shared_api("POST", "/channels", channel(key="hook"))
    assert (await shared_api("GET", "/channels/key:hook"))[1]["id"] == again["id"]


async def test_what_need_not_be_sent_need_not_be(shared_api: Api) -> None:
    api = shared_api
    hook, quota = await made(api)
    _, event = await api("POST", f"/rules/{quota['id']}/test")
    rotate, resend = f"/channels/{hook['id']}/secret/rotate", f"/events/{event['id']}/resend"

    answers = [
        [await api("POST", path), await api("POST", path, {}), await api("POST", path, None, data=b"")]
        for path in (rotate, resend)
    ]
    recover = await api("POST", f"/channels/{hook['id']}/recover")
    text = await api("POST", rotate, None, data=b"overlap=1h", headers={"content-type": "text/plain"})

    assert [[status for status, _ in of_path] for of_path in answers] == [[200] * 3, [202] * 3]
    assert len({one["signingSecret"] for _, one in answers[0]}) == 3
    assert (recover[0], text[0]) == (415, 415)  # `since` has to be there; and what is sent has to be JSON


async def test_jobs_are_listed_the_newest_first(api: Api, receiver: Receiver) -> None:
    hook, quota = await made(api, receiver.url())
    _, event = await api("POST", f"/rules/{quota['id']}/test")
    await receiver.wait_for(1)
    _, recovery = await api("POST", f"/channels/{hook['id']}/recover", {"since": "2026-01-01T00:00:00Z"})
    await api("POST", f"/events/{event['id']}/resend")
    await receiver.wait_for(2)
    await api.replica.logged("job.worked", 2)

    _, listed = await api("GET", "/jobs?state=DONE")
    _, of_channel = await api("GET", "/jobs?channel=key:hook")
    _, page = await api("GET", "/jobs?pageSize=1&page=2")
    status, wrong = await api("GET", "/jobs?state=LATE")

    assert [(one["kind"], one["state"]) for one in listed["items"]] == [("resend", "DONE"), ("recover", "DONE")]
    assert [one["id"] for one in of_channel["items"]] == [one["id"] for one in page["items"]] == [recovery["id"]]
    assert (page["totalCount"], page["page"], page["pageSize"]) == (2, 2, 1)
    assert (status, wrong["detail"][:6]) == (400, "state:")


async def test_explain_says_why_a_record_is_rejected_or_not_covered(shared_api: Api) -> None:
    api = shared_api
    _, hook = await api("POST", "/channels", channel())
    _, quota = await api("POST", "/rules", rule(hook["id"], features=["gpu_hours"]))
    of_namespace = {"namespace": api.namespace}
    snapshot = json.loads(native_record(85, **of_namespace))
    # (the record, whether it is understood, why)
    cases = [
        (snapshot | {"type": "tollbell.usage.snapshots"}, False, "did you mean tollbell.usage.snapshot?"),
        (snapshot | {"type": "x"}, False, "Tollbell passes over records of the type 'x': it reads io.openmeter."),
        (snapshot | {"specversion": "0.3"}, False, "it would be a dead letter (not_cloudevent): specversion must be"),
        (snapshot, True, "the rule's features are gpu_hours, the record's is llm_tokens (f-1)"),
        (json.loads(native_record(85)), True, f"the record is not of the namespace '{api.namespace}'"),
        (json.loads(invoice_record("paid", **of_namespace)), True, "the record is not of the namespace"),
    ]

    for record, is_understood, why in cases:
        _, explained = await api("POST", f"/rules/{quota['id']}/explain", {"record": record})
        assert (explained["understood"], explained["about"]) == (is_understood, False)
        assert why in explained["why"]
