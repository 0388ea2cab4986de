"""While a newer release rolls out: what it stored, and this release does not know, is named; the rest goes on."""

import asyncpg

from tests.conftest import MakeDeployment
from tests.support.api import channel, rule, talking
from tests.support.console import browsing

ITS_EVENT, OF_NO_RULE = "01M8PQ2ARG0000000000000000", "01M8PQ2ARG0000000000000001"
RULE = """
    INSERT INTO rule (id, namespace, type, name, spec)
    VALUES ('of-a-newer', 'default', 'entitlements.forecast', 'Forecast', '{"type": "entitlements.forecast"}')
"""
SENDS = "INSERT INTO rule_channel (rule_id, channel_id, position) VALUES ('of-a-newer', $1, 0)"
EVENT = """
    INSERT INTO event (id, namespace, rule_id, type, action, payload, occurred_at, recorded_at)
    VALUES ($1, 'default', $2, 'entitlements.forecast', 'triggered', '{}', now(), now())
"""


async def test_what_a_newer_release_made_is_named_and_all_else_works(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    async with (
        await deployment.replica("--only", "serve") as replica,
        talking(replica) as api,
        browsing(replica) as browser,
    ):
        await replica.logged("role.ready")
        _, hook = await api("POST", "/channels", channel())
        _, other = await api("POST", "/channels", channel())
        _, known = await api("POST", "/rules", rule(hook["id"]))
        connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
        await connection.execute(RULE)
        await connection.execute(SENDS, other["id"])
        await connection.execute(EVENT, ITS_EVENT, "of-a-newer")
        await connection.execute(EVENT, OF_NO_RULE, "gone")
        await connection.close()

        paths = ("/rules", "/rules/of-a-newer", "/events", f"/events/{ITS_EVENT}", f"/events/{OF_NO_RULE}")
        answers = {path: await api("GET", path) for path in paths}
        edited = await api("PUT", f"/channels/{other['id']}", channel())
        pages = {page: await browser.get(page) for page in ("/rules", "/events", "/rules/of-a-newer")}
        fine = [await api("GET", path) for path in (f"/rules/{known['id']}", "/channels", f"/channels/{other['id']}")]
        applied = await deployment.apply('{"namespace": "default", "channels": [], "rules": []}')

    assert {path: status for path, (status, _) in answers.items()} == dict.fromkeys(paths, 503)
    assert "rule of-a-newer: a newer release of Tollbell made it" in answers["/rules"][1]["detail"]
    assert f"event {OF_NO_RULE}: a newer release of Tollbell made it" in answers[f"/events/{OF_NO_RULE}"][1]["detail"]
    assert edited[0] == 503
    assert {page: seen.status for page, seen in pages.items()} == dict.fromkeys(pages, 503)
    assert all("a newer release of Tollbell made it" in seen.text for seen in pages.values())
    assert [status for status, _ in fine] == [200, 200, 200]
    assert applied.status == 1
    assert applied.err.count("\n") == 1
    assert "rule of-a-newer: a newer release" in applied.err
    assert not [line for line in replica.lines if line["event"] in {"api.unforeseen", "console.unforeseen"}]
