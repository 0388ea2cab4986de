"""Webhooks that are large: few of them are held at once, and those of slow receivers keep no other ones waiting.

`pytest -s` prints what each took.
"""

import pytest

from tests.conftest import MakeDeployment
from tests.integration.consume.test_footprints import is_bounded
from tests.integration.deliver.test_deliverers import deliverer, hook, until
from tests.support.fakes import RawReceiver, Receiver, never
from tests.support.footprint import footprint
from tests.support.stores import KEY, Store
from tests.support.verification import verify

CHANNELS = 64
EVENTS = 10
WIDEN = """
    UPDATE event
    SET payload = convert_to(format('{"id":"%s","type":"entitlements.reset","timestamp":"t","data":{"a":"%s"}}', id,
                                    repeat('x', 900000)), 'UTF8')
"""
SEND = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
    SELECT e.id, c.id, 'default', 'PENDING', now() FROM event e, channel c WHERE c.key LIKE 'bad%'
"""


@pytest.mark.parametrize("form", ["openmeter", "flat"])
async def test_640_webhooks_of_a_megabyte_to_receivers_that_hang(
    form: str, deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_DELIVERY_TIMEOUT="4s", TOLLBELL_DRAIN_TIMEOUT="1s")
    async with RawReceiver(never) as hanging:
        for start in range(0, CHANNELS, 16):  # a rule has no more than 20
            bad = {f"bad-{n}": hook(receiver, url=hanging.url(), format=form) for n in range(start, start + 16)}
            await stored.configure(bad)
        await stored.configure({"good": hook(receiver, format=form)})
        await stored.events(EVENTS)
        await stored.sql(WIDEN)
        await stored.sql(SEND)
        async with await deliverer(deployment) as replica:
            await replica.logged("role.ready", role="deliver")

            async with footprint(replica) as found:
                await receiver.wait_for(EVENTS, timeout=60)
                await until(stored, "SELECT count(*) > 200 FROM attempt WHERE outcome = 'timeout'")
            assert await replica.terminate() == 0

    is_bounded(found)
    bodies = [verify(one) for one in receiver.requests]
    assert [len((body.get("data") or body)["a"]) for body in bodies] == [900_000] * EVENTS
    assert await stored.one("SELECT count(*) FROM delivery WHERE token IS NOT NULL") == 0, "all were handed back"
