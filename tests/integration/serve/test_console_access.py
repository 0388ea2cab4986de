"""Who may see and do what in the console: sessions, scopes, namespaces, other sites, guessing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from consumer.metrics import SIGN_INS
from consumer.serve.console.pages import PAGES
from consumer.serve.console.serving import HEADERS
from tests.conftest import Shared, reading
from tests.support.api import Api, channel, rule, talking
from tests.support.console import SAME_SITE, Browser, Seen, browsing
from tests.support.footprint import footprint
from tests.support.service import Deployment, Replica, Topics, environment

Serve = Callable[..., Coroutine[None, None, Replica]]

BY_READERS = ("explain_record",)  # a form that changes nothing
SPANNING = ("namespaces", "replicas")  # for tokens for all namespaces alone
OF_IDS = ("yaml", "yaml_file")  # in the query
MAKING = ("create_channel", "create_rule", "begin_resend_many")  # of nothing
OF_WRITERS = ("new_channel", "edit_channel", "new_rule", "edit_rule", "resend_many")
FORMS = {"recover_channel": {"span": "1d"}, "explain_record": {"record": "{}"}}


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace of a replica that serves many, with one thing of each kind."""

    replica: Replica
    token: str
    api: Api
    names: dict[str, str]

    def path(self, path: str) -> str:
        for name, made in self.names.items():
            path = path.replace(f"{{{name}}}", made)
        return path


@pytest.fixture
async def place(shared: Shared) -> AsyncIterator[Place]:
    namespace, token = next(shared.namespaces)
    async with talking(shared.replica, token=token, namespace=namespace) as api:
        _, hook = await api("POST", "/channels", channel(name="Only one's"))
        _, quota = await api("POST", "/rules", rule(hook["id"], name="Only one's"))
        _, event = await api("POST", f"/rules/{quota['id']}/test")
        _, job = await api("POST", f"/channels/{hook['id']}/recover", {"since": "2026-01-01T00:00:00Z"})
        names = {"channel": hook["id"], "rule": quota["id"], "event": event["id"], "job": job["id"]}
        yield Place(shared.replica, token, api, names)


