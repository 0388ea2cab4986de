"""Explain and preview: what a record means to a rule, by the judgement itself; nothing is written or sent."""

import json
from decimal import Decimal
from typing import Any

from tests.conftest import Produce
from tests.support.api import Api, channel, rule
from tests.support.factories import invoice_record, native_record
from tests.support.fakes import Receiver


def record(usage: object, **data: Any) -> Any:
    return json.loads(native_record(usage, **data), parse_float=Decimal)


def reasons(explained: dict[str, Any]) -> list[tuple[Any, str]]:
    return [(line.get("threshold", {}).get("value"), line["reason"]) for line in explained["judgements"]]


async def test_explain_uses_what_is_remembered_and_sends_nothing(
    api: Api, produce: Produce, receiver: Receiver
) -> None:
    _, hook = await api("POST", "/channels", channel(receiver.url()))
    _, quota = await api("POST", "/rules", rule(hook["id"], thresholds=[
        {"type": "usage_percentage", "value": value} for value in (80, 100)
    ], features=["llm_tokens"]))  # fmt: skip
    await api.replica.logged("catalog.loaded", rules=1)
    await produce(await api.topic(), native_record(85))
    await receiver.wait_for(1)

    status, explained = await api("POST", f"/rules/{quota['id']}/explain", {"record": record(100)})

    assert (status, explained["understood"], explained["about"]) == (200, True, True)
    assert reasons(explained) == [(80, "already_fired"), (100, "first_crossing")]
    [event] = explained["events"]
    assert (event["id"], event["data"]["threshold"]["value"]) == ("0" * 26, 100)
    _, twice = await api("POST", f"/rules/{quota['id']}/explain", {"record": record(100)})
    assert twice == explained
    assert (await api("GET", "/events"))[1]["totalCount"] == 1
    assert len(receiver.requests) == 1


async def test_a_rule_that_is_not_made_yet_is_previewed(api: Api) -> None:
    wanted = rule(
        "anywhere", thresholds=[{"type": "usage_percentage", "value": "99.5"}, {"type": "balance_value", "value": 1}]
    )

    async def previewed(**body: object) -> tuple[int, Any]:
        return await api("POST", "/rules/preview", body)

    _, below = await previewed(rule=wanted, record=record(99))
    _, ignored = await previewed(rule=wanted | {"onCreate": "ignore"}, record=record(100))
    _, whole = await previewed(rule=wanted, record=record(1, entitlement="e", period=("2026-11-01T00:00:00Z",) * 2))
    _, foreign = await previewed(rule=wanted, record=record(100, namespace="other"))
    _, other = await previewed(rule=wanted | {"features": ["x"]}, record=record(100))
    _, none = await previewed(rule=wanted, record={"specversion": "1.0", "id": "1", "source": "x", "type": "y"})
    created = {"type": "invoice.created", "name": "Created", "channels": ["anywhere"]}
    _, invoice = await previewed(rule=created, record=json.loads(invoice_record("draft.created", kind="created")))

    assert reasons(below) == [(Decimal("99.5"), "below"), (1, "first_crossing")]
    assert reasons(ignored) == [(Decimal("99.5"), "ignored_on_create"), (1, "ignored_on_create")]
    assert (whole["understood"], whole["rejected"]["reason"]) == (False, "invalid")
    assert "does not end after it starts" in whole["rejected"]["error"]
    assert (foreign["understood"], foreign["about"], foreign["judgements"]) == (True, False, [])
    assert (other["about"], none["understood"], "rejected" in none) == (False, False, False)
    assert reasons(invoice) == [(None, "invoice_created")]
    for body, field in (
        ({"record": 1, "rule": wanted}, "record"),
        ({"record": {}, "rule": 1}, "rule"),
        ({"record": {}, "rule": wanted, "rules": wanted}, "rules"),
    ):
        status, problem = await previewed(**body)
        assert (status, problem["extensions"]["invalidFields"][0]["field"]) == (400, field)


async def test_the_state_lists_what_has_fired_when_and_at_what_level(
    api: Api, produce: Produce, receiver: Receiver
) -> None:
    _, hook = await api("POST", "/channels", channel(receiver.url()))
    thresholds = [{"type": "usage_percentage", "value": value} for value in (50, 80)]
    _, quota = await api("POST", "/rules", rule(hook["id"], thresholds=thresholds, rearm="recovery"))
    await api.replica.logged("catalog.loaded", rules=1)
    old = {"period": ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"), "calculated_at": "2026-10-20T00:00:00Z"}
    topic = await api.topic()
    await produce(
        topic,
        native_record(99, **old),  # of a period that is over: no state any more
        native_record(85, calculated_at="2026-11-22T10:00:00Z"),
        native_record(60, calculated_at="2026-11-22T11:00:00Z"),
        native_record(55, entitlement="ent-2", subject={"key": "globex"}),
    )
    await receiver.wait_for(5)

    status, state = await api("GET", f"/rules/{quota['id']}/state")

    assert status == 200
    shown = [
        (one["entitlementId"], one["threshold"]["value"], one["level"], one["at"], one["isReached"])
        for one in state["items"]
    ]
    assert shown == [
        ("ent-2", 50, 55, "2026-11-22T10:15:30Z", True),
        ("ent-1", 80, 60, "2026-11-22T11:00:00Z", False),
        ("ent-1", 50, 85, "2026-11-22T10:00:00Z", True),
    ]
    assert state["items"][0]["subject"] == {"key": "globex"}
    assert "nextCursor" not in state
    _, older = await api("GET", f"/rules/{quota['id']}/state?cursor={state['items'][0]['eventId']}")
    assert older["items"] == state["items"][1:]
    created = {"type": "invoice.created", "name": "Created", "channels": [hook["id"]]}
    _, other = await api("POST", "/rules", created)
    assert (await api("GET", f"/rules/{other['id']}/state"))[0] == 400
