"""Channels and rules switched off and on: nothing else of them changes."""

from tests.conftest import Produce
from tests.support.api import Api, channel, rule
from tests.support.factories import native_record
from tests.support.fakes import Receiver


async def test_a_rule_switched_off_and_on_stays_as_it_was_written(
    api: Api, produce: Produce, receiver: Receiver
) -> None:
    _, hook = await api("POST", "/channels", channel(receiver.url()))
    _, quota = await api("POST", "/rules", rule(hook["id"], features=["llm_tokens"]))
    await api.replica.serves(rules=1)
    topic = await api.topic()
    await produce(topic, native_record(85))
    await receiver.wait_for(1)

    off = await api("POST", f"/rules/{quota['id']}/disable")
    await api.replica.serves(rules=0)
    await produce(topic, native_record(90, entitlement="e-2"))
    await api.replica.reaches("tollbell_records_total", 1, result="no_rule")
    on = await api("POST", f"/rules/{quota['id']}/enable")
    await api.replica.serves(rules=1)
    await produce(topic, native_record(90, calculated_at="2026-11-22T11:15:30Z"), native_record(90, entitlement="e-3"))

    assert (off[0], off[1]["disabled"]) == (200, True)
    assert (on[0], on[1]["disabled"]) == (200, False)
    # Not `ent-1`'s again, not `e-2`'s: the one of before has fired, and the other's record came while it was off.
    assert b'"e-3"' in (await receiver.wait_for(2))[1].body
    status, deployed = await api("GET", f"/rules/{quota['id']}")
    assert (status, [one["key"] for one in deployed["features"]]) == (200, ["llm_tokens"])


async def test_a_channel_disabled_by_a_person_sends_nothing(shared_api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel(customHeaders={"X-Token": "hush"}, rateLimit=2.5))

    status, off = await shared_api("POST", f"/channels/{hook['id']}/disable")
    again, still = await shared_api("POST", f"/channels/{hook['id']}/disable")
    _, refused = await shared_api("POST", f"/channels/{hook['id']}/test")
    _, on = await shared_api("POST", f"/channels/{hook['id']}/enable")

    assert (status, off["disabled"], off["disabledBy"]) == (200, True, "person")
    assert (again, still["disabledBy"]) == (200, "person")
    assert "is disabled" in refused["detail"]
    kept = ("name", "url", "customHeaders", "rateLimit")
    assert (on["disabled"], [on[name] for name in kept]) == (False, [off[name] for name in kept])


async def test_what_is_deleted_or_another_namespaces_is_not_switched(shared_api: Api, api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    _, quota = await shared_api("POST", "/rules", rule(hook["id"]))

    for act in (f"/channels/{hook['id']}/disable", f"/rules/{quota['id']}/disable", f"/rules/{quota['id']}/enable"):
        assert (await api("POST", act))[0] == 404
    await shared_api("DELETE", f"/rules/{quota['id']}")
    await shared_api("DELETE", f"/channels/{hook['id']}")
    for act in (f"/channels/{hook['id']}/disable", f"/rules/{quota['id']}/disable", f"/rules/{quota['id']}/enable"):
        assert (await shared_api("POST", act))[0] == 409
