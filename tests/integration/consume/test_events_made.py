"""What was made before a rule was disabled or deleted is sent all the same."""

import pytest

from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.verification import SECRET, verify


@pytest.mark.parametrize("edit", ["disabled", "deleted"])
async def test_an_event_already_made_is_still_sent(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver, edit: str
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,2s,2s,2s,2s")
    rules = rules_yaml(receiver.url(), 80)
    await deployment.apply(rules, HOOK_SECRET=SECRET)
    receiver.answer(503, 200)
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))
        await receiver.wait_for(1)

        edited = rules + "    disabled: true\n" if edit == "disabled" else rules.partition("rules:")[0]
        applied = await deployment.apply(edited, "--prune", HOOK_SECRET=SECRET)

        assert applied.status == 0, applied.err
        (first, again) = [verify(request) for request in await receiver.wait_for(2, timeout=30)]
        assert (again["id"], again["data"]["threshold"]["value"]) == (first["id"], 80)
        await replica.reaches("tollbell_attempts_total", 1, outcome="success")
