"""Every page in Chromium, light and dark, wide and narrow, with and without JavaScript: nothing of it is at fault."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser.story import READ, Story
from tests.browser.window import Window, window
from tests.support import node

PICTURES = os.environ.get("TOLLBELL_TEST_PICTURES", "")  # where to, of `make pictures`
ALSO = ("overview", "events", "event")  # are taken dark and narrow too
# A scheme, a width, and whether scripts run.
LOOKS = [("light", 1280, True), ("dark", 1280, True), ("light", 320, True), ("dark", 320, True), ("light", 1280, False)]


async def every_page(opened: Window, story: Story) -> dict[str, str]:
    """The path of each page, by name."""
    await opened.open(f"/events?channel={story.ids['staging']}&rule={story.ids['staged']}")
    failing = await opened.page.get_attribute("tbody th a", "href") or ""
    await opened.open("/jobs")
    job = await opened.page.get_attribute("tbody th a", "href") or ""
    return {
        "overview": "/",
        "events": "/events",
        "event": failing,
        "channels": "/channels",
        "channel": f"/channels/{story.ids['staging']}",
        "rules": "/rules",
        "rule": f"/rules/{story.ids['quota']}",
        "channel-new": "/channels/new",
        "channel-edit": f"/channels/{story.ids['billing']}/edit",
        "rule-new": "/rules/new",
        "rule-edit": f"/rules/{story.ids['quota']}/edit",
        "jobs": "/jobs",
        "job": job,
        "customers": "/customers?atLeast=50",
        "customer": "/customers/one?customer=acme",
        "customers-none": "/customers?feature=nothing",
        "explain": "/explain?example=1",
        "resend": f"/resend?channel={story.ids['staging']}",
        "yaml": f"/yaml?rule={story.ids['quota']}",
        "namespaces": "/namespaces",
        "replicas": "/replicas",
        "events-none": "/events?customer=no-such-customer",
    }


@pytest.mark.parametrize(("scheme", "width", "has_script"), LOOKS)
async def test_no_page_is_at_fault(chromium: Browser, story: Story, scheme: Any, width: int, has_script: bool) -> None:
    _needs_axe()
    look = f"{scheme}-{width}" if has_script else "without-script"
    settings = {"color_scheme": scheme, "java_script_enabled": has_script}
    axe = {"with_axe": has_script}  # it is a script that waits for timers, which a page without scripts has not
    async with window(chromium, story.root, width=width, height=700, **settings) as opened:
        await opened.open("/sign-in")
        faults = {"sign-in": await opened.faults(**axe)}
        await _picture(opened, "sign-in", look)
        await opened.sign_in()
        for name, path in (await every_page(opened, story)).items():
            answer = await opened.open(path)
            assert answer.status == 200, path
            if name == "explain":
                await opened.page.click("button:has-text('Explain')")
                await expect(opened.page.locator("#answer")).to_be_visible()
            await _picture(opened, name, look)
            for summary in await opened.page.locator("main summary").all():
                await summary.click()  # what is folded is a part of the page too
            faults[name] = await opened.faults(**axe)

    assert {name: found for name, found in faults.items() if found} == {}


def _needs_axe() -> None:
    try:
        node.install()
    except node.NoNode as exc:
        pytest.skip(f"needs axe-core: {exc}")


async def _picture(opened: Window, name: str, look: str) -> None:
    """Take a picture of the page, if that is asked for: of each in light and wide, of some in other looks too."""
    if PICTURES and (look == "light-1280" or (name in ALSO and look in {"dark-1280", "light-320"})):
        if name == "explain":  # its form alone explains nothing
            await opened.page.locator("#answer").evaluate("answer => answer.scrollIntoView()")
        suffix = "" if look == "light-1280" else f"-{look}"
        await opened.page.screenshot(path=Path(PICTURES) / f"console-{name}{suffix}.png")


async def test_a_read_token_has_no_buttons_that_change_something(chromium: Browser, story: Story) -> None:
    async with window(chromium, story.root) as opened:
        await opened.sign_in(READ)
        pages = await every_page(opened, story)
        for name in ("event", "channel", "rule"):
            await opened.open(pages[name])
            await expect(opened.page.locator("main form[method=post]")).to_have_count(0)
        await expect(opened.page.get_by_text("read only")).to_be_visible()
