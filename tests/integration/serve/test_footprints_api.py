"""Calls of the API about things that are large: they take bounded memory, or a clear refusal says what to ask for.

`pytest -s` prints what each took.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import asyncpg
import pytest

from tests.conftest import MakeDeployment
from tests.integration.consume.test_footprints import is_bounded
from tests.support.api import Api, channel, rule, talking
from tests.support.factories import native_record
from tests.support.footprint import footprint

URL = "http://127.0.0.1:1024/"
EVENTS = 300
# 0.8 MB of many small things: as Python's objects they take thirty times that.
LABELS = json.dumps({f"label-{n}": n for n in range(44_000)})
INSERT_EVENTS = """
    INSERT INTO event (id, namespace, rule_id, type, action, entitlement_id, payload, occurred_at, recorded_at)
    SELECT '01K9' || lpad(n::text, 22, '0'), 'default', $1, 'entitlements.balance.threshold', 'triggered', 'ent-1',
           convert_to($2, 'UTF8'), now(), now()
    FROM generate_series(1, $3::int) n
"""
INSERT_DELIVERIES = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
    SELECT e.id, $1, 'default', 'PENDING', now() FROM event e
"""
MARKS = """
    INSERT INTO entitlement (namespace, id, version, period_from, period_to, about, marks)
    VALUES ('default', 'ent-1', 1, '2026-11-01Z', '2036-12-01Z', '{}', $1::text::json)
"""


@pytest.fixture
async def api(deploy: MakeDeployment) -> AsyncIterator[Api]:
    deployment = await deploy()
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as made:
        await replica.logged("role.ready", role="serve")
        yield made


@pytest.fixture
async def rows(migrated: str, api: Api) -> AsyncIterator[asyncpg.Connection]:
    assert api
    connection = await asyncpg.connect(migrated)
    yield connection
    await connection.close()


async def ask(api: Api, method: str, path: str, body: object = None) -> tuple[int, Any]:
    sent = None if body is None else BytesIO(json.dumps(body).encode())
    kind = {"content-type": "application/json"}
    async with api.session.request(method, api.url(path), data=sent, headers=kind) as answered:
        return answered.status, json.loads(await answered.read())


def most(problem: Any) -> int:
    """Return how many a refused page may have."""
    return int(problem["detail"].rpartition("at most ")[2].partition(" ")[0])


async def filled(api: Api, rows: asyncpg.Connection) -> tuple[str, str]:
    """Make 300 events of 0.8 MB; return the ids of their rule and channel."""
    _, hook = await api("POST", "/channels", channel(URL))
    _, quota = await api("POST", "/rules", rule(hook["id"]))
    about = json.loads(native_record(90))["data"]
    data = {
        "action": "triggered",
        "rule": {"id": quota["id"], "name": "Quota", "type": quota["type"], "thresholds": quota["thresholds"]},
        "threshold": {"type": "usage_percentage", "value": 80},
        "feature": about["feature"],
        "entitlement": {"id": "ent-1", "type": "metered", "currentUsagePeriod": about["entitlement"]["period"]},
        "customer": {"key": "acme", "metadata": "@"},
        "value": {"hasAccess": True},
        "crossing": {"episode": 1, "alsoCrossed": []},
    }
    payload = {"id": "e", "type": quota["type"], "timestamp": "2026-11-22T10:15:30Z", "data": data}
    await rows.execute(INSERT_EVENTS, quota["id"], json.dumps(payload, default=int).replace('"@"', LABELS), EVENTS)
    await rows.execute(INSERT_DELIVERIES, hook["id"])
    mark = {"state": "fired", "episode": 1, "at": "2026-11-22T10:15:30Z", "level": "90"}
    await rows.execute(MARKS, json.dumps({quota["id"]: {"usage_percentage:80": mark}}))
    return quota["id"], hook["id"]


async def test_a_page_of_300_events_of_a_megabyte(api: Api, rows: asyncpg.Connection) -> None:
    await filled(api, rows)

    async with footprint(api.replica) as found:
        status, problem = await ask(api, "GET", f"/events?pageSize={EVENTS}")

    is_bounded(found)
    said = f"pageSize: a page of {EVENTS} would have 270 MiB here: ask for a smaller pageSize, at most 17 on this page"
    assert (status, problem["detail"]) == (400, said)
    fits = most(problem)
    async with footprint(api.replica) as found:
        answers = [await ask(api, "GET", f"/events?pageSize={size}") for size in (fits, fits + 1)]
        alone = await ask(api, "GET", f"/events/{answers[0][1]['items'][0]['id']}")

    is_bounded(found)
    assert [status for status, _ in (*answers, alone)] == [200, 400, 200]
    assert (len(answers[0][1]["items"]), answers[0][1]["totalCount"]) == (fits, EVENTS)
    assert alone[1] == answers[0][1]["items"][0]