@pytest.fixture
async def serving(migrated: str, tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a replica that serves alone: `await serving(TOLLBELL_…="…")`."""
    values = environment(database=migrated, bootstrap="127.0.0.1:1", topics=Topics("unused", "unused-too"))
    async with contextlib.AsyncExitStack() as stack:

        async def serve(**settings: str) -> Replica:
            started = await Deployment(values, tmp_path).replica("--only", "serve", **settings)
            replica = await stack.enter_async_context(started)
            await replica.logged("role.ready", role="serve")
            return replica

        yield serve


def test_every_page_that_changes_something_is_a_post() -> None:
    assert {page.method for page in PAGES} == {"GET", "POST"}
    assert len({(page.method, page.path) for page in PAGES}) == len(PAGES)


async def test_another_namespaces_ids_are_not_there_on_any_page(place: Place, shared: Shared) -> None:
    async with browsing(place.replica, token=next(shared.namespaces)[1]) as browser:
        for page in PAGES:
            path = place.path(page.path)
            if page.method == "GET":
                seen = await browser.get(path)
            else:
                seen = await browser.post(path, FORMS.get(page.name))
            status = (
                403 if page.name in SPANNING else 400 if page.name in MAKING else 404 if page.name in OF_IDS else 200
            )
            assert seen.status == (404 if "{" in page.path else status), (page, seen.text)
            assert "Only one's" not in seen.text, page


async def test_a_read_token_sees_every_page_and_changes_nothing(place: Place) -> None:
    before = await place.api("GET", f"/channels/{place.names['channel']}")
    async with browsing(place.replica, token=reading(place.token)) as browser:
        for page in PAGES:
            path = place.path(page.path)
            if page.method == "GET":
                seen = await browser.get(path)
                status = 403 if page.name in OF_WRITERS + SPANNING else 404 if page.name in OF_IDS else 200
                assert seen.status == status, (page, seen.text)
                actions = {one["action"] for one in seen.all("form", method="post")}
                assert actions <= {"/sign-out", "/explain"}, page
            else:
                seen = await browser.post(path, FORMS.get(page.name))
                assert seen.status == (200 if page.name in BY_READERS else 403), (page, seen.text)

    assert await place.api("GET", f"/channels/{place.names['channel']}") == before


@pytest.mark.parametrize(
    "headers",
    [
        {},  # nothing says where it comes from
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[evil"},
    ],
)
async def test_a_page_of_another_site_changes_nothing(place: Place, headers: dict[str, str]) -> None:
    async with browsing(place.replica, token=place.token) as browser:
        sent = {name: value.replace("{own}", browser.root) for name, value in headers.items()}
        for page in PAGES:
            if page.method == "POST":
                seen = await browser.post(place.path(page.path), FORMS.get(page.name), headers=sent)
                assert (seen.status, "nothing was done" in seen.text) == (403, True), page
        for path in ("/sign-in", "/sign-out"):
            assert (await browser.post(path, {"token": place.token}, headers=sent)).status == 403
        assert (await browser.get("/")).path == "/"


async def test_a_page_of_the_console_may_say_so_by_its_origin_alone(place: Place) -> None:
    async with browsing(place.replica, token=place.token) as browser:
        path = f"/channels/{place.names['channel']}/disable"

        seen = await browser.post(path, headers={"Origin": browser.root})

    assert (seen.status, seen.path.partition("?")[0]) == (200, f"/channels/{place.names['channel']}")


async def test_every_answer_carries_the_policy(place: Place) -> None:
    async with browsing(place.replica, token=place.token) as browser:
        asked = [
            *[("GET", place.path(page.path)) for page in PAGES if page.method == "GET"],
            *[("GET", path) for path in ("/sign-in", "/no-such-page", "/rules/no-such", "/static/no-such")],
            *[("POST", path) for path in ("/sign-out", "/rules/no-such/test", "/channels/no-such/test")],
        ]
        for method, path in asked:
            for hop in await _hops(browser, method, path):
                said = {name: hop.headers.get(name) for name in HEADERS}
                assert said == HEADERS, (method, path, hop.status)
        home = await browser.get("/sign-in")
        static = [one["href"] for one in home.all("link")] + [one["src"] for one in home.all("script")]
        for path in static:
            seen = await browser.get(path)
            assert (seen.status, seen.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
            assert seen.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
async def test_an_unknown_method_gets_405_with_the_allowed_ones(place: Place, method: str) -> None:
    async with browsing(place.replica, token=place.token) as browser:
        for path, status, allowed in (
            ("/rules", 405, "GET"),
            ("/sign-in", 405, "GET, POST"),
            (place.path("/rules/{rule}/delete"), 405, "POST"),
            ("/no-such-page", 404, None),
        ):
            seen = await browser.request(method, path, headers=SAME_SITE | {"X-HTTP-Method-Override": "POST"})

            assert (seen.status, seen.headers.get("Allow")) == (status, allowed), path
            assert {name: seen.headers.get(name) for name in HEADERS} == HEADERS, path
        assert (await place.api("GET", f"/rules/{place.names['rule']}"))[1].get("deletedAt") is None


async def _hops(browser: Browser, method: str, path: str) -> list[aiohttp.ClientResponse]:
    async with browser.session.request(method, f"{browser.root}{path}", headers=SAME_SITE) as answer:
        await answer.read()
        return [*answer.history, answer]


async def test_a_session_ends_with_its_token_in_every_replica(place: Place, shared: Shared) -> None:
    async with (
        browsing(place.replica, token=place.token) as browser,
        await shared.deployment.replica("--only", "serve") as another,
        await shared.deployment.replica("--only", "serve", TOLLBELL_API_TOKENS="ns-0:write:other") as later,
    ):
        paths = []
        for replica in (another, later):
            await replica.logged("role.ready", role="serve")
            port = (await replica.logged("http.listening"))[0]["port"]
            async with browser.session.get(f"http://127.0.0.1:{port}/rules") as answer:  # cookies know no ports
                paths.append(answer.url.path)

    assert paths == ["/rules", "/sign-in"]


async def test_the_cookie_is_for_this_host_and_scripts_never_see_it(place: Place) -> None:
    async with browsing(place.replica) as browser:
        said = []
        for headers in ({}, {"X-Forwarded-Proto": "https"}):
            async with browser.session.post(
                f"{browser.root}/sign-in",
                data={"token": place.token},
                headers=SAME_SITE | headers,
                allow_redirects=False,
            ) as answer:
                said.append(answer.headers["Set-Cookie"])
    parts = [set(one.partition("; ")[2].split("; ")) for one in said]

    assert said[0].startswith("tollbell=")
    assert parts[0] == {"HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Lax"}
    assert said[1].startswith("__Host-tollbell=")
    assert parts[1] == {"HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Lax", "Secure"}


@pytest.mark.parametrize(("proto", "name"), [("https, http", "__Host-tollbell"), ("http, https", "tollbell")])
async def test_the_first_of_several_proxies_gives_the_scheme(place: Place, proto: str, name: str) -> None:
    async with (
        browsing(place.replica) as browser,
        browser.session.post(
            f"{browser.root}/sign-in",
            data={"token": place.token},
            headers=SAME_SITE | {"X-Forwarded-Proto": proto},
            allow_redirects=False,
        ) as answer,
    ):
        assert answer.headers["Set-Cookie"].partition("=")[0] == name


async def test_over_https_the_cookie_of_plain_http_opens_nothing(place: Place) -> None:
    async with browsing(place.replica, token=place.token) as browser:
        seen = await browser.get("/rules", **{"X-Forwarded-Proto": "https"})

    assert seen.path.startswith("/sign-in")


async def test_the_api_takes_no_cookie(place: Place) -> None:
    async with browsing(place.replica, token=place.token) as browser:
        seen = await browser.get("/api/v1/notification/rules", **SAME_SITE)

    assert seen.status == 401


@pytest.mark.parametrize("cookie", ["x", "A" * 400, "é", "=" * 20, "AQ" * 60, "x" * 5000, ""])
async def test_a_cookie_that_we_have_not_sealed_opens_nothing(place: Place, cookie: str) -> None:
    async with browsing(place.replica) as browser:
        seen = await browser.get("/rules", Cookie=f"tollbell={cookie}")

    assert (seen.status, seen.path) == (200, "/sign-in?next=/rules")


async def test_after_signing_out_the_browser_has_no_session(place: Place) -> None:
    async with browsing(place.replica, token=place.token) as browser:
        left = await browser.post("/sign-out")
        after = await browser.get("/rules")

    assert (left.path, after.path.partition("?")[0]) == ("/sign-in", "/sign-in")


@pytest.mark.parametrize(
    "to",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "\\\\evil", "/\t/evil.example", "", "javascript:1"],
)
async def test_after_the_sign_in_one_stays_in_the_console(place: Place, to: str) -> None:
    async with browsing(place.replica) as browser:
        seen = await browser.sign_in(place.token, to)

    assert (seen.status, seen.path) == (200, "/")


async def test_guesses_are_few_at_a_time_late_and_counted(place: Place) -> None:
    def counted(result: str) -> Coroutine[None, None, float]:
        return place.replica.metric("tollbell_console_sign_ins_total", result=result)

    before = {result: await counted(result) for result in SIGN_INS}
    async with browsing(place.replica) as browser:
        guesses = await asyncio.gather(*(browser.sign_in(f"guess-{n}") for n in range(60)))
        answered = [one.status for one in guesses]
        after = await browser.sign_in(place.token)

    assert set(answered) == {403, 429}
    assert after.path == "/"
    for result, count in (("wrong", answered.count(403)), ("refused", answered.count(429)), ("accepted", 1)):
        assert await counted(result) == before[result] + count


async def test_guessing_a_token_locks_out_no_other_client(place: Place) -> None:
    away = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with browsing(place.replica) as guesser, aiohttp.ClientSession(connector=away) as session:
        person = Browser(session, guesser.root)

        async def guess_on() -> None:
            while True:
                await guesser.sign_in("guess")

        guessing = [asyncio.create_task(guess_on()) for _ in range(12)]
        try:
            while (await guesser.sign_in(place.token)).status != 429:
                pass
            seen = await person.sign_in(place.token)
        finally:
            for one in guessing:
                one.cancel()
            await asyncio.gather(*guessing, return_exceptions=True)

    assert seen.status == 200, seen.text


async def test_a_token_is_in_no_page_and_no_line_of_the_log(place: Place) -> None:
    # From an address of its own: guesses of the tests before, still being answered, would have it refused as one more.
    mine = aiohttp.TCPConnector(local_addr=("127.0.0.3", 0))
    async with browsing(place.replica) as guesser, aiohttp.ClientSession(connector=mine) as session:
        browser = Browser(session, guesser.root)
        wrong = await browser.sign_in("not-the-token-at-all")
        right = await browser.sign_in(place.token)
    await place.replica.logged("console.sign_in_wrong", remote="127.0.0.3")
    await place.replica.logged("console.signed_in", remote="127.0.0.3")

    for token in ("not-the-token-at-all", place.token):
        assert token not in wrong.html + right.html + str(place.replica.lines)


async def test_without_tokens_only_this_machine_is_let_in(serving: Serve) -> None:
    async with browsing(await serving()) as browser:
        for method, path in (("GET", "/"), ("GET", "/sign-in"), ("POST", "/channels/x/test")):
            own = await browser.request(method, path, headers=SAME_SITE)
            rebound = await browser.request(method, path, headers=SAME_SITE | {"Host": "rebound.example"})

            assert own.status == (200 if method == "GET" else 404)
            assert not own.all("form", action="/sign-out")
            assert (rebound.status, "only this machine" in rebound.text) == (403, True), path


async def test_under_a_path_every_link_begins_with_it(serving: Serve) -> None:
    replica = await serving(TOLLBELL_API_TOKENS="one:write:w-1", TOLLBELL_CONSOLE_PREFIX="/x/y")
    async with talking(replica, token="w-1") as api, browsing(replica) as browser:
        _, hook = await api("POST", "/channels", channel())
        for before in ("", "/x/y"):  # stripped by the proxy, or not
            async with browser.session.post(
                f"{browser.root}{before}/sign-in", data={"token": "w-1"}, headers=SAME_SITE, allow_redirects=False
            ) as answer:
                assert (answer.headers["Location"], answer.cookies["tollbell"]["path"]) == ("/x/y/", "/x/y")
                cookie = f"tollbell={answer.cookies['tollbell'].value}"
            for path in ("/", "/channels", f"/channels/{hook['id']}", "/events", "/explain", "/no-such"):
                seen = await browser.get(f"{before}{path}", Cookie=cookie)
                assert links(seen), path
                assert [one for one in links(seen) if not one.startswith("/x/y/")] == [], path


def links(seen: Seen) -> list[str]:
    """Where a page leads on this host."""
    return [one[name] for _, one in seen.elements for name in ("href", "src", "action") if one.get(name, "#")[0] == "/"]


async def test_switched_off_there_is_no_console(serving: Serve) -> None:
    replica = await serving(TOLLBELL_CONSOLE="off")

    statuses = [(await replica.http(path))[0] for path in ("/", "/sign-in", "/rules", "/livez")]

    assert statuses == [404, 404, 404, 200]


@pytest.mark.parametrize("host", ["[", "[::1", "a]b", "[v1.x]", "a:b:c"])
async def test_a_host_that_cannot_be_one_is_no_mistake_of_ours(shared: Shared, host: str) -> None:
    async with browsing(shared.replica) as browser:
        seen = await browser.get("/sign-in", Host=host)

    assert (seen.status, "Sign in" in seen.text) == (200, True), seen.text


async def test_a_page_of_a_health_check_that_is_not_there_is_not_there(shared: Shared) -> None:
    statuses = [(await shared.replica.http(path))[0] for path in ("/healthz", "/robots.txt", "/api/v1/x", "/api")]

    assert statuses == [404, 404, 401, 404]


async def test_what_is_not_there_takes_no_memory(shared: Shared) -> None:
    async with browsing(shared.replica) as browser:

        async def look(times: int) -> None:
            for _ in range(times):
                await asyncio.gather(*(browser.get("/no-such") for _ in range(100)))

        await look(20)  # what it takes once
        async with footprint(shared.replica) as found:
            await look(40)

    assert found.grown_mib < 8  # the frames of each answer would be 33
