"""What people do with the console, in Chromium."""

import json
import re

from aiohttp import web
from playwright.async_api import Browser, expect

from tests.browser.story import Story, usage
from tests.browser.window import window
from tests.support.fakes import Received, Reply
from tests.support.targets import TARGETS

KINDS = {
    "entitlements.balance.threshold": "Stored quota",
    "entitlements.reset": "Resets",
    "invoice.created": "Made",
    "invoice.updated": "Changed",
}


async def test_an_event_appears_while_one_looks_and_is_sent_again(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root) as opened:
        page = opened.page
        await opened.sign_in()
        await page.click("nav >> text=Events")
        await expect(page.locator("[data-live-said]")).to_have_text("Live")

        await story.produce(
            story.topic, usage("hooli", "Hooli", 8_200, "seats"), usage("wayne", "Wayne Enterprises", 5_100)
        )

        row = page.locator("tr", has_text="Wayne Enterprises")
        await expect(row).to_contain_text("success", timeout=20_000)
        await row.locator("th a").click()
        await expect(page.locator(".timeline li", has_text="HTTP 200")).to_have_count(1)
        await page.click("button:has-text('Send again')")
        await expect(page.get_by_text("It is being sent again")).to_be_visible()
        await expect(page.locator(".timeline li", has_text="HTTP 200")).to_have_count(2, timeout=20_000)
        assert await opened.faults(with_axe=False) == []


async def test_who_has_paused_the_live_view_finds_it_paused_again(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root) as opened:
        page = opened.page
        await opened.sign_in()
        await opened.open("/events")
        await page.click("[data-pause]")
        await expect(page.locator("[data-live-said]")).to_have_text("Paused")

        await opened.open("/")

        await expect(page.locator("[data-pause]")).to_have_text("Resume")
        await page.keyboard.press("p")
        await expect(page.locator("[data-pause]")).to_have_text("Pause")


async def test_a_page_is_reached_by_keys_alone(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root) as opened:
        page = opened.page
        await opened.sign_in()
        for keys, path in (("ge", "/events"), ("gr", "/rules"), ("gc", "/channels"), ("gx", "/explain"), ("go", "/")):
            for key in keys:
                await page.keyboard.press(key)
            await page.wait_for_url(f"{story.root}{path}")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await opened.open("/rules")
        await page.keyboard.press("/")
        await expect(page.locator("#feature")).to_be_focused()
        await opened.open("/rules")
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()


async def test_themes_and_zones_are_remembered(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root, color_scheme="light", timezone_id="Asia/Tokyo") as opened:
        page = opened.page
        await opened.sign_in()
        await opened.open("/channels")
        utc = await page.locator("tbody time").first.text_content()
        await page.click("[data-theme-next]")
        await page.click("[data-theme-next]")
        await page.click("[data-zone]")

        await opened.open("/channels")

        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(247, 246, 243)"
        time = page.locator("tbody time").first
        assert await time.text_content() != utc
        await expect(time).to_have_attribute("title", f"{utc} UTC")
        await page.locator("tbody th a").first.click()
        await expect(page.locator("dd time").first).to_have_text(re.compile(r" UTC · .* local$"))


async def test_a_secret_is_shown_once_and_can_be_copied(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root) as opened:
        page = opened.page
        await opened.sign_in()
        await opened.open(f"/channels/{story.ids['billing']}")
        await page.click("summary:has-text('Rotate')")
        await page.click("button:has-text('Rotate')")
        secret = await page.locator("#secret").input_value()
        await page.click("[data-copy]")
        await expect(page.locator("[data-copy]")).to_have_text("Copied")

        await opened.open(f"/channels/{story.ids['billing']}")

        assert secret.startswith("whsec_")
        assert secret not in await page.content()
        assert await opened.faults(with_axe=False) == []


async def test_what_a_channel_missed_is_recovered_and_its_job_followed(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root) as opened:
        page = opened.page
        await opened.sign_in()
        await opened.open(f"/channels/{story.ids['staging']}")
        await page.click("summary:has-text('Recover')")
        async with story.deliveries_locked():
            await page.click("button:has-text('Recover')")
            await expect(page.locator("#live")).to_contain_text("waiting")
            await expect(page.locator("[data-live-said]")).to_have_text("Live")

        await expect(page.locator("#live")).to_contain_text("done", timeout=20_000)
        await expect(page.locator("[data-pause]")).to_be_hidden()
        assert re.search(r"/jobs/[0-9A-Z]{26}", page.url)


