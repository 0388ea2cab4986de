"""The API as people and clients use it, on the running service: channels and rules."""

import pytest

from tests.conftest import Produce
from tests.support.api import Api, channel, rule
from tests.support.factories import native_record
from tests.support.fakes import Receiver


async def test_what_is_made_here_makes_a_webhook_arrive(api: Api, produce: Produce, receiver: Receiver) -> None:
    topic = await api.topic()
    status, made = await api("POST", "/channels", channel(receiver.url(), customHeaders={"X-Token": "hush"}))
    assert status == 201
    assert made["signingSecret"].startswith("whsec_")
    assert made["customHeaders"] == {"X-Token": "***"}
    status, quota = await api("POST", "/rules", rule(made["id"], features=["llm_tokens"]))
    assert status == 201
    assert quota["features"] == [{"id": "llm_tokens", "key": "llm_tokens"}]
    await api.replica.logged("catalog.loaded", rules=1)

    await produce(topic, native_record(85))

    (request,) = await receiver.wait_for(1)
    assert request.headers["x-token"] == "hush"
    status, again = await api("GET", f"/rules/{quota['id']}")
    assert again["features"] == [{"id": "f-1", "key": "llm_tokens"}]


async def test_a_masked_or_omitted_secret_stays_and_headers_clear(shared_api: Api) -> None:
    _, made = await shared_api("POST", "/channels", channel(customHeaders={"A": "1", "B": "2"}))
    _, read = await shared_api("GET", f"/channels/{made['id']}")
    assert "signingSecret" not in read

    status, changed = await shared_api("PUT", f"/channels/{made['id']}", read | {"name": "New"})
    assert (status, changed["name"], changed["customHeaders"]) == (200, "New", {"A": "***", "B": "***"})
    status, changed = await shared_api("PUT", f"/channels/{made['id']}", channel(customHeaders={"B": "***", "C": "3"}))
    assert changed["customHeaders"] == {"B": "***", "C": "***"}
    status, changed = await shared_api("PUT", f"/channels/{made['id']}", channel())
    assert changed["customHeaders"] == {"B": "***", "C": "***"}
    status, changed = await shared_api(
        "PUT", f"/channels/{made['id']}", channel(customHeaders=None, signingSecret=None)
    )
    assert status == 200
    assert "customHeaders" not in changed
    status, problem = await shared_api("PUT", f"/channels/{made['id']}", channel(customHeaders={"D": "***"}))
    assert (status, problem["extensions"]["invalidFields"][0]["field"]) == (400, "customHeaders.D")


async def test_lists_come_in_pages_in_the_order_that_is_asked_for(shared_api: Api) -> None:
    ids = [(await shared_api("POST", "/channels", channel(name=f"c{n}", disabled=n == 3)))[1]["id"] for n in range(4)]

    status, page = await shared_api("GET", "/channels?page=1&pageSize=2")
    assert (status, [one["id"] for one in page["items"]], page["totalCount"]) == (200, ids[:2], 3)
    _, page = await shared_api("GET", "/channels?page=2&pageSize=2&includeDisabled=true&order=DESC&orderBy=createdAt")
    assert ([one["id"] for one in page["items"]], page["page"], page["pageSize"]) == ([ids[1], ids[0]], 2, 2)
    _, page = await shared_api("GET", "/channels?page=9")
    assert (page["items"], page["totalCount"], page["page"]) == ([], 3, 9)


