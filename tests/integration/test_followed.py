"""An event is followed to the record that it was made of: in the log, and in the API."""

import json

from tests.api import talking
from tests.conftest import MakeDeployment, Produce
from tests.factories import native_record, rules_yaml
from tests.fakes import Receiver
from tests.verification import SECRET

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_an_event_names_its_record(deploy: MakeDeployment, produce: Produce, receiver: Receiver) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80, 100), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    envelope = json.loads(native_record(80)) | {"id": "reading-7", "source": "/meters/eu"}
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        await produce(
            topic, native_record(10), json.dumps(envelope).encode(), headers=[("traceparent", TRACE.encode())]
        )
        (received,) = await receiver.wait_for(1)

        record = {"topic": topic, "partition": 0, "offset": 1, "source": "/meters/eu", "traceparent": TRACE}
        (line,) = await replica.logged("event.made", event_id=received.headers["webhook-id"])
        assert {name: line[name] for name in record} == record
        assert line["source_id"] == "reading-7"
        _, event = await api("GET", f"/events/{received.headers['webhook-id']}")
        assert event["record"] == record | {"id": "reading-7"}
