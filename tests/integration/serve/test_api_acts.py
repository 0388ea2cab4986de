"""What a person does with a channel, on the running service: rotate, enable, recover, look."""

import json
from typing import Any

import standardwebhooks
import svix.webhooks

from consumer import clock
from schemas import times
from tests.conftest import Produce
from tests.support.api import Api, channel, rule
from tests.support.factories import native_record
from tests.support.fakes import Received, Receiver


def opens(request: Received, secret: str) -> bool:
    """Whether both libraries verify *request* with *secret*; they never differ."""
    headers, verified = dict(request.headers), []
    for library, error in (
        (standardwebhooks.Webhook, standardwebhooks.WebhookVerificationError),
        (svix.webhooks.Webhook, svix.webhooks.WebhookVerificationError),
    ):
        try:
            library(secret).verify(request.body, headers)
            verified.append(True)
        except error:
            verified.append(False)
    assert len(set(verified)) == 1
    return verified[0]


async def made(api: Api, url: str, **more: object) -> Any:
    _, hook = await api("POST", "/channels", channel(url, **more))
    await api("POST", "/rules", rule(hook["id"]))
    await api.replica.logged("catalog.loaded", rules=1)
    return hook


async def test_a_rotation_never_leaves_a_receiver_unable_to_verify(
    api: Api, produce: Produce, receiver: Receiver
) -> None:
    hook = await made(api, receiver.url())
    topic, secrets = await api.topic(), [hook["signingSecret"]]
    for turn in range(4):
        await produce(topic, *(native_record(90, entitlement=f"e-{turn}-{n}") for n in range(25)))
        status, rotated = await api("POST", f"/channels/{hook['id']}/secret/rotate", {})
        assert status == 200
        secrets.append(rotated["signingSecret"])
        # The receiver that has not heard of the new secret yet, and the one that knows it alone.
        await produce(topic, native_record(90, entitlement=f"e-{turn}"))
    requests = await receiver.wait_for(104, timeout=60)

    assert len(set(secrets)) == 5
    assert all(opens(request, secrets[0]) for request in requests)
    assert opens(requests[-1], secrets[-2])
    status, _ = await api(
        "POST", f"/channels/{hook['id']}/secret/rotate", {"overlap": "0s", "signingSecret": secrets[1]}
    )
    assert status == 200
    await produce(topic, native_record(90, entitlement="last"))
    last = (await receiver.wait_for(105))[-1]
    assert [opens(last, secret) for secret in secrets] == [False, True, False, False, False]
    assert "signingSecret" not in (await api("GET", f"/channels/{hook['id']}"))[1]
    for wrong in ({"overlap": "8d"}, {"overlap": "soon"}, {"signingSecret": "short"}, {"signingSecret": 1}, {"x": 1}):
        status, problem = await api("POST", f"/channels/{hook['id']}/secret/rotate", wrong)
        assert (status, problem["extensions"]["invalidFields"][0]["field"]) == (400, next(iter(wrong)))


async def test_a_gone_channel_is_enabled_and_gets_what_it_missed(
    api: Api, produce: Produce, receiver: Receiver
) -> None:
    hook = await made(api, receiver.url())
    before = times.text(clock.now())
    receiver.answer(410)
    topic = await api.topic()
    await produce(topic, native_record(90, entitlement="e-1"))
    await api.replica.logged("channel.disabled")
    await produce(topic, native_record(90, entitlement="e-2"))
    await api.replica.reaches("tollbell_records_total", 2, result="judged")

    _, disabled = await api("GET", f"/channels/{hook['id']}")
    assert (disabled["disabled"], disabled["disabledBy"]) == (True, "tollbell")
    assert "410" in disabled["disabledReason"]
    assert (await api("POST", f"/channels/{hook['id']}/recover", {"since": before}))[0] == 400
    _, failed = await api("GET", f"/channels/{hook['id']}/deliveries?state=FAILED")
    assert [one["delivery"]["reason"] for one in failed["items"]] == ["channel_disabled"] * 2
    status, enabled = await api("POST", f"/channels/{hook['id']}/enable")
    assert (status, enabled["disabled"], "disabledReason" in enabled) == (200, False, False)

    status, job = await api("POST", f"/channels/{hook['id']}/recover", {"since": before})

    assert (status, job["kind"], job["total"]) == (202, "recover", 2)
    again = (await receiver.wait_for(3, timeout=30))[1:]
    assert [json.loads(one.body)["data"]["entitlement"]["id"] for one in again] == ["e-1", "e-2"]
    await api.replica.logged("delivery.attempted", 3)
    _, done = await api("GET", f"/jobs/{job['id']}")
    assert (done["state"], done["done"]) == ("DONE", 2)
    _, page = await api("GET", f"/channels/{hook['id']}/deliveries?order=DESC&pageSize=1")
    assert (page["totalCount"], page["items"][0]["delivery"]["state"]) == (2, "SUCCESS")
    assert page["nextCursor"] == page["items"][0]["eventId"]
    for path in ("enable", "recover", "secret/rotate"):
        assert (await api("POST", f"/channels/x/{path}", {"since": before} if path == "recover" else {}))[0] == 404
    for wrong in ({"since": "yesterday"}, {"since": before, "until": "tomorrow"}):
        assert (await api("POST", f"/channels/{hook['id']}/recover", wrong))[0] == 400
    _, none = await api("POST", f"/channels/{hook['id']}/recover", {"since": before, "until": before})
    assert none["total"] == 0
    event = page["items"][0]["eventId"]
    status, _ = await api("PUT", f"/channels/{hook['id']}", channel(receiver.url(), disabled=True))
    assert status == 200
    status, problem = await api("POST", f"/events/{event}/resend", {})
    assert (status, "none of its channels" in problem["detail"]) == (409, True)
