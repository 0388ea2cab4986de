"""The whole path: a record on a topic becomes a signed webhook at a receiver."""

import json
from decimal import Decimal

import standardwebhooks
import svix.webhooks

from schemas import signing_secrets
from tests.conftest import MakeDeployment, Produce
from tests.factories import native_record, rules_yaml
from tests.fakes import Received, Receiver

SECRET = signing_secrets.generate().reveal()


def verify(received: Received) -> dict[str, object]:
    """Verify as two receivers' libraries do; return the body."""
    headers = dict(received.headers)
    standardwebhooks.Webhook(SECRET).verify(received.body, headers)
    svix.webhooks.Webhook(SECRET).verify(received.body, headers)
    assert headers["X-Webhook-Secret"] == "hush-hush"
    return json.loads(received.body, parse_float=Decimal)


async def test_a_usage_record_becomes_a_signed_webhook(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    applied = await deployment.apply(rules_yaml(receiver.url(), 80, 100), HOOK_SECRET=SECRET)
    assert applied.status == 0, applied.err
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(10), native_record(100))

        bodies = [verify(received) for received in await receiver.wait_for(2)]
        assert sorted(body["data"]["threshold"]["value"] for body in bodies) == [80, 100]
        assert {body["id"] for body in bodies} == {r.headers["webhook-id"] for r in receiver.requests}
        assert await replica.terminate() == 0
