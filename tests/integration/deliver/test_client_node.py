"""The reference product's JavaScript client, as it is published, on the running service: nothing wrapped or patched."""

import json

import pytest
from standardwebhooks import Webhook

from tests.conftest import MakeDeployment, Produce
from tests.support import node
from tests.support.api import talking
from tests.support.factories import openmeter_record
from tests.support.fakes import Receiver


@pytest.mark.parametrize("token", ["", "let-me-write"], ids=["open", "token"])
async def test_every_call_works_and_its_notifications_arrive(
    deploy: MakeDeployment, receiver: Receiver, produce: Produce, token: str
) -> None:
    settings = {"TOLLBELL_API_TOKENS": f"default:write:{token}"} if token else {}
    deployment = await deploy(**settings)
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()

        try:
            said = await node.run("use.mjs", f"http://127.0.0.1:{api.port}", receiver.url(), token)
        except node.NoNode as exc:
            pytest.skip(str(exc))

        found = json.loads(said)
        await produce(await api.topic(), openmeter_record())
        await receiver.wait_until(lambda all_of: any(b'"usage":8100' in one.body for one in all_of), 30)
    bodies = {}
    for request in receiver.requests:
        Webhook(found["secret"]).verify(request.body.decode(), dict(request.headers))
        bodies[request.headers["webhook-id"]] = json.loads(request.body)
    assert set(found["tested"]) < set(bodies)
    assert [one["data"]["rule"]["id"] for one in bodies.values() if one["id"] not in found["tested"]] == [found["rule"]]


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((node.SCRIPTS / "package-lock.json").read_text(encoding="utf-8"))

    assert all("resolved" not in package for package in lock["packages"].values())
    assert lock["packages"]["node_modules/@openmeter/sdk"]["version"] == "1.0.0-beta.232"
