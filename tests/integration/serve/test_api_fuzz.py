"""schemathesis on the running API, with the API's own document; longer behind `make fuzz`."""

from pathlib import Path

import pytest

from schemas.rules import RuleType
from tests.conftest import MakeDeployment, Produce
from tests.support import fuzz
from tests.support.api import Api, channel, rule, talking
from tests.support.asked import number
from tests.support.factories import native_record
from tests.support.fakes import Receiver

ENOUGH = 10  # calls, of which one at least is as it should be
SECONDS, SEED = number("FUZZ_SECONDS", 0, least=0), number("FUZZ_SEED", 1, least=0)  # 0 s: once, however long it takes
EACH = 20  # channels that no rule sends to, and rules: schemathesis deletes what it is given, too


async def filled(api: Api, produce: Produce, receiver: Receiver) -> fuzz.There:
    """Make channels, rules, events that were delivered, and jobs."""
    hooks = [(await api("POST", "/channels", channel(receiver.url())))[1]["id"] for _ in range(2 * EACH)]
    thresholds = [{"type": "usage_percentage", "value": value} for value in (80, 100)]
    quotas = [rule(hook, thresholds=thresholds, rearm="recovery") for hook in hooks[:EACH]]
    rules = [(await api("POST", "/rules", quota))[1]["id"] for quota in quotas]
    await api.replica.logged("catalog.loaded", rules=EACH)
    await produce(await api.topic(), native_record(90))
    await receiver.wait_for(EACH)
    await api.replica.logged("delivery.attempted", EACH, verdict="Delivered")
    _, page = await api("GET", "/events")
    events = [one["id"] for one in page["items"]]
    jobs = []
    for hook in hooks[:3]:
        _, job = await api("POST", f"/channels/{hook}/recover", {"since": "2026-01-01T00:00:00Z"})
        jobs.append(job["id"])
    others = [(await api("POST", "/channels", channel()))[1]["id"] for _ in range(EACH)]
    plain = [{"type": kind.value, "name": "Other", "channels": others} for kind in RuleType]
    plain[0]["thresholds"] = [{"type": "usage_value", "value": 1}]
    by_type = {str(one["type"]): (await api("POST", "/rules", one))[1]["id"] for one in plain}
    return fuzz.There({"channel": hooks, "rule": rules, "event": events, "job": jobs}, others, by_type)


@pytest.mark.timeout(SECONDS + 300)
async def test_the_api_does_what_its_document_says(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver, tmp_path: Path
) -> None:
    deployment = await deploy(TOLLBELL_API_TOKENS=f"*:write:{fuzz.TOKEN}")
    async with await deployment.replica() as whole, talking(whole, token=fuzz.TOKEN) as api:
        await whole.ready()
        there = await filled(api, produce, receiver)
        assert await whole.terminate() == 0
    # From now on nothing is sent: the URLs are schemathesis' own.
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.logged("role.ready", role="serve")

        found = await fuzz.fuzz(api.port, tmp_path, there, examples=10, seed=SEED, seconds=SECONDS or None)

        assert found.status == 0, found.text
        await replica.terminate()
    said = fuzz.successes(replica.lines)
    print("\n".join(f"{name}: {good} of {calls} calls succeeded" for name, (good, calls) in said.items()))  # noqa: T201
    assert [name for name, (good, calls) in said.items() if not good and calls >= ENOUGH] == []
    assert sum(good > 0 for good, _ in said.values()) > len(said) / 2
