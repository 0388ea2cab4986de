"""An edit by a form keeps what its fields cannot say, and loses no change of another; what it can't read is refused."""

import asyncio
import html
import re
from typing import Any

import pytest

from tests.integration.serve.test_console_forms import FULL, Place, held, place
from tests.support.api import channel, rule
from tests.support.console import Seen

__all__ = ["place"]  # the fixture
METADATA = {"a:b": "c", "lines": "1\n2", " spaced": " x ", "zone": "a\u2028b", "plain": "x: y"}


def area(seen: Seen, name: str) -> str:
    """What a form's field of several lines holds."""
    found = re.search(rf'<textarea id="{name}"[^>]*>\n(.*?)</textarea>', seen.html, re.DOTALL)
    assert found
    return html.unescape(found[1])


def again(form: Seen, stored: dict[str, Any], **changed: str) -> dict[str, str]:
    """Return what a browser sends of a channel's form, with fields *changed*."""
    areas = {name: area(form, name) for name in ("customHeaders", "secrets", "metadata", "template")}
    return held(form) | areas | {"format": stored["format"]} | changed


async def test_metadata_that_lines_cannot_say_stays_as_it_was(place: Place) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel(metadata=METADATA))
    _, quota = await api("POST", "/rules", rule(hook["id"], metadata=METADATA))
    form = await browser.get(f"/channels/{hook['id']}/edit")
    of_rule = await browser.get(f"/rules/{quota['id']}/edit")

    await browser.post(f"/channels/{hook['id']}/edit", again(form, hook, name="Renamed"))
    fields = held(of_rule) | {"name": "Renamed", "kind": "usage_percentage", "value": "80", "channel": hook["id"]}
    await browser.post(f"/rules/{quota['id']}/edit", fields | {"metadata": area(of_rule, "metadata")})

    for path in (f"/channels/{hook['id']}", f"/rules/{quota['id']}"):
        _, after = await api("GET", path)
        assert (after["name"], after["metadata"]) == ("Renamed", METADATA), path


async def test_a_secret_that_is_taken_out_is_gone(place: Place) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel(secrets={"token": "hush-hush"}, customHeaders={"X-Token": "hush"}))
    path = f"/channels/{hook['id']}"
    form = await browser.get(f"{path}/edit")
    kept = await browser.post(f"{path}/edit", again(form, hook))
    _, before = await api("GET", path)
    form = await browser.get(f"{path}/edit")

    saved = await browser.post(f"{path}/edit", again(form, hook, secrets="", customHeaders=""))

    _, after = await api("GET", path)
    assert kept.path == saved.path == f"{path}?said=saved"
    assert (before["secrets"], before["customHeaders"]) == ({"token": "***"}, {"X-Token": "***"})
    assert "secrets" not in after
    assert "customHeaders" not in after


@pytest.mark.parametrize(("act", "of"), [("preview", "channels"), ("rows", "rules")])
async def test_who_looks_at_a_preview_saves_over_no_change_of_another(place: Place, act: str, of: str) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel())
    _, quota = await api("POST", "/rules", rule(hook["id"]))
    made, body = (hook, channel(name="B")) if of == "channels" else (quota, rule(hook["id"], name="B"))
    path = f"/{of}/{made['id']}"
    fields = held(await browser.get(f"{path}/edit")) | {"name": "Mine", "format": "openmeter", "value": "80"}
    await api("PUT", path, body)

    looked = await browser.post(f"{path}/edit", fields | {"act": act})
    saved = await browser.post(f"{path}/edit", fields | {"updatedAt": held(looked)["updatedAt"]})

    assert (looked.status, saved.status) == (200, 409)
    assert (await api("GET", path))[1]["name"] == "B"


@pytest.mark.parametrize("of", ["channels", "rules"])
async def test_one_of_many_tabs_that_save_at_once_wins(place: Place, of: str) -> None:
    """The others are asked to look again."""
    api, browser = place
    _, hook = await api("POST", "/channels", channel())
    _, quota = await api("POST", "/rules", rule(hook["id"]))
    path = f"/{of}/{(hook if of == 'channels' else quota)['id']}"
    typed = {"format": "openmeter", "kind": "usage_percentage", "value": "80", "channel": hook["id"]}
    fields = held(await browser.get(f"{path}/edit")) | typed
    names = [f"Tab {n}" for n in range(8)]

    tabs = await asyncio.gather(*(browser.post(f"{path}/edit", fields | {"name": name}) for name in names))
    _, after = await api("GET", path)
    (saved,) = [name for name, tab in zip(names, tabs, strict=True) if tab.status == 200]
    other = next(tab for tab in tabs if tab.status == 409)
    again = await browser.post(f"{path}/edit", fields | {"name": "Mine", "updatedAt": held(other)["updatedAt"]})

    assert [tab.status for tab in tabs].count(409) == 7
    assert "It was changed meanwhile" in other.text
    assert after["name"] == saved
    assert again.status == 200, again.text


