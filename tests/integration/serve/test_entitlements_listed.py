"""Who has used how much: entitlements by level, feature and customer, in the API and in the console."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.conftest import Produce
from tests.support.api import Api, channel, rule
from tests.support.console import browsing
from tests.support.factories import native_record

PERIOD = ("2026-11-01T00:00:00Z", "2126-11-01T00:00:00Z")  # the current one, whenever this runs
PAST = ("2020-11-01T00:00:00Z", "2020-12-01T00:00:00Z")
# By id: usage of 100, customer, feature; and whatever is special about it.
SHOWN: dict[str, tuple[object, str, str, dict[str, Any]]] = {
    "e-95": (95, "acme", "tokens", {}),
    "e-130": (135, "acme", "gpus", {}),
    "e-80": (80, "globex", "tokens", {}),
    "e-79": ("79.99", "globex", "gpus", {}),
    "e-unlimited": (5000, "globex", "seats", {"allowance": 0}),
    "e-over": (100, "initech", "tokens", {"period": PAST, "calculated_at": "2020-11-20T00:00:00Z"}),
    "e-of-none": (60, "", "tokens", {}),
}


def record(name: str, usage: object, customer: str, feature: str, **special: Any) -> bytes:
    party = {"id": f"c-{customer}", "key": customer, "name": customer.title()} if customer else None
    about = {
        "customer": party,
        "subject": {"key": f"{customer}-prod"},
        "feature": {"id": f"f-{feature}", "key": feature},
    }
    allowance = special.pop("allowance", 100)
    return native_record(usage, allowance, entitlement=name, **{"period": PERIOD, **about, **special})


@pytest.fixture
async def listed(api: Api, produce: Produce) -> Api:
    """The API, once all of SHOWN were judged by a rule about them."""
    _, hook = await api("POST", "/channels", channel())
    await api("POST", "/rules", rule(hook["id"], name="Quota"))
    await api.replica.logged("catalog.loaded", rules=1)
    await produce(await api.topic(), *(record(name, *of[:3], **of[3]) for name, of in SHOWN.items()))
    await api.replica.reaches("tollbell_records_total", len(SHOWN), result="judged")
    return api


async def found(api: Api, **query: object) -> list[str]:
    status, page = await api("GET", f"/entitlements?{urlencode(query)}")
    assert status == 200, page
    return [one["id"] for one in page["items"]]


async def test_entitlements_are_found_by_level_feature_and_customer(listed: Api) -> None:
    for query, expected in (
        ({"atLeast": 80}, ["e-130", "e-95", "e-80"]),
        ({"atLeast": 100}, ["e-130"]),
        ({"atLeast": 140}, []),
        ({"atLeast": 0}, ["e-130", "e-95", "e-80", "e-79", "e-of-none"]),
        ({"atLeast": 80, "feature": "tokens"}, ["e-95", "e-80"]),
        ({"atLeast": 80, "feature": "f-tokens", "customer": "acme"}, ["e-95"]),
        ({"customer": "acme"}, ["e-130", "e-95"]),
        ({"customer": "c-globex"}, ["e-80", "e-79", "e-unlimited"]),
        ({"customer": "acm"}, []),
        ({"feature": "seats"}, ["e-unlimited"]),
    ):
        assert await found(listed, **query) == expected, query


async def test_each_page_goes_on_where_the_one_before_ended(listed: Api) -> None:
    seen, cursor = list[str](), ""
    while cursor is not None:
        _, page = await listed(
            "GET", f"/entitlements?{urlencode({'pageSize': 2} | ({'cursor': cursor} if cursor else {}))}"
        )
        assert page["totalCount"] == len(SHOWN)
        seen += [one["id"] for one in page["items"]]
        cursor = page.get("nextCursor")

    assert sorted(seen) == sorted(SHOWN)


async def test_an_entitlement_says_its_level_period_and_what_has_fired(listed: Api) -> None:
    _, page = await listed("GET", "/entitlements?customer=globex")
    reached, below, unlimited = page["items"]

    assert (reached["percentage"], reached["period"]) == (80, {"from": PERIOD[0], "to": PERIOD[1]})
    assert (reached["since"], reached["feature"]["key"]) == ("2026-11-22T10:15:30Z", "tokens")
    assert [(one["threshold"]["value"], one["level"], one["isReached"]) for one in reached["fired"]] == [(80, 80, True)]
    assert (below["percentage"], below["fired"]) == (70, [])
    assert "percentage" not in unlimited


async def test_what_no_rule_is_about_any_more_is_not_listed(listed: Api) -> None:
    (quota,) = (await listed("GET", "/rules"))[1]["items"]
    await listed("PUT", f"/rules/{quota['id']}", rule(quota["channels"][0]["id"], features=["gpus"]))
    of_one = await found(listed, atLeast=50)
    await listed("POST", f"/rules/{quota['id']}/disable")

    assert of_one == ["e-130", "e-79"]
    assert await found(listed) == []


async def test_an_ended_entitlement_is_not_listed_above_current_ones(listed: Api, produce: Produce) -> None:
    left = record("e-left", 999, "leaver", "tokens")
    over = left.replace(b'"id": "e-left",', b'"id": "e-left", "activeTo": "2026-11-23T00:00:00Z",')
    await produce(await listed.topic(), over)
    await listed.replica.reaches("tollbell_records_total", len(SHOWN) + 1, result="judged")

    assert over != left
    assert (await found(listed))[0] == "e-130"
    assert await found(listed, customer="leaver") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("atLeast=85", "atLeast"),
        ("atLeast=-10", "atLeast"),
        ("atLeast=1010", "atLeast"),
        ("atLeast=x", "atLeast"),
        ("cursor=x", "cursor"),
        ("cursor=80", "cursor"),
        ("cursor=12345:e", "cursor"),
        ("cursor=%C2%B2:e", "cursor"),
        ("pageSize=0", "pageSize"),
        ("page=2", "page"),
        ("customer=%00", "customer"),
    ],
)
async def test_a_wrong_parameter_is_named(shared_api: Api, query: str, field: str) -> None:
    status, problem = await shared_api("GET", f"/entitlements?{query}")

    assert (status, problem["extensions"]["invalidFields"][0]["field"]) == (400, field)


async def test_customers_are_looked_at_in_the_console(listed: Api) -> None:
    async with browsing(listed.replica) as browser:
        over = await browser.get("/customers?atLeast=80")
        links = [one["href"] for one in over.all("a") if one.get("href", "").startswith("/customers/one")]
        acme = await browser.get("/customers/one?customer=c-acme")
        unknown = await browser.get("/customers/one?customer=no-such")
        none = await browser.get("/customers?feature=nothing")
        wrong = await browser.get("/customers?atLeast=85")

    assert links == [
        "/customers/one?customer=c-acme",
        "/customers/one?customer=c-acme",
        "/customers/one?customer=c-globex",
    ]
    assert "3 entitlements, the most used first" in over.text
    assert "≥ 130 %" in over.text
    assert "usage ≥ 80 %" in acme.text
    assert "by Quota" in acme.text
    assert len(acme.all("progress")) == 2
    assert "None that an enabled rule is about" in unknown.text
    assert "No entitlement matches" in none.text
    assert (wrong.status, "multiple of ten" in wrong.text) == (400, True)
