"""The last digit of a hundred percent, from the topic to the receiver."""

from decimal import Decimal

from tests.conftest import MakeDeployment, Produce
from tests.support.factories import OPENMETER_ENTITLEMENT, native_record, openmeter_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.verification import SECRET, verify


async def test_a_float_near_100_percent_fires_an_exact_99_9_does_not(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    applied = await deployment.apply(rules_yaml(receiver.url(), 100), HOOK_SECRET=SECRET)
    assert applied.status == 0, applied.err
    nearly = openmeter_record('{"usage": 0.7999999999999999, "totalAvailableGrantAmount": 0.8, "hasAccess": true}')
    less = native_record("0.7999999999999999", "0.8", entitlement="less")
    far_less = native_record(10**30 - 1, 10**30, entitlement="far-less")
    whole = native_record(10**30, 10**30, entitlement="whole")
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], less, far_less, nearly, whole)

        # In one partition, the last one fires: what came before it and is not here has not fired.
        await receiver.wait_for(2, timeout=30)
        assert await replica.terminate() == 0

    events = [verify(request)["data"] for request in receiver.requests]
    usages = {one["entitlement"]["id"]: one["value"]["usage"] for one in events}  # as they came
    assert usages == {OPENMETER_ENTITLEMENT["id"]: Decimal("0.7999999999999999"), "whole": 10**30}
