"""Channels and rules made and changed by the console's forms: as the API would, with its refusals beside the fields."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Shared
from tests.support.api import Api, channel, rule
from tests.support.console import Browser, Seen, in_a_namespace

Place = tuple[Api, Browser]


@pytest.fixture
async def place(shared: Shared) -> AsyncIterator[Place]:
    async with in_a_namespace(shared) as (api, browser):
        yield api, browser


def held(seen: Seen) -> dict[str, str]:
    """What a form's fields of one line hold."""
    return {one["name"]: one["value"] for one in seen.all("input") if "value" in one and one.get("type") != "checkbox"}


SLACK = "https://hooks.slack.com/services/T000/B000/hush"
FULL = {
    "name": "Hook <b>",
    "url": "https://example.com/hook",
    "key": "hook",
    "format": "flat",
    "retrySchedule": "0s, 5s,5m",
    "expireAfter": "1h",
    "rateLimit": "2.5",
    "concurrency": "3",
    "permanentStatuses": "404, 422",
    "customHeaders": "Authorization: Bearer a:b\nX-Token: hush\n",
    "metadata": "owner: sales: ops",
}


async def test_a_channel_is_made_and_its_secret_shown_once(place: Place) -> None:
    api, browser = place

    made = await browser.post("/channels/new", FULL)

    _, page = await api("GET", "/channels")
    (hook,) = page["items"]
    (secret,) = [one["value"] for one in made.all("input", id="secret")]
    assert secret.startswith("whsec_")
    expected = channel(
        FULL["url"],
        name="Hook <b>",
        key="hook",
        format="flat",
        retrySchedule=["0s", "5s", "5m"],
        expireAfter="1h",
        concurrency=3,
        permanentStatuses=[404, 422],
        customHeaders={"Authorization": "***", "X-Token": "***"},
        metadata={"owner": "sales: ops"},
    )
    assert {name: hook[name] for name in expected} == expected
    assert float(hook["rateLimit"]) == 2.5
    assert secret not in (await browser.get(f"/channels/{hook['id']}")).html


async def test_a_channels_warnings_show_before_and_after_saving(place: Place) -> None:
    api, browser = place
    odd = {"name": "Sales", "url": "https://hooks.slack.com/triggers/T0/1/hush", "format": "slack"}

    looked_at = await browser.post("/channels/new", odd | {"act": "preview"})
    made = await browser.post("/channels/new", odd)
    _, page = await api("GET", "/channels")
    path = f"/channels/{page['items'][0]['id']}"
    form = await browser.get(f"{path}/edit")
    again = odd | {"url": held(form)["url"], "updatedAt": held(form)["updatedAt"]}
    saved = await browser.post(f"{path}/edit", again)

    for seen in (looked_at, made, saved):
        assert "is a workflow's: it takes only variables" in seen.text
        assert "hush" not in seen.html or seen is looked_at  # the form holds what was typed
    assert "is a workflow's" not in (await browser.get(path)).text


async def test_a_channel_saved_as_it_was_is_what_it_was(place: Place) -> None:
    api, browser = place
    await browser.post("/channels/new", FULL)
    _, page = await api("GET", "/channels")
    before = page["items"][0]
    path = f"/channels/{before['id']}"
    form = await browser.get(f"{path}/edit")

    again = FULL | {"customHeaders": "Authorization: ***\nX-Token: ***", "updatedAt": held(form)["updatedAt"]}
    seen = await browser.post(f"{path}/edit", again | {"name": held(form)["name"]})

    _, after = await api("GET", f"/channels/{before['id']}")
    assert (seen.status, seen.path) == (200, f"{path}?said=saved"), seen.text
    assert {**after, "updatedAt": ""} == {**before, "updatedAt": ""}


async def test_an_error_is_next_to_its_field_and_the_input_is_kept(place: Place) -> None:
    api, browser = place
    wrong = {
        "name": "",
        "url": "ftp://example.com",
        "rateLimit": "fast",
        "concurrency": "0",
        "customHeaders": "Host: x",
    }

    seen = await browser.post("/channels/new", FULL | wrong)

    faulty = {one["name"] for tag in ("input", "textarea") for one in seen.all(tag) if one.get("aria-invalid")}
    assert (seen.status, faulty) == (400, {"name", "url", "rateLimit", "concurrency", "customHeaders"})
    described = {one["aria-describedby"] for one in seen.all("input") if one.get("aria-invalid")}
    assert described <= {one["id"] for one in seen.all("p") if "id" in one}
    assert (held(seen)["url"], held(seen)["rateLimit"]) == ("ftp://example.com", "fast")
    assert (await api("GET", "/channels"))[1]["totalCount"] == 0


