"""A deployment with what a console shows: channels that work, fail and are disabled, rules of each type, events."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from aiohttp import web

from consumer import clock
from schemas import times
from tests.conftest import Produce
from tests.support.api import Api, channel, rule, talking
from tests.support.fakes import Receiver
from tests.support.records import native_invoice
from tests.support.service import Deployment, Replica

WRITE, READ = "write-token-of-the-story", "read-token-of-the-story"
TOKENS = f"*:write:{WRITE},default:read:{READ}"
CUSTOMERS = (
    ("acme", "ACME Inc.", 8_450),
    ("globex", "Globex Corporation", 10_120),
    ("initech", "Initech", 5_030),
    ("umbrella", "Umbrella Health", 9_280),
    ("stark", "Stark Industries", 12_000),
)
SORRY = "<html>\n<head><title>503 Service Temporarily Unavailable</title></head>\n<body><h1>503</h1></body>\n</html>"


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, by names; the replica still runs.

    Attributes:
        ids: of channels and rules.
    """

    replica: Replica
    root: str
    topic: str
    receiver: Receiver
    produce: Produce
    ids: dict[str, str]
    database: str

    @contextlib.asynccontextmanager
    async def deliveries_locked(self) -> AsyncIterator[None]:
        """Let no delivery change within it, so that what was asked for is seen while it waits."""
        connection = await asyncpg.connect(self.database)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE delivery IN SHARE MODE")
                yield
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def played(deployment: Deployment, topic: str, produce: Produce) -> AsyncIterator[Story]:
    """Give the story, once its events have been sent."""
    async with (
        Receiver() as receiver,
        await deployment.replica() as replica,
        talking(replica, token=WRITE) as api,
    ):
        await replica.ready()
        ids = await _configure(api, receiver)
        await replica.logged("catalog.loaded", rules=5)
        records = [usage(key, name, used) for key, name, used in CUSTOMERS]
        await produce(topic, *records, native_invoice(), key=b"one")
        await receiver.wait_for(8, path="/billing")
        await receiver.wait_for(1, path="/staging")
        _, failed = await api("GET", f"/events?channel={ids['staging']}")
        await api("POST", f"/events/{failed['items'][0]['id']}/resend")
        database = deployment.environment["TOLLBELL_DATABASE_URL"]
        yield Story(replica, f"http://127.0.0.1:{api.port}", topic, receiver, produce, ids, database)


def usage(key: str, name: str, used: int, feature: str = "llm_tokens") -> bytes:
    """A record: a customer has used so much of ten thousand."""
    data: dict[str, Any] = {
        "calculatedAt": times.text(clock.now()),
        "customer": {"id": f"c-{key}", "key": key, "name": name},
        "subject": {"key": f"{key}-prod"},
        "feature": {"id": f"f-{feature}", "key": feature},
        "entitlement": {"id": f"ent-{key}", "period": {"from": "2026-11-01T00:00:00Z", "to": "2036-12-01T00:00:00Z"}},
        "value": {"usage": used, "allowance": 10_000},
    }
    record = {"specversion": "1.0", "id": f"e-{key}-{used}", "source": "metering.example.com"}
    return json.dumps(record | {"type": "tollbell.usage.snapshot", "data": data}).encode()


async def _configure(api: Api, receiver: Receiver) -> dict[str, str]:
    receiver.otherwise(web.Response(status=503, text=SORRY, content_type="text/html"), path="/staging")
    receiver.otherwise(web.Response(text='{"ok":true}', content_type="application/json"), path="/billing")
    ids = {}
    for key, name, path, more in (
        ("billing", "Billing service", "/billing", {"customHeaders": {"Authorization": "Bearer s3cret"}}),
        ("staging", "Staging", "/staging", {"retrySchedule": ["0s", "1h", "2h"], "format": "flat"}),
        ("crm", "Old CRM", "/crm", {"disabled": True, "metadata": {"owner": "sales-ops"}}),
    ):
        status, made = await api("POST", "/channels", channel(receiver.url(path), name=name, key=key, **more))
        assert status == 201, made
        ids[key] = made["id"]
    percents = [{"type": "usage_percentage", "value": value} for value in (50, 80, 100)]
    for key, body in (
        ("quota", rule(ids["billing"], name="Token quota", thresholds=percents, features=["llm_tokens"])),
        ("staged", rule(ids["staging"], name="Quota, staging", thresholds=percents[2:], emit="highest")),
        (
            "low",
            rule(
                ids["billing"],
                ids["staging"],
                name="Balance is low",
                thresholds=[{"type": "balance_value", "value": 500}],
                rearm="recovery",
            ),
        ),
        ("resets", {"type": "entitlements.reset", "name": "New period", "channels": [ids["billing"]]}),
        ("invoices", {"type": "invoice.created", "name": "Invoices", "channels": [ids["billing"]]}),
    ):
        status, made = await api("POST", "/rules", body | {"key": key})
        assert status == 201, made
        ids[key] = made["id"]
    return ids
