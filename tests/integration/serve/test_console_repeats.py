"""A form that is sent twice (a double click, a reload, an answer that was lost) makes one thing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import Shared
from tests.faults.proxy import Proxy, Trap
from tests.integration.serve.test_bulk_resends_asked import Failed, failed
from tests.integration.serve.test_console_forms import Place, held, place
from tests.support.api import Api, channel, rule, talking
from tests.support.console import Browser, browsing
from tests.support.service import Deployment, Topics, environment

__all__ = ["failed", "place"]  # the fixtures
QUOTA = {"name": "Once", "kind": "usage_percentage", "value": "80"}
SELECTED = {"emit": "each", "rearm": "period", "onCreate": "evaluate", "features": "llm_tokens"}
HOOK = {"name": "Once", "url": "https://example.com/once", "format": "openmeter"}


async def form(api: Api, browser: Browser, what: str) -> tuple[str, dict[str, str], str]:
    """Return where a form is sent, what it holds, and the API's list of what it makes."""
    if what == "channel":
        return "/channels/new", held(await browser.get("/channels/new")) | HOOK, "/channels"
    _, hook = await api("POST", "/channels", channel())
    if what == "rule":
        return "/rules/new", held(await browser.get("/rules/new")) | QUOTA | {"channel": hook["id"]}, "/rules"
    if what == "recovery":
        seen = await browser.get(f"/channels/{hook['id']}")
        return f"/channels/{hook['id']}/recover", makes(held(seen)) | {"span": "1d"}, "/jobs"
    _, quota = await api("POST", "/rules", rule(hook["id"]))
    _, event = await api("POST", f"/rules/{quota['id']}/test")
    seen = await browser.get(f"/events/{event['id']}")
    return f"/events/{event['id']}/resend", makes(held(seen)), "/jobs"


def makes(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name == "makes"}


@pytest.mark.parametrize("what", ["channel", "rule", "recovery", "resend"])
async def test_a_form_sent_twice_makes_one_thing(place: Place, what: str) -> None:
    api, browser = place
    path, fields, made = await form(api, browser, what)
    _, before = await api("GET", made)

    clicked = await asyncio.gather(*(browser.post(path, fields) for _ in range(4)))
    reloaded = await browser.post(path, fields)

    _, after = await api("GET", made)
    assert after["totalCount"] - before["totalCount"] == 1
    assert [seen.status for seen in (*clicked, reloaded)] == [200] * 5
    assert {seen.path.partition("?")[0] for seen in (*clicked, reloaded)} <= {path, reloaded.path.partition("?")[0]}


async def test_a_form_for_many_sent_twice_sends_them_once(failed: Failed) -> None:
    async with browsing(failed.shared.replica, token=failed.token) as browser:
        fields = held(await browser.get("/resend?state=FAILED"))

        clicked = await asyncio.gather(*(browser.post("/resend", fields) for _ in range(4)))
        await failed.api("POST", f"/channels/{failed.ids['billing']}/test")
        await failed.end()
        reloaded = await browser.post("/resend", fields)  # there are others now

    _, page = await failed.api("GET", "/jobs")
    assert page["totalCount"] == 1
    assert {seen.path for seen in (*clicked, reloaded)} == {f"/jobs/{page['items'][0]['id']}"}


async def test_of_a_channel_made_once_a_person_learns_its_secret(place: Place) -> None:
    api, browser = place
    path, fields, _ = await form(api, browser, "channel")

    first, again = await browser.post(path, fields), await browser.post(path, fields)

    _, page = await api("GET", "/channels")
    assert first.all("input", id="secret")
    assert again.path == f"/channels/{page['items'][0]['id']}?said=made_channel"
    assert "if you have not seen it, rotate it" in again.text


async def test_a_new_form_makes_another_one(place: Place) -> None:
    api, browser = place
    for _ in range(2):
        path, fields, _ = await form(api, browser, "rule")
        await browser.post(path, fields)

    assert (await api("GET", "/rules"))[1]["totalCount"] == 2


