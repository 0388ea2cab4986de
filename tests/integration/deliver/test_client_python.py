"""The reference product's Python package, as it is published, on the running service: nothing wrapped, or patched.

It gives channels, rules and payloads as dicts, since they are unions in its document, and the rest as models.
"""

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import openmeter
import pytest
from corehttp.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from openmeter import aio, models
from standardwebhooks import Webhook

from tests.conftest import MakeDeployment, Produce
from tests.support.api import Api, talking
from tests.support.factories import openmeter_record
from tests.support.fakes import Receiver

TOKENS = "default:write:let-me-write,default:read:let-me-read,other:write:elsewhere"
PERCENT = models.NotificationRuleBalanceThresholdValueType.USAGE_PERCENTAGE


@pytest.fixture(params=[None, "let-me-write"], ids=["open", "token"])
def token(request: pytest.FixtureRequest) -> str | None:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
async def served(deploy: MakeDeployment, token: str | None) -> Any:
    deployment = await deploy(**({"TOLLBELL_API_TOKENS": TOKENS} if token else {}))
    async with await deployment.replica() as replica, talking(replica) as made:
        await replica.ready()
        yield made


def endpoint(served: Api) -> str:
    return f"http://127.0.0.1:{served.port}"


def new_channel(url: str = "https://example.com/hook", **more: Any) -> models.NotificationChannelWebhookCreateRequest:
    return models.NotificationChannelWebhookCreateRequest(type="WEBHOOK", name="Hook", url=url, **more)


def new_rules(*channels: str) -> Iterator[Any]:
    wanted: dict[str, Any] = {"name": "Rule", "channels": list(channels)}
    thresholds = [models.NotificationRuleBalanceThresholdValue(type=PERCENT, value=80.5)]
    yield models.NotificationRuleBalanceThresholdCreateRequest(
        type="entitlements.balance.threshold", thresholds=thresholds, features=["llm_tokens"], **wanted
    )
    yield models.NotificationRuleEntitlementResetCreateRequest(type="entitlements.reset", **wanted)
    yield models.NotificationRuleInvoiceCreatedCreateRequest(type="invoice.created", **wanted)
    yield models.NotificationRuleInvoiceUpdatedCreateRequest(type="invoice.updated", disabled=True, **wanted)


async def test_the_client_creates_reads_edits_and_deletes_channels(served: Api, token: str | None) -> None:
    def use() -> None:
        with openmeter.Client(endpoint=endpoint(served), token=token) as client:
            channels = client.notification_channels
            made = [
                channels.create(
                    new_channel(custom_headers={"X-A": "1"}, metadata=models.Metadata({"team": "a"}), disabled=n == 2)
                )
                for n in range(3)
            ]
            read = channels.get(made[0]["id"])
            assert (read["name"], read["url"], read["customHeaders"]) == (
                "Hook",
                "https://example.com/hook",
                {"X-A": "***"},
            )
            assert (read["metadata"], read["createdAt"]) == ({"team": "a"}, made[0]["createdAt"])
            assert made[0]["signingSecret"]
            assert "signingSecret" not in read
            read["name"] = "Other"
            changed = channels.update(read["id"], read)
            assert (changed["name"], changed["customHeaders"]) == ("Other", {"X-A": "***"})
            assert "metadata" not in channels.update(read["id"], new_channel())
            page = channels.list(page=1, page_size=2, order="DESC", order_by="createdAt", include_disabled=True)
            assert ([one["id"] for one in page.items_property], page.total_count) == ([made[2]["id"], made[1]["id"]], 3)
            assert channels.list().total_count == 2
            channels.delete(made[0]["id"])
            assert channels.get(made[0]["id"])["deletedAt"]
            assert channels.list(include_deleted=True, include_disabled=True).total_count == 3
            with pytest.raises(ResourceNotFoundError):
                channels.get("01K9ZBC3K9YJ4M2V7Q8R5T6W1X")
            with pytest.raises(HttpResponseError) as wrong:
                channels.create(new_channel("ftp://example.com/"))
            assert wrong.value.status_code == 400

    await asyncio.to_thread(use)


async def test_the_client_creates_reads_edits_and_deletes_rules(served: Api, token: str | None) -> None:
    def use() -> None:
        with openmeter.Client(endpoint=endpoint(served), token=token) as client:
            rules, hook = client.notification_rules, client.notification_channels.create(new_channel())
            made = [rules.create(wanted) for wanted in new_rules(hook["id"])]
            for one in made:
                read = rules.get(one["id"])
                assert (read["type"], read["name"], [to["id"] for to in read["channels"]]) == (
                    one["type"],
                    "Rule",
                    [hook["id"]],
                )
                read["name"] = "Renamed"
                assert rules.update(one["id"], read)["name"] == "Renamed"
            assert rules.get(made[0]["id"])["thresholds"][0]["value"] == 80.5
            assert [one["id"] for one in rules.list(page=2, page_size=2).items_property] == [made[2]["id"]]
            assert rules.list(include_disabled=True, channel=[hook["id"], "x"], order_by="type").total_count == 4
            about = rules.list(feature=["llm_tokens"], include_disabled=True).items_property
            assert {one["id"] for one in about} >= {made[0]["id"]}
            with pytest.raises(HttpResponseError) as refused:
                client.notification_channels.delete(hook["id"])
            assert refused.value.status_code == 400
            for one in made:
                rules.delete(one["id"])
            assert rules.list(include_disabled=True).total_count == 0
            assert rules.list(include_disabled=True, include_deleted=True).total_count == 4

    await asyncio.to_thread(use)