async def test_without_javascript_a_channel_is_disabled_and_enabled(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root, java_script_enabled=False) as opened:
        page = opened.page
        await opened.sign_in()
        await opened.open(f"/channels/{story.ids['crm']}")
        await page.click("button:has-text('Enable')")
        await expect(page.locator("h1 + .state")).to_have_text("enabled")

        await page.click("summary:has-text('Disable')")
        await page.click("button:has-text('Disable Old CRM')")

        await expect(page.locator("h1 + .state")).to_have_text("disabled")
        assert await page.locator("button[hidden]").count() > 0
        assert await page.locator("button[hidden]:visible").count() == 0, (
            "a button that does nothing without JavaScript"
        )


async def test_a_stranger_goes_from_nothing_to_a_webhook(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root) as opened:
        page = opened.page
        await opened.sign_in()
        await page.click("nav >> text=Channels")
        await page.click("text=New channel")
        await page.fill("#name", "Sales")
        await page.fill("#url", story.receiver.url("/sales"))
        await page.click("button:has-text('Preview')")
        await expect(page.locator("#preview")).to_be_visible()
        await page.click("button:has-text('Create channel')")
        await expect(page.locator("#secret")).to_have_value(re.compile(r"^whsec_"))
        for kind, name in KINDS.items():
            await opened.open(f"/rules/new?type={kind}")
            await page.fill("#name", name)
            await page.check("text=Sales")
            if kind == "entitlements.balance.threshold":
                await page.fill("#features", "storage")
            await page.click("button:has-text('Create rule')")
            await expect(page.get_by_text("Created.")).to_be_visible()
        await story.replica.logged("catalog.loaded", rules=5 + len(KINDS))

        await story.produce(story.topic, usage("tyrell", "Tyrell", 8_800, "storage"))

        (request, *_) = await story.receiver.wait_for(1, path="/sales")
        assert b"Tyrell" in request.body
        await opened.open("/events?customer=tyrell")
        await expect(page.locator("tbody tr", has_text="Stored quota")).to_contain_text("Sales")
        assert await opened.faults(with_axe=False) == []


async def test_a_customer_is_notified_in_slack_by_the_console_alone(chromium: Browser, story: Story) -> None:
    """The walk of docs/console.md, with each of its labels."""
    path = "/services/T0000/B0000/of-the-walk"
    story.receiver.otherwise(_as_slack, path=path)
    rules = sum(line["event"] == "catalog.loaded" for line in story.replica.lines)
    async with window(chromium, story.root) as opened:
        page = opened.page
        await opened.sign_in()
        await page.click("nav >> text=Channels")
        await page.click("text=New channel")
        await page.fill("#name", "Sales in Slack")
        await page.fill("#url", story.receiver.url(path))
        await page.select_option("#format", "slack")
        await page.click("button:has-text('Preview what it sends')")
        await expect(page.locator("pre").first).to_contain_text("Sample customer has reached 80 %")
        await page.click("button:has-text('Create channel')")
        await expect(page.locator("main .url").first).to_have_text(re.compile(r"/\*\*\*$"))
        await page.click("button:has-text('Send a test')")
        await story.receiver.wait_for(1, path=path)
        await page.click("nav >> text=Rules")
        await page.click("text=New rule")
        await page.fill("#name", "Over 80 %")
        await page.fill("[aria-label='Value of threshold 1']", "80")
        await page.fill("#features", "exports")
        await page.check("text=Sales in Slack")
        await page.click("button:has-text('Create rule')")
        await expect(page.get_by_text("Created.")).to_be_visible()
        await story.replica.logged("catalog.loaded", rules + 1)

        await story.produce(story.topic, usage("cyberdyne", "Cyberdyne", 8_300, "exports"))

        (_, sent) = await story.receiver.wait_for(2, path=path)
        assert "Cyberdyne has reached 80 % of exports" in json.loads(sent.body)["text"]
        await page.click("nav >> text=Customers")
        await page.select_option("#atLeast", "80")
        await page.fill("#feature", "exports")
        await page.click("button:has-text('Filter')")
        row = page.locator("tbody tr")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text("≥ 80 %")
        await page.click("tbody th a:has-text('Cyberdyne')")
        await expect(page.locator("tbody tr").first).to_contain_text("usage ≥ 80 %")
        await page.click("tbody th a:has-text('usage ≥ 80 %')")
        await expect(page.locator(".timeline li", has_text="HTTP 200")).to_have_count(1)
        assert await opened.faults(with_axe=False) == []


def _as_slack(request: Received) -> Reply:
    found = TARGETS["slack"](request.body)
    return web.Response(status=found.status, text=found.answer)


async def test_a_field_that_is_wrong_says_so(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root) as opened:
        page = opened.page
        await opened.sign_in()
        await opened.open("/rules/new")
        await page.fill("[aria-label='Value of threshold 1']", "-1")
        await page.press("#name", "Enter")

        await expect(page.locator("#name[aria-invalid]")).to_have_count(1)
        await expect(page.locator("#thresholds-fault")).to_contain_text("value")
        opened.wrong.clear()  # the answer's 400 is an error in the browser's console
        assert await opened.faults() == []
