"""Kong as the backend: open Kong's ACL groups and Enterprise's consumer groups, whatever a repeated call answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.enforcement.access import Place
from deploy.enforcement.handler import BackendFailed, Enforcer
from deploy.enforcement.kong import AclGroups, ConsumerGroups
from tests.support.enforcement import ACME, SECRET, Sender, crossed, reset
from tests.support.kong import Kong, Repeats

GROUP, STORAGE = "cut-off-tokens", "cut-off-storage"
GROUPS = {"llm_tokens": GROUP, "storage": STORAGE}
Ways = Callable[..., AclGroups | ConsumerGroups]
WAYS = pytest.mark.parametrize("way", [AclGroups, ConsumerGroups])
NAMES = ("acme", "globex", "hooli", "initech", "Ünï/çöde ?#%25", "a.b")
ALL_REPEATS = [
    Repeats(add=add, delete=delete, listed_under=under)
    for add in (200, 404, 409)
    for delete in (204, 404)
    for under in ("data", "consumers")
]


def tokens(name: str) -> Place:
    return Place(name, "llm_tokens")


@pytest.fixture(params=ALL_REPEATS, ids=str)
async def kong(request: pytest.FixtureRequest) -> AsyncIterator[Kong]:
    async with Kong(*NAMES, groups=(GROUP, STORAGE), repeats=request.param) as running:
        yield running


@WAYS
async def test_every_call_may_be_repeated(kong: Kong, way: Ways) -> None:
    backend = way(kong.url, GROUPS)
    for name in (*NAMES, *NAMES):
        await backend.cut_off(tokens(name), None)
    assert kong.denied(GROUP) == sorted(NAMES)

    for name in (*NAMES, *NAMES):
        await backend.give_back(tokens(name))
    assert kong.denied(GROUP) == []


@WAYS
async def test_converging_leaves_those_who_are_cut_off_and_no_others(kong: Kong, way: Ways) -> None:
    backend = way(kong.url, GROUPS)
    for name in ("globex", "hooli", "initech"):
        await backend.cut_off(tokens(name), None)
    await backend.cut_off(Place("acme", "storage"), None)

    await backend.converge(dict.fromkeys(map(tokens, ["acme", "hooli", "a.b", "no-consumer-of-kong"])))

    assert (kong.denied(GROUP), kong.denied(STORAGE)) == (["a.b", "acme", "hooli"], [])


@WAYS
async def test_a_customer_may_be_named_by_the_consumers_id(kong: Kong, way: Ways) -> None:
    backend, acme = way(kong.url, GROUPS), tokens(kong.ids["acme"])
    await backend.cut_off(tokens("globex"), None)
    await backend.cut_off(acme, None)

    await backend.converge({acme: None})

    assert kong.denied(GROUP) == ["acme"]


@WAYS
async def test_features_without_a_group_and_foreign_names_are_ignored(way: Ways) -> None:
    async with Kong("acme", groups=(GROUP,)) as kong:
        backend = way(kong.url, {"llm_tokens": GROUP})

        await backend.cut_off(Place("acme", "storage"), None)
        await backend.give_back(Place("acme", "storage"))
        for name in ("", ".", ".."):
            await backend.cut_off(tokens(name), None)
            await backend.give_back(tokens(name))

        assert kong.calls == []


@WAYS
async def test_a_customer_who_is_no_consumer_holds_up_no_one(way: Ways, caplog: pytest.LogCaptureFixture) -> None:
    async with Kong("acme", groups=(GROUP,)) as kong:
        await way(kong.url, {"llm_tokens": GROUP}).cut_off(tokens("globex"), None)

    assert "globex: Kong has no such consumer" in caplog.text


@WAYS
@pytest.mark.parametrize("status", [302, 400, 401, 403, 405, 500, 503])
async def test_an_unsuccessful_answer_is_a_failure_of_the_backend(way: Ways, status: int) -> None:
    async with Kong("acme", groups=(GROUP,)) as kong:
        backend = way(kong.url, {"llm_tokens": GROUP})
        calls: list[Callable[[], Any]] = [
            lambda: backend.cut_off(ACME, None),
            lambda: backend.give_back(ACME),
            lambda: backend.converge({ACME: None}),
        ]
        for call in calls:
            kong.failing = [status]
            with pytest.raises(BackendFailed, match=str(status)):
                await call()


@WAYS
async def test_a_kong_that_is_not_there_is_a_failure(way: Ways) -> None:
    async with Kong("acme") as kong:
        url = kong.url

    with pytest.raises(BackendFailed):
        await way(url, GROUPS).cut_off(ACME, None)


async def test_a_missing_consumer_group_is_a_failure() -> None:
    async with Kong("acme") as kong:
        with pytest.raises(BackendFailed, match="404"):
            await ConsumerGroups(kong.url, GROUPS).cut_off(ACME, None)


def test_two_features_with_one_group_are_refused() -> None:
    with pytest.raises(ValueError, match="one group"):
        AclGroups("http://kong:8001", {"llm_tokens": "cut-off", "storage": "cut-off"})


@WAYS
async def test_a_webhook_that_kong_refused_is_answered_503_and_mended(way: Ways) -> None:
    async with Kong("acme", groups=(GROUP,)) as kong:
        send = Sender(Enforcer(way(kong.url, {"llm_tokens": GROUP}), [SECRET]))
        kong.failing = [500]

        assert [await send(crossed(100), "e-1"), await send(crossed(100), "e-1")] == [503, 204]

        assert kong.denied(GROUP) == ["acme"]


def story(names: Mapping[str, bool]) -> list[tuple[str, dict[str, Any]]]:
    """The webhooks of each customer, who ends cut off (true) or not: 100 %, a recovery, 100 %, and perhaps a reset."""
    webhooks = []
    december = {"from": "2026-12-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    for name, is_cut_off in names.items():
        who = {"entitlement": f"ent-{name}", "customer": {"key": name}}
        events = [
            crossed(100, **who),
            crossed(100, "recovered", at="2026-11-20T11:00:00Z", **who),
            crossed(100, episode=2, at="2026-11-20T12:00:00Z", **who),
            *([] if is_cut_off else [reset("2026-12-01T00:00:00Z", december, **who)]),
        ]
        webhooks += [(f"{name}-{n}", event) for n, event in enumerate(events)]
    return webhooks


async def received(
    way: Ways, repeats: Repeats, order: list[tuple[str, dict[str, Any]]], failing: list[int]
) -> list[str]:
    async with Kong(*NAMES, groups=(GROUP,), repeats=repeats) as kong:
        send = Sender(Enforcer(way(kong.url, {"llm_tokens": GROUP}), [SECRET]))
        kong.failing = failing
        waiting = list(order)
        while waiting:
            webhook_id, event = waiting.pop(0)
            if await send(event, webhook_id) != 204:
                waiting.append((webhook_id, event))
        return kong.denied(GROUP)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from([AclGroups, ConsumerGroups]),
    st.sampled_from(ALL_REPEATS),
    st.dictionaries(st.sampled_from(NAMES[:4]), st.booleans(), min_size=1),
    st.lists(st.sampled_from([0, 500]), max_size=12),
    st.data(),
)
def test_shuffled_repeated_and_lost_webhooks_end_as_in_order(
    way: Ways, repeats: Repeats, names: dict[str, bool], failing: list[int], data: st.DataObject
) -> None:
    webhooks = story(names)
    order = data.draw(st.permutations(webhooks + data.draw(st.lists(st.sampled_from(webhooks), max_size=5))))

    denied = asyncio.run(received(way, repeats, list(order), failing))

    assert denied == sorted(name for name, is_cut_off in names.items() if is_cut_off)