async def test_what_is_refused_may_be_sent_again(place: Place) -> None:
    api, browser = place
    path, fields, _ = await form(api, browser, "channel")

    refused = await browser.post(path, fields | {"url": "no URL"})
    made = await browser.post(path, fields)

    assert (refused.status, made.status, made.path) == (400, 200, "/channels/new")
    assert (await api("GET", "/channels"))[1]["totalCount"] == 1


async def test_an_id_of_ones_choice_is_refused(place: Place, shared: Shared) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel())
    async with browsing(shared.replica, token=next(shared.namespaces)[1]) as other:
        of_another = held(await other.get("/channels/new"))["makes"]

    for chosen in (hook["id"], of_another, "é", "A" * 5000, of_another[:-4]):
        seen = await browser.post("/channels/new", HOOK | {"makes": chosen})

        assert (seen.status, "load its page again" in seen.text) == (400, True), chosen
    _, page = await api("GET", "/channels")
    assert [one["name"] for one in page["items"]] == [hook["name"]]


@pytest.mark.parametrize("of", ["channels", "rules"])
async def test_an_edit_sent_twice_is_saved_and_no_conflict(place: Place, of: str) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel())
    _, quota = await api("POST", "/rules", rule(hook["id"], features=["llm_tokens"]))
    path = f"/{of}/{(hook if of == 'channels' else quota)['id']}"
    seen = await browser.get(f"{path}/edit")
    fields = held(seen) | {"name": "Mine"}
    fields |= (
        {"format": "openmeter"} if of == "channels" else QUOTA | SELECTED | {"channel": hook["id"], "name": "Mine"}
    )

    clicked = await asyncio.gather(*(browser.post(f"{path}/edit", fields) for _ in range(3)))
    other = await browser.post(f"{path}/edit", fields | {"name": "Another"})

    assert {(seen.status, seen.path) for seen in clicked} == {(200, f"{path}?said=saved")}
    assert (other.status, "It was changed meanwhile" in other.text) == (409, True)
    assert (await api("GET", path))[1]["name"] == "Mine"


class Commits:
    """Reads a connection to Postgres: when the answer comes to a COMMIT of what is called Once."""

    def __init__(self) -> None:
        self._is_ours = self._is_committing = False

    def sent(self, chunk: bytes) -> list[str]:
        self._is_ours = b"Once" in chunk or (self._is_ours and b"BEGIN;" not in chunk)
        self._is_committing = self._is_ours and b"COMMIT;" in chunk
        return []

    def answered(self, _: bytes) -> list[str]:
        return ["committed"] if self._is_committing else []


@contextlib.asynccontextmanager
async def behind_a_wire(database: str, directory: Path) -> AsyncIterator[tuple[Proxy, Api, Browser]]:
    """Give a replica that reaches Postgres by a wire that can be cut."""
    parts = urlsplit(database)
    assert parts.port
    async with Proxy(parts.port, Commits) as wire:
        url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{wire.port}").geturl()
        values = environment(database=url, bootstrap="127.0.0.1:1", topics=Topics("unused", "unused-too"))
        async with await Deployment(values, directory).replica("--only", "serve") as replica:
            await replica.logged("role.ready", role="serve")
            async with talking(replica) as api, browsing(replica) as browser:
                yield wire, api, browser


@pytest.mark.parametrize("what", ["channel", "rule"])
async def test_a_lost_answer_is_said_and_the_form_may_be_sent_again(migrated: str, tmp_path: Path, what: str) -> None:
    async with behind_a_wire(migrated, tmp_path) as (wire, api, browser):
        path, fields, made = await form(api, browser, what)
        lost = wire.set(Trap("committed"))
        sending = asyncio.create_task(browser.post(path, fields))
        await lost.came.wait()
        wire.cut()
        seen = await sending
        wire.mend()

        again = await browser.post(path, fields)

        assert (seen.status, "Perhaps this was done all the same" in seen.text) == (503, True), seen.text
        assert (again.status, "has made this, once" in again.text) == (200, True), again.text
        _, page = await api("GET", made)
        assert [one["name"] for one in page["items"]].count("Once") == 1