async def test_a_channel_in_use_stays_and_deleted_ones_are_listed(shared_api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    _, quota = await shared_api("POST", "/rules", rule(hook["id"]))

    assert (await shared_api("DELETE", f"/channels/{hook['id']}"))[0] == 400
    assert (await shared_api("DELETE", f"/rules/{quota['id']}"))[0] == 204
    assert (await shared_api("DELETE", f"/channels/{hook['id']}"))[0] == 204
    assert (await shared_api("GET", "/channels"))[1]["totalCount"] == 0
    assert (await shared_api("GET", "/channels?includeDeleted=true"))[1]["items"][0]["deletedAt"]
    assert (await shared_api("GET", f"/rules/{quota['id']}"))[1]["deletedAt"]
    assert (await shared_api("PUT", f"/rules/{quota['id']}", rule(hook["id"])))[0] == 409
    status, problem = await shared_api("POST", "/rules", rule(hook["id"]))
    assert (status, problem["extensions"]["invalidFields"][0]["field"]) == (400, "channels[0]")


BAD: list[tuple[str, str, object, int, str]] = [
    ("POST", "/channels", {}, 400, "type"),
    ("POST", "/channels", channel(name=""), 400, "name"),
    ("POST", "/channels", channel(url="http://127.0.0.1:22/"), 400, "url"),
    ("POST", "/channels", channel(color="red"), 400, "color"),
    ("POST", "/channels", channel(customHeaders={"Host": "x"}), 400, "customHeaders"),
    ("POST", "/rules", rule("nowhere"), 400, "channels[0]"),
    ("POST", "/rules", rule("x", type="invoice.paid"), 400, ""),
    ("POST", "/rules", rule("x", thresholds=[{"type": "usage_value", "value": -1}]), 400, "thresholds[0].value"),
    ("PUT", "/rules/nowhere", rule("x"), 404, ""),
    ("GET", "/channels/nowhere", None, 404, ""),
    ("GET", "/channels?page=0", None, 400, "page"),
    ("GET", "/channels?pageSize=1001", None, 400, "pageSize"),
    ("GET", "/channels?orderBy=url", None, 400, "orderBy"),
    ("GET", "/channels?color=red", None, 400, "color"),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad[0]} {bad[1]} {bad[4]}")
async def test_what_is_wrong_is_a_problem_that_names_the_field(
    shared_api: Api, bad: tuple[str, str, object, int, str]
) -> None:
    method, path, body, expected, field = bad

    status, problem = await shared_api(method, path, body)

    assert status == expected, problem
    assert problem["type"] == "about:blank"
    if field:
        assert problem["extensions"]["invalidFields"][0]["field"] == field


async def test_an_event_is_found_by_its_subject_and_sent_again(api: Api, produce: Produce, receiver: Receiver) -> None:
    topic = await api.topic()
    _, hook = await api("POST", "/channels", channel(receiver.url()))
    _, quota = await api("POST", "/rules", rule(hook["id"]))
    await api.replica.logged("catalog.loaded", rules=1)
    await produce(topic, native_record(85), native_record(90, entitlement="ent-2", subject={"key": "globex"}))
    await receiver.wait_for(2)
    await api.replica.logged("delivery.attempted", 2)

    _, everything = await api("GET", "/events?order=DESC")
    newest, oldest = everything["items"]
    assert (everything["totalCount"], newest["payload"]["data"]["subject"]) == (2, {"key": "globex"})
    assert newest["rule"]["id"] == quota["id"]
    [delivery] = oldest["deliveryStatus"]
    assert (delivery["state"], delivery["channel"]) == ("SUCCESS", {"id": hook["id"], "type": "WEBHOOK"})
    response = delivery["attempts"][0]["response"]
    assert response["statusCode"] == 200
    assert response["url"] == receiver.url(path="")  # without path and query
    for found in ("subject=globex", "subject=globex&subject=initech", "state=SUCCESS&subject=globex"):
        assert [one["id"] for one in (await api("GET", f"/events?{found}"))[1]["items"]] == [newest["id"]], found
    both = ["feature=f-1", "feature=llm_tokens", "customer=acme", "customer=c-1", "from=2026-01-01T00:00:00Z"]
    both += [f"rule={quota['id']}", f"channel={hook['id']}", "state=SUCCESS", f"type={quota['type']}"]
    for found in both:
        page = (await api("GET", f"/events?{found}"))[1]
        assert ([one["id"] for one in page["items"]], page["totalCount"]) == ([oldest["id"], newest["id"]], 2), found
    for nothing in ("state=FAILED", "state=PENDING", "subject=x", "channel=x", "to=2026-01-01T00:00:00Z", "page=2"):
        assert (await api("GET", f"/events?{nothing}"))[1]["items"] == [], nothing
    _, first = await api("GET", "/events?pageSize=1")
    _, second = await api("GET", f"/events?pageSize=1&cursor={first['nextCursor']}")
    assert [first["items"][0]["id"], second["items"][0]["id"]] == [oldest["id"], newest["id"]]

    status, _ = await api("POST", f"/events/{oldest['id']}/resend", {})

    assert status == 202
    requests = await receiver.wait_for(3, timeout=30)
    assert requests[2].headers["webhook-id"] == oldest["id"]
    assert requests[2].body == next(one.body for one in requests if one.headers["webhook-id"] == oldest["id"])
    assert (await api("POST", f"/events/{oldest['id']}/resend", {"channels": ["x"]}))[0] == 400
    assert (await api("GET", "/events/x"))[0] == 404


async def test_a_threshold_comes_back_as_it_was_written(shared_api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    exact = "80.0000000000000000000000001"
    thresholds = [
        {"type": "PERCENT", "value": exact},
        {"type": "NUMBER", "value": 5},
        {"type": "NUMBER", "value": "5.0"},
    ]

    _, made = await shared_api("POST", "/rules", rule(hook["id"], thresholds=thresholds))
    _, read = await shared_api("GET", f"/rules/{made['id']}")

    assert [(one["type"], str(one["value"])) for one in read["thresholds"]] == [
        ("PERCENT", exact),
        ("NUMBER", "5"),
        ("NUMBER", "5.0"),
    ]
