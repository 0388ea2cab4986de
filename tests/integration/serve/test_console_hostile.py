"""Whatever a record, a receiver or a person wrote is text on every page; whatever a form holds is answered."""

import io
import json
import random
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from aiohttp import web

from consumer.serve.console.pages import PAGES
from tests.conftest import Produce, Shared
from tests.support.api import Api, channel, rule
from tests.support.console import Seen, browsing, in_a_namespace
from tests.support.factories import native_record
from tests.support.fakes import Receiver

MARKUP = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{31*41*59}}</textarea></title><!--"
BIDI = "\u202eevil\u2066\u200b\ufeff"
HOSTILE = f"{MARKUP}{BIDI}"
OWN = {
    *("html", "head", "meta", "title", "link", "script", "body", "a", "header", "nav", "div", "span", "button", "form"),
    *(
        "main",
        "dialog",
        "h1",
        "h2",
        "h3",
        "dl",
        "dt",
        "dd",
        "kbd",
        "p",
        "section",
        "table",
        "caption",
        "thead",
        "tbody",
    ),
    *("tr", "th", "td", "time", "small", "code", "ul", "ol", "li", "details", "summary", "pre", "input", "select"),
    *("option", "label", "fieldset", "legend", "textarea", "svg", "path", "rect", "progress", "strong", "br"),
}


def check(seen: Seen) -> None:
    """See that a page has nothing but elements of ours, no script but the file's, and no character that hides text."""
    assert {tag for tag, _ in seen.elements} <= OWN
    assert {one["src"].partition(".")[0] for one in seen.all("script")} == {"/static/console"}
    assert [one for _, one in seen.elements if any(name.startswith("on") or name == "style" for name in one)] == []
    assert [one for _, one in seen.elements if one.get("href", "/")[0] not in "/#"] == []
    attributes = "".join(one[name] for _, one in seen.elements for name in one if name != "value")
    assert not (set(BIDI) - set("evil")) & set(seen.text + attributes)
    assert "74989" not in seen.text  # no template is made of what was written


async def test_what_a_record_and_a_receiver_wrote_is_text(api: Api, produce: Produce, receiver: Receiver) -> None:
    receiver.otherwise(web.Response(status=400, text=HOSTILE, content_type="text/html"))
    hostile = channel(
        receiver.url("/hook"), name=HOSTILE, key="k\"'><b>", retrySchedule=["0s"], metadata={MARKUP: HOSTILE}
    )
    _, hook = await api("POST", "/channels", hostile)
    _, quota = await api("POST", "/rules", rule(hook["id"], name=HOSTILE, key=MARKUP, metadata={HOSTILE: MARKUP}))
    await api.replica.logged("catalog.loaded", rules=1)
    party = {"id": MARKUP[:64], "key": MARKUP[:64], "name": HOSTILE}
    record = json.loads(native_record(85, customer=party, subject={"key": MARKUP[:64]}))
    record |= {"source": MARKUP[:100], "id": "x\"'><b>"}
    await produce(await api.topic(), json.dumps(record).encode())
    await api.replica.logged("delivery.attempted")
    _, page = await api("GET", "/events")

    async with browsing(api.replica) as browser:
        pages = {
            path: await browser.get(path)
            for path in (
                *("/", "/events", "/channels", "/rules", "/jobs", "/explain", f"/events/{page['items'][0]['id']}"),
                *(f"/channels/{hook['id']}", f"/rules/{quota['id']}", "/rules/new", "/customers"),
                f"/customers/one?{urlencode({'customer': party['id']})}",
                *(f"/channels/{hook['id']}/edit", f"/rules/{quota['id']}/edit"),
            )
        }
        pages["explained"] = await browser.post("/explain", {"record": json.dumps(record)})
        pages["rejected"] = await browser.post("/explain", {"record": json.dumps(record | {"type": HOSTILE})})
        pages["no record"] = await browser.post("/explain", {"record": MARKUP})

    for seen in pages.values():
        assert seen.status == 200, seen.text
        check(seen)
    assert MARKUP in pages["/events"].text
    event = pages[f"/events/{page['items'][0]['id']}"]
    assert event.text.count(f"{MARKUP}\\u202eevil\\u2066\\u200b\\ufeff") >= 2  # as the answer, and in the payload


