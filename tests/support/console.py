"""The console of a running replica, as a browser without JavaScript uses it."""

import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

import aiohttp

from tests.conftest import Shared
from tests.support.api import Api, talking
from tests.support.service import Replica

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A page that came."""

    status: int
    headers: Mapping[str, str]
    path: str
    html: str

    @property
    def text(self) -> str:
        """What a person reads of it, but for what a field holds."""
        reader = _Reader()
        reader.feed(self.html)
        return re.sub(r"\s+", " ", "".join(reader.parts)).strip()

    @property
    def elements(self) -> list[tuple[str, Mapping[str, str]]]:
        """Its elements, each with its attributes, as a browser's parser reads them."""
        reader = _Reader()
        reader.feed(self.html)
        return reader.elements

    def all(self, name: str, /, **wanted: str) -> list[Mapping[str, str]]:
        """Return the attributes of the elements called *name* that have those of *wanted*."""
        return [found for tag, found in self.elements if tag == name and wanted.items() <= found.items()]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.elements: list[tuple[str, Mapping[str, str]]] = []
        self._is_field = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._is_field |= tag == "textarea"

    def handle_endtag(self, tag: str) -> None:
        self._is_field &= tag != "textarea"

    def handle_data(self, data: str) -> None:
        if not self._is_field:
            self.parts.append(data)


@dataclass(slots=True)
class Browser:
    """A browser: cookies, redirects, and where its requests come from."""

    session: aiohttp.ClientSession
    root: str

    async def get(self, path: str, **headers: str) -> Seen:
        return await self.request("GET", path, headers=headers)

    async def post(self, path: str, form: object = None, headers: Mapping[str, str] | None = None) -> Seen:
        return await self.request("POST", path, form=form or {}, headers=SAME_SITE if headers is None else headers)

    async def request(self, method: str, path: str, *, form: object = None, headers: Mapping[str, str]) -> Seen:
        url = f"{self.root}{path}"
        async with self.session.request(method, url, data=form, headers=headers) as answer:  # type: ignore[arg-type]
            text = await answer.text()
            return Seen(answer.status, answer.headers, answer.url.raw_path_qs, text)

    async def sign_in(self, token: str, to: str = "/") -> Seen:
        return await self.post("/sign-in", {"token": token, "next": to})


@contextlib.asynccontextmanager
async def browsing(replica: Replica, *, token: str = "", prefix: str = "") -> AsyncIterator[Browser]:
    """Give a browser, signed in where there is a *token*."""
    port = (await replica.logged("http.listening"))[0]["port"]
    jar = aiohttp.CookieJar(unsafe=True)  # of an address, not of a name
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        browser = Browser(session, f"http://127.0.0.1:{port}{prefix}")
        if token:
            seen = await browser.sign_in(token)
            assert seen.status == 200, seen.text
        yield browser


@contextlib.asynccontextmanager
async def in_a_namespace(shared: Shared) -> AsyncIterator[tuple[Api, Browser]]:
    """Give the API and a browser that is signed in, both in a namespace that no other test has."""
    namespace, token = next(shared.namespaces)
    async with (
        talking(shared.replica, token=token, namespace=namespace) as api,
        browsing(shared.replica, token=token) as browser,
    ):
        yield api, browser