async def test_the_deliveries_of_events_of_a_megabyte(api: Api, rows: asyncpg.Connection) -> None:
    _, hook = await filled(api, rows)

    async with footprint(api.replica) as found:
        status, page = await ask(api, "GET", f"/channels/{hook}/deliveries?pageSize={EVENTS}")

    is_bounded(found)
    assert (status, len(page["items"])) == (200, EVENTS)


async def test_the_state_of_a_rule_with_events_of_a_megabyte(api: Api, rows: asyncpg.Connection) -> None:
    quota, _ = await filled(api, rows)

    async with footprint(api.replica) as found:
        status, state = await ask(api, "GET", f"/rules/{quota}/state")
        _, more = await ask(api, "GET", f"/rules/{quota}/state?cursor={state['nextCursor']}")

    is_bounded(found)
    ids = [one["eventId"] for one in (*state["items"], *more["items"])]
    assert (status, ids) == (200, [f"01K9{n:022}" for n in range(EVENTS, EVENTS - len(ids), -1)])
    assert state["items"][0]["customer"]["metadata"]["label-7"] == 7


def wide_record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(native_record(90))
    record["data"]["customer"]["metadata"] = json.loads(LABELS)
    return record


def wide_rule() -> dict[str, object]:
    return rule("c-1", thresholds=[{"type": "usage_value", "value": n} for n in range(1, 91)])


async def test_a_preview_of_90_events_of_a_megabyte(api: Api) -> None:
    async with footprint(api.replica) as found:
        status, problem = await ask(api, "POST", "/rules/preview", {"record": wide_record(), "rule": wide_rule()})

    is_bounded(found)
    says = "record: its 90 events have more than 16 MiB: explain a smaller record, or by fewer thresholds"
    assert (status, problem["detail"]) == (400, says)


async def test_ten_previews_at_once(api: Api) -> None:
    preview = {"record": wide_record(), "rule": rule("c-1")}

    async with footprint(api.replica) as found:
        answers = await asyncio.gather(*(ask(api, "POST", "/rules/preview", preview) for _ in range(10)))

    is_bounded(found)
    assert [status for status, _ in answers] == [200] * 10


async def test_pages_of_a_thousand_large_rules(api: Api, rows: asyncpg.Connection) -> None:
    _, hook = await api("POST", "/channels", channel(URL))
    thresholds = [{"type": "usage_value", "value": n + 1} for n in range(100)]
    features = [f"feature-{n}" for n in range(1000)]
    status, _ = await api("POST", "/rules", rule(hook["id"], thresholds=thresholds, features=features))
    assert status == 201
    await rows.execute(
        "INSERT INTO rule (id, namespace, type, name, spec) SELECT '01K9' || lpad(n::text, 22, '0'), namespace, type,"
        " name, spec FROM rule, generate_series(1, 999) n"
    )

    async with footprint(api.replica) as found:
        status, problem = await ask(api, "GET", "/rules?pageSize=1000")
        again, page = await ask(api, "GET", f"/rules?pageSize={most(problem)}")

    is_bounded(found)
    assert (status, again, len(page["items"])) == (400, 200, most(problem))


async def test_pages_of_a_thousand_large_channels(api: Api, rows: asyncpg.Connection) -> None:
    metadata = {f"label-{n}": "\N{BELL}" * 4096 for n in range(50)}
    await api("POST", "/channels", channel(URL))
    await rows.execute(
        "INSERT INTO channel (id, namespace, type, name, url, format, signing_secret, config)"
        " SELECT '01K9' || lpad(n::text, 22, '0'), namespace, type, name, url, format, signing_secret, $1::text::json"
        " FROM channel, generate_series(1, 999) n",
        json.dumps({"metadata": metadata}, ensure_ascii=False),
    )

    async with footprint(api.replica) as found:
        status, problem = await ask(api, "GET", "/channels?pageSize=1000")
        again, page = await ask(api, "GET", f"/channels?pageSize={most(problem)}")

    is_bounded(found)
    assert (status, again, len(page["items"])) == (400, 200, most(problem))


@pytest.mark.parametrize("path", ["/rules", "/rules/preview", "/channels"])
async def test_a_body_with_hundreds_of_thousands_of_mistakes(api: Api, path: str) -> None:
    wrong = rule("c-1", thresholds=[1] * 200_000) | {"retrySchedule": [1] * 100_000}
    body = {"record": {}, "rule": wrong} if path == "/rules/preview" else wrong

    async with footprint(api.replica) as found:
        status, problem = await ask(api, "POST", path, body)

    is_bounded(found)
    assert (status, "members: none here has more than 1000" in problem["detail"]) == (400, True)
