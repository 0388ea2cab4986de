"""Explain: a record by every rule, an event's own record, and what each channel would get in its format."""

from tests.conftest import Shared
from tests.support.api import channel, rule, talking
from tests.support.console import browsing, in_a_namespace

HUSH = {"url": "https://hooks.slack.com/services/T/B/hush", "format": "slack", "customHeaders": {"X-Key": "hush"}}


async def test_an_event_links_to_its_record_and_its_webhooks(shared: Shared) -> None:
    async with in_a_namespace(shared) as (api, browser):
        _, chat = await api("POST", "/channels", channel(name="Chat", **HUSH))
        _, hook = await api("POST", "/channels", channel(name="Program", format="flat"))
        _, off = await api("POST", "/channels", channel(name="Switched off", disabled=True))
        _, quota = await api("POST", "/rules", rule(chat["id"], hook["id"], off["id"], name="Quota"))
        _, event = await api("POST", f"/rules/{quota['id']}/test")

        page = await browser.get(f"/events/{event['id']}")
        (link,) = [one["href"] for one in page.all("a") if "/explain?event=" in one.get("href", "")]
        form = await browser.get(link)
        answer = await browser.post("/explain", {"record": record_in(form.html), "rule": quota["id"]})

    assert form.all("option", value=quota["id"], selected="")
    assert "Reached for the first time in this usage period" in answer.text
    assert "What Chat would get, as slack" in answer.text
    assert "What Program would get, as flat" in answer.text
    assert "What Switched off would get" not in answer.text
    assert "hush" not in answer.html


async def test_another_namespaces_event_is_not_explained(shared: Shared) -> None:
    namespace, token = next(shared.namespaces)
    async with talking(shared.replica, token=token, namespace=namespace) as api:
        _, hook = await api("POST", "/channels", channel())
        _, event = await api("POST", f"/channels/{hook['id']}/test")
    async with browsing(shared.replica, token=next(shared.namespaces)[1]) as browser:
        seen = await browser.get(f"/explain?event={event['id']}")

    assert seen.status == 404


async def test_of_many_webhooks_some_are_shown_and_the_rest_counted(shared: Shared) -> None:
    levels = [{"type": "usage_value", "value": n + 1} for n in range(8)]
    async with in_a_namespace(shared) as (api, browser):
        hooks = [(await api("POST", "/channels", channel(name=f"hook {n}")))[1]["id"] for n in range(3)]
        _, event = await api("POST", f"/channels/{hooks[0]}/test")  # of no rule: 80 of 100 are used
        await api("POST", "/rules", rule(*hooks, thresholds=levels))
        form = await browser.get(f"/explain?event={event['id']}")
        answer = await browser.post("/explain", {"record": record_in(form.html)})

    assert answer.text.count("would get, as openmeter") == 20
    assert "4 more webhooks would be made" in answer.text


def record_in(page: str) -> str:
    text = page.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]
    return text.replace("&#34;", '"').replace("&#39;", "'").replace("&amp;", "&")