async def test_saving_a_form_does_not_enable_a_rule_disabled_meanwhile(place: Place) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel())
    _, quota = await api("POST", "/rules", rule(hook["id"]))
    path = f"/rules/{quota['id']}"
    typed = {"kind": "usage_percentage", "value": "80", "channel": hook["id"]}
    fields = held(await browser.get(f"{path}/edit")) | typed

    await asyncio.gather(
        browser.post(f"{path}/disable"),
        *(browser.post(f"{path}/edit", fields | {"name": f"Tab {n}"}) for n in range(8)),
    )

    assert (await api("GET", path))[1]["disabled"] is True


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("concurrency", "0" * 5000 + "1"),
        ("rateLimit", "0." + "0" * 5000 + "1"),
        ("permanentStatuses", "0" * 5000 + "404"),
        ("template", '{"text": "\\ud800"}'),
        ("template", '{"text": NaN}'),
        ("template", '{"text": 1, "text": 2}'),
        ("template", '{"text": "x",}'),
        ("template", "[" * 5000),
    ],
)
async def test_what_the_api_cannot_take_is_refused_and_stays_typed(place: Place, field: str, typed: str) -> None:
    api, browser = place
    form = FULL | {"format": "template", "template": '{"text": "x"}'} | {field: typed}

    seen = await browser.post("/channels/new", form)

    assert (seen.status, len(seen.all("div", role="alert"))) == (400, 1), seen.text
    assert (area(seen, "template") if field == "template" else held(seen)[field]) == typed
    assert (await api("GET", "/channels"))[1]["totalCount"] == 0


@pytest.mark.parametrize("field", ["customHeaders", "secrets", "metadata"])
@pytest.mark.parametrize("typed", ["x: 1\ny: 2\nx: 3", '{"x": "1", "x": "2"}'])
@pytest.mark.parametrize("act", ["save", "preview"])
async def test_a_name_that_stands_twice_is_refused_beside_its_field(
    place: Place, field: str, typed: str, act: str
) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel())
    _, quota = await api("POST", "/rules", rule(hook["id"]))
    form = FULL | {field: typed, "act": act}
    paths = ["/channels/new", f"/channels/{hook['id']}/edit"]
    if field == "metadata" and act == "save":
        form |= {"type": quota["type"], "kind": "usage_percentage", "value": "80"}
        paths += ["/rules/new", f"/rules/{quota['id']}/edit"]

    for path in paths:
        made = quota if "rules" in path else hook
        seen = await browser.post(path, form | {"updatedAt": made["updatedAt"]})

        assert (seen.status, bool(seen.all("p", id=f"{field}-fault"))) == (400, True), (path, seen.text)
        assert area(seen, field) == typed
    assert [(await api("GET", kind))[1]["totalCount"] for kind in ("/channels", "/rules")] == [1, 1]


async def test_a_taken_key_is_refused_and_the_form_keeps_its_input(place: Place) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel(key="taken"))
    _, other = await api("POST", "/channels", channel())
    _, quota = await api("POST", "/rules", rule(hook["id"], key="taken"))
    threshold = {"type": quota["type"], "kind": "usage_percentage", "value": "80", "channel": hook["id"]}
    for path, form in (
        ("/channels/new", FULL),
        (f"/channels/{other['id']}/edit", FULL | {"updatedAt": other["updatedAt"]}),
        ("/rules/new", threshold),
    ):
        seen = await browser.post(path, form | {"name": "Typed", "key": "taken"})

        assert (seen.status, "another one has it" in seen.text) == (409, True), seen.text
        assert (held(seen)["name"], held(seen)["key"]) == ("Typed", "taken"), path


async def test_several_states_are_one_filter(place: Place) -> None:
    _, browser = place
    overview = await browser.get("/")
    (leads,) = [one["href"] for one in overview.all("a") if "PENDING" in one["href"]]

    seen = await browser.get(f"{leads}&customer=a%2Cb")

    assert (seen.status, held(seen)["customer"]) == (200, "a,b"), seen.text
    assert seen.all("option", value="PENDING,SENDING,RESENDING", selected="")