async def test_saving_over_anothers_change_asks_to_look_again(place: Place) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel())
    _, quota = await api("POST", "/rules", rule(hook["id"]))
    for path, body in (
        (f"/channels/{hook['id']}", channel(name="B")),
        (f"/rules/{quota['id']}", rule(hook["id"], name="B")),
    ):
        seen_at = held(await browser.get(f"{path}/edit"))["updatedAt"]
        await api("PUT", path, body)

        seen = await browser.post(f"{path}/edit", {"name": "Mine", "updatedAt": seen_at})

        assert (seen.status, "changed meanwhile" in seen.text) == (409, True)
        assert (await api("GET", path))[1]["name"] == "B"


async def test_what_a_channel_would_send_is_seen_before_it_is_made(place: Place) -> None:
    api, browser = place

    seen = await browser.post("/channels/new", FULL | {"format": "slack", "url": SLACK, "act": "preview"})

    assert seen.status == 200, seen.text
    assert '"text":' in seen.text
    assert held(seen)["name"] == FULL["name"]
    assert (await api("GET", "/channels"))[1]["totalCount"] == 0


async def test_a_preview_does_not_reveal_a_stored_secret_url(place: Place) -> None:
    """Though the form comes without the mark of a secret URL."""
    api, browser = place
    hidden = channel("https://example.com/in/hush-hush", secretUrl=True)
    _, made = await api("POST", "/channels", hidden)

    seen = await browser.post(
        f"/channels/{made['id']}/edit", {"name": "Hook", "format": "openmeter", "url": made["url"], "act": "preview"}
    )

    assert (seen.status, "https://example.com/***" in seen.text) == (200, True), seen.text
    assert "hush-hush" not in seen.html


async def test_a_look_at_a_stored_channel_of_pagerduty_needs_no_key(place: Place) -> None:
    api, browser = place
    url, key = "https://events.pagerduty.com/v2/enqueue", "R0ut1ngKey0fPagerDutyInTheTests0"
    _, made = await api("POST", "/channels", channel(url, format="pagerduty", secrets={"routing_key": key}))
    kept = {"name": "Hook", "url": url, "format": "pagerduty", "secrets": "routing_key: ***", "act": "preview"}

    seen = await browser.post(f"/channels/{made['id']}/edit", kept)

    assert (seen.status, "dedup_key" in seen.text) == (200, True), seen.text
    assert key not in seen.html


async def test_a_stored_channels_preview_needs_none_of_its_secrets(place: Place) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel(SLACK, format="slack", customHeaders={"X-Token": "hush"}))
    path = f"/channels/{hook['id']}/edit"
    form = await browser.get(path)

    kept = {
        "name": "Hook",
        "url": held(form)["url"],
        "format": "slack",
        "customHeaders": "X-Token: ***",
    }
    preview = await browser.post(path, kept | {"act": "preview"})
    saved = await browser.post(path, kept | {"updatedAt": held(form)["updatedAt"]})

    assert (preview.status, "Samples, to https://hooks.slack.com/***" in preview.text) == (200, True), preview.text
    assert saved.path.endswith("said=saved"), saved.text
    assert "hush" not in form.html + preview.html + saved.html


RULES: list[tuple[dict[str, object], dict[str, object]]] = [
    (
        {"type": "entitlements.balance.threshold", "kind": ["usage_percentage", "balance_value", "usage_value"]}
        | {"value": ["80.50", "0", ""], "features": "llm_tokens\n\nseats", "rearm": "recovery", "recovered": "true"}
        | {"emit": "each", "onCreate": "ignore"},
        {"features": [{"id": "llm_tokens", "key": "llm_tokens"}, {"id": "seats", "key": "seats"}], "rearm": "recovery"}
        | {"notifyOn": ["triggered", "recovered"], "onCreate": "ignore"},
    ),
    (
        {"type": "entitlements.reset", "features": "llm_tokens"},
        {"features": [{"id": "llm_tokens", "key": "llm_tokens"}]},
    ),
    ({"type": "invoice.created", "metadata": "a: b"}, {"metadata": {"a": "b"}}),
    ({"type": "invoice.updated", "statuses": "paid, draft.sent"}, {"statuses": ["paid", "draft.sent"]}),
]


