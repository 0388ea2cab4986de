"""The limits of what a call takes beside channels and rules: bodies, parameters, secrets; and what is deleted."""

import io
import json
from typing import Any

import pytest

from consumer.serve.bodies import MAX_BYTES
from schemas.requests import MAX_CHANNELS
from tests.support.api import Api, channel, rule
from tests.support.factories import native_record
from tests.support.fakes import Receiver

UNKNOWN = "01K9ZBC3K9YJ4M2V7Q8R5T6W1X"


def fields(problem: Any) -> list[str]:
    return [one["field"] for one in problem["extensions"]["invalidFields"]]


async def test_a_rotation_overlaps_from_nothing_to_seven_days(shared_api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    path = f"/channels/{hook['id']}/secret/rotate"

    for overlap in ("0s", "1ms", "7d", "168h", "604800s"):
        status, rotated = await shared_api("POST", path, {"overlap": overlap})
        assert (status, rotated["signingSecret"][:6]) == (200, "whsec_"), overlap
    for overlap in ("0.5ms", "604800.001s", "7.1d", "8d", "-1s", "1", "", None, 5, ["1d"]):
        status, problem = await shared_api("POST", path, {"overlap": overlap})
        assert (status, fields(problem)) == (400, ["overlap"]), overlap


async def test_a_webhook_is_signed_with_ten_old_secrets_at_most(api: Api, receiver: Receiver) -> None:
    _, hook = await api("POST", "/channels", channel(receiver.url()))
    for _ in range(12):
        await api("POST", f"/channels/{hook['id']}/secret/rotate", {"overlap": "7d"})

    await api("POST", f"/channels/{hook['id']}/test")

    (request,) = await receiver.wait_for(1)
    assert len(request.headers["webhook-signature"].split(" ")) == 11


async def test_the_longest_expiry_lets_webhooks_go(api: Api, receiver: Receiver) -> None:
    _, hook = await api("POST", "/channels", channel(receiver.url(), expireAfter="730d"))

    await api("POST", f"/channels/{hook['id']}/test")
    await receiver.wait_for(1)
    (line,) = await api.replica.logged("delivery.attempted", channel_id=hook["id"])

    assert line["verdict"] == "Delivered"
    assert [request.path for request in receiver.requests] == ["/hook"]


async def test_what_is_recovered_begins_at_any_time_that_there_is(shared_api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    path = f"/channels/{hook['id']}/recover"

    for since in (
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "2026-02-28t23:59:59+01:00",
    ):
        assert (await shared_api("POST", path, {"since": since}))[0] == 202, since
    for since in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00Z"):
        status, problem = await shared_api("POST", path, {"since": since})
        assert (status, fields(problem)) == (400, ["since"]), since
    for since in ("2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00", "now", "", 0, None):
        status, problem = await shared_api("POST", path, {"since": since})
        assert (status, fields(problem)) == (400, ["since"]), since
    assert fields((await shared_api("POST", path, {}))[1]) == ["since"]


# (parameter at fault, the query): of a list of deliveries, and of events
BAD_QUERIES = [
    ("page", "page=0"),
    ("page", "page=1000000001"),
    ("page", "page=1.0"),
    ("page", "page=-1"),
    ("page", "page=%D9%A3"),  # a digit, but no ASCII
    ("page", "page=1&page=2"),
    ("pageSize", "pageSize=0"),
    ("pageSize", "pageSize=1001"),
    ("pageSize", "pageSize="),
    ("state", "state=DONE"),
    ("state", "state=success"),
    ("state", "&".join(["state=SUCCESS"] * 101)),
    ("from", "from=yesterday"),
    ("from", "from=0001-01-01T00:00:00%2B14:00"),
    ("to", "to=2026-02-30T00:00:00Z"),
    ("cursor", "cursor=%00"),
    ("cursor", "cursor=a&cursor=b"),
    ("order", "order=asc"),
    ("colour", "colour=red"),
]
GOOD_QUERIES = [
    "page=1000000000&pageSize=1000",
    "&".join(["state=SUCCESS"] * 100),
    "from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z",
    "from=9999-12-31T23:59:59Z&to=0001-01-01T00:00:00Z",
    "cursor=" + "x" * 5000,
]


@pytest.mark.parametrize("is_of_a_channel", [True, False], ids=["deliveries", "events"])
async def test_the_parameters_of_a_page_have_limits(shared_api: Api, is_of_a_channel: bool) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    path = f"/channels/{hook['id']}/deliveries" if is_of_a_channel else "/events"

    for query in GOOD_QUERIES:
        assert (await shared_api("GET", f"{path}?{query}"))[0] == 200, query
    for field, query in BAD_QUERIES:
        status, problem = await shared_api("GET", f"{path}?{query}")
        assert (status, fields(problem)) == (400, [field]), query


async def test_an_event_is_resent_to_channels_of_its_own_alone(shared_api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    _, other = await shared_api("POST", "/channels", channel())
    _, event = await shared_api("POST", f"/channels/{hook['id']}/test")
    path = f"/events/{event['id']}/resend"

    for channels in (None, [], [hook["id"]], [hook["id"]] * MAX_CHANNELS):
        assert (await shared_api("POST", path, {"channels": channels}))[0] == 202, channels
    for channels in (
        [hook["id"]] * (MAX_CHANNELS + 1),
        [other["id"]],
        [hook["id"], UNKNOWN],
        ["x" * 260] * MAX_CHANNELS,
        "all",
    ):
        status, problem = await shared_api("POST", path, {"channels": channels})
        assert (status, fields(problem)) == (400, ["channels"]), channels
        assert len(problem["detail"]) < 1000
    for wrong in (5, None, "", "x" * 261, "x" * 100_000):
        status, problem = await shared_api("POST", path, {"channels": [hook["id"], wrong]})
        assert (status, fields(problem)) == (400, ["channels[1]"]), wrong


async def test_a_record_is_explained_up_to_the_size_of_a_body(shared_api: Api) -> None:
    wanted = rule("anywhere")

    async def previewed(size: int) -> tuple[int, Any]:
        body: dict[str, Any] = {"rule": wanted, "record": json.loads(native_record(90)) | {"more": ""}}
        body["record"]["more"] = "x" * (size - len(json.dumps(body)))
        raw, headers = io.BytesIO(json.dumps(body).encode()), {"Content-Type": "application/json"}
        return await shared_api("POST", "/rules/preview", data=raw, headers=headers)

    status, explained = await previewed(MAX_BYTES)
    assert (status, explained["understood"]) == (200, True)
    assert (await previewed(MAX_BYTES + 1))[0] == 413
    for record in ({}, {"data": None}, {"specversion": 1}, {"type": "tollbell.usage.snapshot", "specversion": "1.0"}):
        status, explained = await shared_api("POST", "/rules/preview", {"rule": wanted, "record": record})
        assert (status, explained["understood"], explained["events"]) == (200, False, []), record
    for record in (None, [], "{}", 5):
        status, problem = await shared_api("POST", "/rules/preview", {"rule": wanted, "record": record})
        assert (status, fields(problem)) == (400, ["record"]), record
    status, problem = await shared_api("POST", "/rules/preview", {"rule": wanted | {"emit": "x"}, "record": {}})
    assert (status, fields(problem)) == (400, ["emit"])
