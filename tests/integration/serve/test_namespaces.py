"""Tokens for all namespaces (`*`): by the API with `?namespace=`, in the console by a switch; and those for one."""

from urllib.parse import quote

import pytest

from tests.conftest import OF_ALL, Shared, reading
from tests.support.api import BASE, Api, channel, rule, talking
from tests.support.console import SAME_SITE, browsing


async def made_in_one(shared: Shared) -> tuple[str, str, str]:
    """Make a channel in a namespace of one's own; return the namespace, its token, and the channel's id."""
    namespace, token = next(shared.namespaces)
    async with talking(shared.replica, token=token, namespace=namespace) as api:
        _, hook = await api("POST", "/channels", channel(name="Only one's", key="hook"))
    return namespace, token, hook["id"]


async def test_a_token_for_all_works_in_the_namespace_it_asks_for(shared: Shared) -> None:
    one, _, hook = await made_in_one(shared)
    async with talking(shared.replica, token=OF_ALL) as api:
        status, found = await api("GET", f"/channels/key:hook?namespace={one}")
        elsewhere, _ = await api("GET", f"/channels/{hook}")
        created, quota = await api("POST", f"/rules?namespace={one}", rule(hook))
        _, listed = await api("GET", f"/rules?namespace={one}&pageSize=10")

    assert (status, found["id"], elsewhere, created) == (200, hook, 404, 201)
    assert [one["id"] for one in listed["items"]] == [quota["id"]]


async def test_location_leads_a_token_for_all_to_its_job(shared: Shared) -> None:
    one, _, hook = await made_in_one(shared)
    async with talking(shared.replica, token=OF_ALL) as api:
        _, event = await api("POST", f"/channels/{hook}/test?namespace={one}")
        found = []
        for path, body in (
            (f"/channels/{hook}/recover", {"since": "2026-11-01T00:00:00Z"}),
            (f"/events/{event['id']}/resend", {}),
        ):
            async with api.session.post(api.url(f"{path}?namespace={one}"), json=body) as asked:
                place = asked.headers["location"]
            found.append(await api("GET", place.removeprefix(BASE)))

    assert [(status, job["kind"]) for status, job in found] == [(200, "recover"), (200, "resend")]


async def test_a_token_for_all_writes_to_the_default_namespace(shared: Shared) -> None:
    async with talking(shared.replica, token=OF_ALL) as api:
        _, hook = await api("POST", "/channels", channel())
        status, _ = await api("GET", f"/channels/{hook['id']}?namespace=default")

    assert status == 200


async def test_a_token_for_one_may_name_its_own_and_no_other(shared: Shared) -> None:
    one, token, hook = await made_in_one(shared)
    async with talking(shared.replica, token=token) as api:
        own, _ = await api("GET", f"/channels/{hook}?namespace={one}")
        others = [await api("GET", f"/channels/{hook}?namespace={name}") for name in ("default", "*", "", "ns-0-not")]

    assert own == 200
    assert {status for status, _ in others} == {403}


async def test_a_read_token_for_all_changes_nothing_anywhere(shared: Shared) -> None:
    one, _, hook = await made_in_one(shared)
    async with talking(shared.replica, token=reading(OF_ALL)) as api:
        read, _ = await api("GET", f"/channels/{hook}?namespace={one}")
        changed, _ = await api("DELETE", f"/channels/{hook}?namespace={one}")

    assert (read, changed) == (200, 403)


@pytest.mark.parametrize("name", ["", "a" * 257, "a\nb", "\x00", "a\x7f"])
async def test_what_no_namespace_can_be_called_is_refused(shared: Shared, name: str) -> None:
    async with talking(shared.replica, token=OF_ALL) as api:
        status, problem = await api("GET", f"/channels?namespace={quote(name)}")

    assert (status, problem["extensions"]["invalidFields"][0]["field"]) == (400, "namespace")


async def test_a_namespace_named_twice_is_refused(shared_api: Api) -> None:
    status, _ = await shared_api("GET", "/channels?namespace=a&namespace=b")

    assert status == 400


async def test_the_console_stays_in_the_namespace_switched_to(shared: Shared) -> None:
    one, _, hook = await made_in_one(shared)
    async with browsing(shared.replica, token=OF_ALL) as browser:
        listed = await browser.get("/namespaces")
        before = await browser.get(f"/channels/{hook}")
        switched = await browser.post("/namespaces", {"namespace": one})
        after = await browser.get(f"/channels/{hook}")

    assert {"type": "hidden", "name": "namespace", "value": one} in listed.all("input", name="namespace")
    assert (before.status, switched.path, after.status) == (404, "/", 200)
    assert (one in switched.text, "Only one's" in after.text) == (True, True)


async def test_what_is_live_is_not_another_namespaces(shared: Shared) -> None:
    one, token, hook = await made_in_one(shared)
    async with talking(shared.replica, token=token) as api:
        await api("POST", f"/channels/{hook}/test")
    async with browsing(shared.replica, token=OF_ALL) as browser:
        before = await browser.get("/events", **{"Tollbell-Fragment": "live"})
        await browser.post("/namespaces", {"namespace": one})
        after = await browser.get("/events", **{"Tollbell-Fragment": "live"})

    assert ("Only one's" in before.text, "Only one's" in after.text) == (False, True)


async def test_a_form_filled_in_for_another_namespace_makes_nothing(shared: Shared) -> None:
    one, token, _ = await made_in_one(shared)
    async with browsing(shared.replica, token=OF_ALL) as browser:
        form = await browser.get("/channels/new")
        (hidden,) = [field["value"] for field in form.all("input", name="namespace")]
        await browser.post("/namespaces", {"namespace": one})  # in another tab
        sent = await browser.post("/channels/new", {"namespace": hidden, "name": "Astray", "url": "https://a.example"})
    async with talking(shared.replica, token=token) as api:
        _, found = await api("GET", "/channels")

    assert (hidden, sent.status, found["totalCount"]) == ("default", 409, 1)


async def test_a_token_for_one_namespace_switches_to_no_other(shared: Shared) -> None:
    one, _, hook = await made_in_one(shared)
    async with browsing(shared.replica, token=next(shared.namespaces)[1]) as browser:
        page = await browser.get("/namespaces")
        switched = await browser.post("/namespaces", {"namespace": one})
        after = await browser.get(f"/channels/{hook}")
        start = await browser.get("/")

    assert (page.status, switched.status, after.status) == (403, 403, 404)
    assert not start.all("a", href="/namespaces")


async def test_a_namespace_switch_needs_a_session_and_the_same_site(shared: Shared) -> None:
    async with browsing(shared.replica) as browser:
        asked = await browser.post("/namespaces", {"namespace": "a"}, headers=SAME_SITE)
        await browser.sign_in(OF_ALL)
        foreign = await browser.post("/namespaces", {"namespace": "a"}, headers={"Sec-Fetch-Site": "cross-site"})

    assert (asked.path, foreign.status) == ("/sign-in", 403)
