"""The console's pages, on the running service, as a browser without JavaScript sees them."""

import asyncio

import pytest

from tests.conftest import Produce, Shared
from tests.support.api import Api, channel, rule
from tests.support.console import SAME_SITE, browsing, in_a_namespace
from tests.support.factories import native_record
from tests.support.fakes import Receiver

LOOK = {"Tollbell-Fragment": "live"}


async def test_sign_in_leads_back_to_the_page_asked_for(shared: Shared) -> None:
    _, token = next(shared.namespaces)
    async with browsing(shared.replica) as browser:
        asked = await browser.get("/rules?includeDeleted=true")
        signed_in = await browser.sign_in(token, asked.all("input", name="next")[0]["value"])

    assert (asked.path.partition("?")[0], asked.status) == ("/sign-in", 200)
    assert (signed_in.path, signed_in.status) == ("/rules?includeDeleted=true", 200)


async def test_an_event_is_found_opened_and_sent_again(api: Api, produce: Produce, receiver: Receiver) -> None:
    receiver.answer(400, path="/hook")
    _, hook = await api("POST", "/channels", channel(receiver.url(), name="Billing hook", retrySchedule=["0s"]))
    await api("POST", "/rules", rule(hook["id"], name="Token quota"))
    await api.replica.logged("catalog.loaded", rules=1)
    await produce(await api.topic(), native_record(85))
    await receiver.wait_for(1)
    await api.replica.logged("delivery.attempted")

    async with browsing(api.replica) as browser:
        listed = await browser.get("/events")
        (link,) = [one["href"] for one in listed.all("a") if one.get("href", "").startswith("/events/0")]
        event = await browser.get(link)
        after = await browser.post(f"{link}/resend", {"channel": hook["id"]})

    assert "Token quota" in listed.text
    assert "HTTP 400" in event.text
    assert "being sent again" in after.text
    await receiver.wait_for(2)


async def test_what_is_live_comes_alone_and_only_where_it_has_changed(shared: Shared) -> None:
    async with in_a_namespace(shared) as (api, browser):
        first = await browser.get("/events", **LOOK)
        again = await browser.get("/events", **LOOK, **{"If-None-Match": first.headers["ETag"]})
        _, hook = await api("POST", "/channels", channel(name="Hook"))
        await api("POST", f"/channels/{hook['id']}/test")
        changed = first
        async with asyncio.timeout(20):  # it is the same for a second
            while changed.status == 304 or changed is first:
                changed = await browser.get("/events", **LOOK, **{"If-None-Match": first.headers["ETag"]})

    assert (first.status, again.status, again.html, changed.status) == (200, 304, "", 200)
    assert not first.all("html")
    assert "Hook" in changed.text
    assert first.headers["ETag"] != changed.headers["ETag"]


async def test_only_a_live_fragment_is_shared_between_requests(shared: Shared) -> None:
    async with in_a_namespace(shared) as (api, browser):
        _, hook = await api("POST", "/channels", channel())
        path = f"/channels/{hook['id']}/rotate"
        asked = [await browser.post(path, headers=LOOK | SAME_SITE) for _ in range(2)]
        secrets = {one["value"] for seen in asked for one in seen.all("input", id="secret")}
        whole = [await browser.get("/rules", **headers) for headers in (LOOK, {"Tollbell-Fragment": "main"}, {})]

    assert len(secrets) == 2
    assert all(seen.all("html") for seen in whole)


@pytest.mark.parametrize("path", ["/", "/events", "/rules", "/channels", "/jobs"])
async def test_a_page_of_a_new_namespace_says_what_to_do_next(shared: Shared, path: str) -> None:
    _, token = next(shared.namespaces)
    async with browsing(shared.replica, token=token) as browser:
        seen = await browser.get(path)

    assert seen.status == 200, seen.text
    assert [one for one in seen.all("section") if "empty" in one.get("class", "")]


async def test_details_have_their_buttons(shared: Shared) -> None:
    async with in_a_namespace(shared) as (api, browser):
        _, hook = await api("POST", "/channels", channel(name="Hook"))
        _, quota = await api("POST", "/rules", rule(hook["id"]))

        for path in (f"/channels/{hook['id']}", f"/rules/{quota['id']}", f"/explain?rule={quota['id']}"):
            seen = await browser.get(path)
            assert seen.status == 200, seen.text
