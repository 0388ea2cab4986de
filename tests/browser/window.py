"""A window of the browser that remembers what went wrong in it: policy violations, errors, faults that axe finds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, Request, Response

from tests.browser.story import WRITE
from tests.support import node

WATCH = """window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));"""
# All of axe's rules but its experimental ones: WCAG 2.2 A and AA, and best practices.
AXE = """() => axe.run(document, {resultTypes: ["violations"]}).then((found) =>
  found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join(", ")}`))"""


@dataclass
class Window:
    """A page that is open.

    Attributes:
        wrong: what its pages' consoles said, and what they asked for and did not get.
    """

    page: Page
    root: str
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("requestfailed", self._failed)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(f"{message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by the next page, which was opened meanwhile
            self.wrong.append(f"failed: {request.url} {request.failure}")

    async def open(self, path: str) -> Response:
        answer = await self.page.goto(f"{self.root}{path}")
        assert answer is not None
        return answer

    async def sign_in(self, token: str = WRITE) -> None:
        await self.open("/sign-in")
        await self.page.fill("#token", token)
        await self.page.click("button.main")
        await self.page.wait_for_url(f"{self.root}/")

    async def faults(self, *, with_axe: bool = True) -> list[str]:
        """What is wrong with the page that is shown, and went wrong on the way to it."""
        found = [f"policy: {one}" for one in await self.page.evaluate("window.violations || []")]
        wide = await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{wide} pixels too wide"] if wide > 0 else []
        if with_axe:
            await self.page.evaluate(await asyncio.to_thread(_axe))
            found += await self.page.evaluate(AXE)
        return [*self.wrong, *found]


def _axe() -> str:
    return (node.install() / "node_modules" / "axe-core" / "axe.min.js").read_text()


@contextlib.asynccontextmanager
async def window(
    browser: Browser, root: str, *, width: int = 1280, height: int = 800, **more: Any
) -> AsyncIterator[Window]:
    """Give a new window, with a profile of its own."""
    context = await browser.new_context(viewport={"width": width, "height": height}, **more)
    await context.add_init_script(WATCH)
    try:
        opened = Window(await context.new_page(), root)
        opened.watch()
        yield opened
    finally:
        await context.close()
