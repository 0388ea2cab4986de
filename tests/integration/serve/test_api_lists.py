"""Lists in a query: a name repeated, values separated by commas, or both; a comma within a value is `%2C`."""

import pytest
from yarl import URL

from tests.conftest import Produce
from tests.support.api import Api, channel, rule
from tests.support.factories import native_record

FEATURES = ("x", "y", "x,y")


async def items(api: Api, path: str) -> list[dict[str, object]]:
    """Return what a list has; *path* goes out as it stands: a client's own encoding would hide a comma's."""
    async with api.session.get(URL(api.url(path), encoded=True)) as answered:
        answer = await answered.json()
        assert answered.status == 200, answer
    assert answer["totalCount"] == len(answer["items"])
    return list(answer["items"])


@pytest.fixture
async def named(api: Api, produce: Produce) -> dict[str, str]:
    """The ids of channels a, b and c, each with a rule (for feature x, y or `x,y`) and events of its own."""
    made: dict[str, str] = {}
    for name, feature in zip("abc", FEATURES, strict=True):
        _, hook = await api("POST", "/channels", channel(name=name))
        _, quota = await api("POST", "/rules", rule(hook["id"], name=name, features=[feature]))
        made |= {f"channel-{name}": hook["id"], f"rule-{name}": quota["id"]}
    await api.replica.logged("catalog.loaded", rules=3)
    records = [
        native_record(
            85, entitlement=f"ent-{feature}", feature={"id": f"f-{feature}", "key": feature}, subject={"key": feature}
        )
        for feature in FEATURES
    ]
    await produce(await api.topic(), *records)
    await api.replica.reaches("tollbell_events_total", 3, type="entitlements.balance.threshold", action="triggered")
    return made


# Of a parameter's values: which of a, b and c are found.
WRITTEN = [
    ("{p}={a}", "a"),
    ("{p}={a}&{p}={b}", "ab"),
    ("{p}={a},{b}", "ab"),
    ("{p}={a},{b}&{p}={c}", "abc"),
    ("{p}={a},,{b},", "ab"),
    ("{p}={a},{a}", "a"),
]


async def test_a_list_is_repeated_or_separated_by_commas(api: Api, named: dict[str, str]) -> None:
    features = dict(zip("abc", ("x", "y", "x%2Cy"), strict=True))
    rules, channels = ({name: named[f"{kind}-{name}"] for name in "abc"} for kind in ("rule", "channel"))

    for query, found in WRITTEN:
        expected = [named[f"rule-{name}"] for name in found]
        for p, values in (("feature", features), ("channel", channels)):
            made = await items(api, f"/rules?{query.format(p=p, **values)}")
            assert [one["id"] for one in made] == expected, (query, p)
        for p, values in (("feature", features), ("subject", features), ("rule", rules), ("channel", channels)):
            events = await items(api, f"/events?{query.format(p=p, **values)}")
            assert sorted(one["rule"]["id"] for one in events) == expected, (query, p)  # type: ignore[index]


async def test_types_and_states_are_lists_too(api: Api, named: dict[str, str]) -> None:
    everything = "PENDING,SENDING,SUCCESS,FAILED&state=RESENDING"

    assert len(await items(api, "/events?type=entitlements.reset,entitlements.balance.threshold")) == 3
    assert await items(api, "/events?type=entitlements.reset,invoice.created") == []
    assert len(await items(api, f"/events?state={everything}")) == 3
    assert len(await items(api, f"/channels/{named['channel-a']}/deliveries?state={everything}")) == 1
    status, problem = await api("GET", URL("/events?state=FAILED,nothing", encoded=True).raw_path_qs)
    assert (status, problem["extensions"]["invalidFields"][0]["field"]) == (400, "state")


async def test_an_escaped_comma_is_part_of_a_value(api: Api, named: dict[str, str]) -> None:
    escaped = await items(api, "/rules?feature=x%2Cy")
    both_ways = await items(api, "/rules?feature=x%2cy,y")
    plain = await items(api, "/rules?feature=x,y")

    assert [one["id"] for one in escaped] == [named["rule-c"]]
    assert [one["id"] for one in both_ways] == [named["rule-b"], named["rule-c"]]
    assert [one["id"] for one in plain] == [named["rule-a"], named["rule-b"]]


async def test_what_is_no_list_keeps_its_commas(api: Api, named: dict[str, str]) -> None:  # noqa: ARG001 - they are there
    assert await items(api, "/events?customer=a,c-1") == []
    assert len(await items(api, "/events?customer=c-1")) == 3


async def test_a_list_has_a_hundred_values_however_it_is_written(api: Api) -> None:
    assert await items(api, f"/rules?feature={','.join('z' * 100)}") == []

    for query in (f"feature={','.join('z' * 101)}", "&".join(["feature=z"] * 101)):
        status, problem = await api("GET", f"/rules?{query}")
        assert status == 400
        assert "101 values: at most 100" in problem["detail"]