async def test_the_client_tests_rules_and_the_webhook_is_signed(
    served: Api, token: str | None, receiver: Receiver
) -> None:
    async with aio.Client(endpoint=endpoint(served), token=token) as client:
        hook = await client.notification_channels.create(new_channel(receiver.url()))
        made = [await client.notification_rules.create(wanted) for wanted in new_rules(hook["id"])]

        events = [await client.notification_rules.test(one["id"]) for one in made[:3]]

        with pytest.raises(HttpResponseError) as refused:
            await client.notification_rules.test(made[3]["id"])
        assert refused.value.status_code == 400
        came = {one.headers["webhook-id"]: one for one in await receiver.wait_for(3)}
        for event, of_rule in zip(events, made, strict=False):
            request = came[event.id]
            Webhook(hook["signingSecret"]).verify(request.body.decode(), dict(request.headers))
            assert (event.rule["id"], event.annotations) == (of_rule["id"], {"notification.rule.test": True})
            assert (event.payload["id"], json.loads(request.body)["type"]) == (event.id, of_rule["type"])
            assert event.payload["data"]
        found = await client.notification_events.list(rule=[one["id"] for one in made])
        assert [one.id for one in found.items_property] == [one.id for one in events]


async def test_the_client_finds_an_event_and_resends_it(
    served: Api, token: str | None, receiver: Receiver, produce: Produce
) -> None:
    began = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)  # noqa: TID251 - the wall clock's
    topic = await served.topic()
    async with aio.Client(endpoint=endpoint(served), token=token) as client:
        hook = await client.notification_channels.create(new_channel(receiver.url()))
        quota = await client.notification_rules.create(next(new_rules(hook["id"])))
        await served.replica.logged("catalog.loaded", rules=1)
        await produce(topic, openmeter_record())
        await receiver.wait_for(1)
        await served.replica.logged("delivery.attempted", 1)

        events = client.notification_events
        (found,) = (
            await events.list(
                from_parameter=began,
                to=began + dt.timedelta(days=1),
                feature=["llm_tokens", "x"],
                subject=["acme-prod", "a,b", "y"],
                rule=[quota["id"]],
                channel=[hook["id"]],
                page=1,
                page_size=10,
                order="DESC",
                order_by="createdAt",
            )
        ).items_property
        event = await events.get(found.id)
        await events.resend(event.id, models.NotificationEventResendRequest(channels=[hook["id"]]))
        await events.resend(event.id, models.NotificationEventResendRequest())

        assert (event.payload["data"]["value"]["usage"], event.payload["data"]["threshold"]["value"]) == (8100, 80.5)
        (status,) = event.delivery_status
        assert (status.state, status.channel.id, status.attempts[0].response.status_code) == (
            "SUCCESS",
            hook["id"],
            200,
        )
        for nothing in ({"subject": ["x"]}, {"to": began}, {"from_parameter": began + dt.timedelta(days=1)}):
            assert (await events.list(**nothing)).total_count == 0
        answered, _ = await served("GET", "/events", headers={"Authorization": f"Bearer {token}"})  # of its models
        assert answered == 200
        again = await receiver.wait_for(2, timeout=30)
        assert {one.headers["webhook-id"] for one in again} == {event.id}


async def test_a_wrong_token_or_scope_is_what_the_client_expects(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_API_TOKENS=TOKENS)
    async with await deployment.replica() as replica, talking(replica) as served:
        await replica.ready()
        for token in (None, "wrong"):
            async with aio.Client(endpoint=endpoint(served), token=token) as client:
                with pytest.raises(ClientAuthenticationError):
                    await client.notification_channels.list()
        async with aio.Client(endpoint=endpoint(served), token="let-me-read") as client:
            assert (await client.notification_channels.list()).total_count == 0
            with pytest.raises(HttpResponseError) as refused:
                await client.notification_channels.create(new_channel())
            assert refused.value.status_code == 403
        async with aio.Client(endpoint=endpoint(served), token="let-me-write") as client:
            made = await client.notification_channels.create(new_channel())
        async with aio.Client(endpoint=endpoint(served), token="elsewhere") as client:
            with pytest.raises(ResourceNotFoundError):
                await client.notification_channels.get(made["id"])