@pytest.mark.parametrize(
    "path",
    [
        *("/channels/{}", "/rules/{}", "/events/{}", "/jobs/{}", "/{}", "/events?cursor={}", "/rules?feature={}"),
        *("/customers?customer={}", "/customers?cursor=80:{}", "/customers/one?customer={}"),
    ],
)
async def test_what_a_url_holds_is_text(shared: Shared, path: str) -> None:
    _, token = next(shared.namespaces)
    async with browsing(shared.replica, token=token) as browser:
        for text in ("%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "%E2%80%AEx", "x" * 5000, "key:%22%3E", "%00", "%FF"):
            seen = await browser.get(path.format(text))

            assert seen.status in {200, 400, 404}, (text, seen.text)
            check(seen)


@pytest.mark.parametrize(
    "query",
    [
        *("type=nonsense", "state=nonsense", "from=yesterday", "to=2026-13-01T00:00:00Z", "state=FAILED&state=SUCCESS"),
        *("page=0", "page=-1", "page=x", "page=99999999999999999999", "includeDeleted=maybe", "nonsense=1", "cursor="),
    ],
)
async def test_a_query_that_is_wrong_is_answered_by_what_is_wrong(shared: Shared, query: str) -> None:
    _, token = next(shared.namespaces)
    async with browsing(shared.replica, token=token) as browser:
        for path in ("/events", "/rules", "/channels", "/jobs"):
            seen = await browser.get(f"{path}?{query}")

            assert seen.status in {200, 400}, (path, seen.text)
            check(seen)


FIELDS = (
    "channel record rule span since until overlap token next x act updatedAt name "
    "url type kind value template rateLimit customHeaders secrets features statuses emit"
)
TEXTS = (HOSTILE, "", "0", "24h", "-1h", "\0", "{}", '{"a":1,"a":2}', "key:x", "2026-01-01", "é\r\n")


def forms(seed: int) -> Iterator[dict[str, str] | list[tuple[str, str]]]:
    """Forms that no page of ours sends."""
    chance = random.Random(seed)
    names = FIELDS.split()
    texts = [*TEXTS, "[" * 3000, "9" * 400]
    for _ in range(10):
        yield [(chance.choice(names), chance.choice(texts)) for _ in range(chance.randrange(6))]
    yield [("channel", "x")] * 2000
    yield {"record": json.dumps({"type": "tollbell.usage.snapshot", "data": {"x": "y" * 70_000}})}


async def test_no_form_is_a_mistake_of_ours(shared: Shared) -> None:
    async with in_a_namespace(shared) as (api, browser):
        _, hook = await api("POST", "/channels", channel())
        _, quota = await api("POST", "/rules", rule(hook["id"]))
        _, event = await api("POST", f"/rules/{quota['id']}/test")
        ids = {"{channel}": hook["id"], "{rule}": quota["id"], "{event}": event["id"]}
        for page in PAGES:
            path = page.path
            for name, made in ids.items():
                path = path.replace(name, made)
            if page.method == "POST":
                for form in forms(7):
                    seen = await browser.post(path, form)
                    assert seen.status < 500, (path, form, seen.text)
                    check(seen)

    assert [line for line in shared.replica.lines if line["event"] in {"console.unforeseen", "api.unforeseen"}] == []


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("text/plain", b"span=1d", 415),
        ("application/x-www-form-urlencoded", b"span=%FF%FE", 400),
        ("application/x-www-form-urlencoded", "x" * 1_100_000, 413),
    ],
)
async def test_what_is_no_form_is_refused(shared: Shared, content_type: str, body: bytes | str, status: int) -> None:
    async with in_a_namespace(shared) as (api, browser):
        _, hook = await api("POST", "/channels", channel())
        headers = {"Content-Type": content_type, "Sec-Fetch-Site": "same-origin"}
        for path, expected in ((f"/channels/{hook['id']}/recover", status), ("/sign-in", 400)):
            async with browser.session.post(
                f"{browser.root}{path}",
                data=io.BytesIO(body.encode() if isinstance(body, str) else body),
                headers=headers,
            ) as answer:
                assert answer.status == expected, path