@pytest.mark.parametrize(("form", "made"), RULES, ids=lambda one: str(one.get("type", "")))
async def test_a_rule_of_each_type_is_made_and_saved_as_it_was(
    place: Place, form: dict[str, object], made: dict[str, object]
) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel())
    await browser.get(f"/rules/new?type={form['type']}")

    seen = await browser.post("/rules/new", pairs(form | {"name": "Rule", "key": "r", "channel": hook["id"]}))

    assert seen.path.endswith("said=created"), seen.text
    _, page = await api("GET", "/rules")
    (before,) = page["items"]
    assert {name: before.get(name) for name in made} == made
    path = f"/rules/{before['id']}"
    changed = form | {"name": "Renamed", "key": "r", "channel": hook["id"]}
    updated_at = held(await browser.get(f"{path}/edit"))["updatedAt"]
    saved = await browser.post(f"{path}/edit", pairs(changed | {"updatedAt": updated_at}))
    assert saved.path.endswith("said=saved"), saved.text
    _, after = await api("GET", path)
    assert {**after, "updatedAt": "", "name": ""} == {**before, "updatedAt": "", "name": ""}


def pairs(form: dict[str, object]) -> list[tuple[str, str]]:
    """Return the fields of a form, those of several rows one by one."""
    return [(name, str(one)) for name, value in form.items() for one in (value if isinstance(value, list) else [value])]


async def test_an_edit_keeps_a_rule_disabled_and_its_features(place: Place) -> None:
    api, browser = place
    _, hook = await api("POST", "/channels", channel())
    _, quota = await api("POST", "/rules", rule(hook["id"], features=["llm_tokens"], disabled=True))
    path = f"/rules/{quota['id']}"

    form = await browser.get(f"{path}/edit")
    fields = {"type": quota["type"], "name": "New", "kind": "usage_percentage", "value": "80", "features": "llm_tokens"}
    await browser.post(f"{path}/edit", fields | {"channel": hook["id"], "updatedAt": held(form)["updatedAt"]})

    _, after = await api("GET", path)
    assert (after["name"], after["disabled"], after["features"]) == ("New", True, quota["features"])
    assert "llm_tokens</textarea>" in form.html


async def test_rows_are_added_without_losing_what_was_typed(place: Place) -> None:
    _, browser = place
    form = {
        "type": "entitlements.balance.threshold",
        "name": "Mine",
        "kind": "balance_value",
        "value": "7",
        "act": "rows",
    }

    seen = await browser.post("/rules/new", form)

    assert [one["value"] for one in seen.all("input", name="value")] == ["7", "", ""]
    assert held(seen)["name"] == "Mine"


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ({"value": "-5"}, "thresholds-fault"),
        ({"value": "many"}, "thresholds-fault"),
        ({"value": "1e999999999"}, "thresholds-fault"),
        ({"value": ""}, "thresholds-fault"),
        ({"value": "5", "name": ""}, "name-fault"),
        ({"value": "5", "metadata": "\n".join(f"k{n}: v" for n in range(60))}, "metadata-fault"),
    ],
)
async def test_a_rule_that_is_wrong_is_refused_beside_the_field(place: Place, form: dict[str, str], fault: str) -> None:
    api, browser = place
    fields = {"type": "entitlements.balance.threshold", "name": "Mine", "kind": "usage_percentage"}

    seen = await browser.post("/rules/new", fields | form)

    assert (seen.status, bool(seen.all("p", id=fault))) == (400, True), seen.text
    assert (await api("GET", "/rules"))[1]["totalCount"] == 0


async def test_a_type_that_there_is_not_is_refused(place: Place) -> None:
    _, browser = place

    assert (await browser.get("/rules/new?type=nonsense")).status == 200
    assert (await browser.post("/rules/new", {"type": "nonsense", "name": "x"})).status == 400
