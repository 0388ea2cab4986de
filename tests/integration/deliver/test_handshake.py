"""Consent before anything is sent, at a receiver that judges as CloudEvents' webhooks say it."""

import asyncio
import datetime as dt
from typing import Any

import aiohttp.web
import pytest

from consumer.decide import retry_after
from consumer.decide.outcome import OutcomeClass
from consumer.deliver.consents import Consents
from consumer.deliver.webhook import Webhook
from consumer.metrics import CONSENTS, Metrics
from consumer.store import consents
from tests.conftest import MakeDeployment, Produce
from tests.support.api import channel, rule, talking
from tests.support.factories import native_record
from tests.support.fakes import Received, Receiver, Reply
from tests.support.stores import URL, Store
from tests.support.webhooks import LOOPBACK, make_request

US = "tollbell.example.com"
EVENTS = 6
HOUR = dt.timedelta(hours=1)


class Guarded:
    """A receiver that takes no webhook from those that it has not consented to.

    Attributes:
        allows: what OPTIONS are answered with; None: it knows nothing of them.
        consented: the origins that it has consented to.
        has_all: it has as many webhooks as `EVENTS`.
    """

    def __init__(self, receiver: Receiver, allows: dict[str, str] | None) -> None:
        self.allows = allows
        self.consented: set[str] = set()
        self.has_all = asyncio.Event()
        self.receiver = receiver
        receiver.otherwise(self._answer, path="/in")

    def sent(self, method: str) -> list[Received]:
        return [one for one in self.receiver.at("/in") if one.method == method]

    def _answer(self, request: Received) -> Reply:
        origin = request.headers.get("WebHook-Request-Origin")
        if request.method == "OPTIONS":
            assert origin is not None
            assert request.body == b""
            assert "webhook-signature" not in request.headers
            if self.allows is None:
                return aiohttp.web.Response(status=405)
            self.consented.add(origin)
            return aiohttp.web.Response(headers={"Allow": "POST", **self.allows})
        if origin not in self.consented:
            return 403
        if len(self.sent("POST")) == EVENTS:
            self.has_all.set()
        return 200


def hook(receiver: Receiver, **more: Any) -> dict[str, object]:
    return channel(receiver.url("/in"), format="cloudevents", requestOrigin=US, **more)


async def test_consent_is_asked_for_once_by_each_replica_and_obeyed(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    guarded = Guarded(receiver, {"WebHook-Allowed-Origin": US, "WebHook-Allowed-Rate": "600"})
    deployment = await deploy()
    async with await deployment.replica() as one, await deployment.replica() as two, talking(one) as api:
        await one.ready()
        await two.ready()
        _, made = await api("POST", "/channels", hook(receiver, rateLimit=20, customHeaders={"X-Key": "k"}))
        await api("POST", "/rules", rule(made["id"]))
        for replica in (one, two):
            await replica.logged("catalog.loaded", rules=1)
        for n in range(EVENTS):
            record = native_record(90, entitlement=f"ent-{n}")
            await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], record)
        await guarded.has_all.wait()
        _, shown = await api("GET", f"/channels/{made['id']}")

    asked = guarded.sent("OPTIONS")
    assert 1 <= len(asked) <= 2
    assert [(one.headers["WebHook-Request-Rate"], one.headers["X-Key"]) for one in asked] == [("1200", "k")] * len(
        asked
    )
    assert {one.headers["WebHook-Request-Origin"] for one in guarded.sent("POST")} == {US}
    assert (float(shown["allowedRate"]), float(shown["rateLimit"])) == (10.0, 20.0)


async def test_without_consent_nothing_is_sent_and_nothing_is_lost(deploy: MakeDeployment, receiver: Receiver) -> None:
    guarded = Guarded(receiver, None)
    deployment = await deploy()
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        _, made = await api("POST", "/channels", hook(receiver))
        _, test = await api("POST", f"/channels/{made['id']}/test")
        (line,) = await replica.logged("delivery.attempted", event_id=test["id"])
        _, refused = await api("GET", f"/events/{test['id']}")
        _, paused = await api("GET", f"/channels/{made['id']}")
        guarded.allows = {"WebHook-Allowed-Origin": "*"}
        _, ended = await api("POST", f"/channels/{made['id']}/enable")
        await api("POST", f"/events/{test['id']}/resend")
        await replica.logged("delivery.attempted", event_id=test["id"], verdict="Delivered")
        _, sent = await api("GET", f"/events/{test['id']}")

    (delivery,) = refused["deliveryStatus"]
    (attempt,) = delivery["attempts"]
    assert (delivery["state"], attempt["state"], attempt["response"]["statusCode"]) == ("SENDING", "FAILED", 405)
    assert attempt["detail"] == line["detail"]
    assert attempt["detail"].startswith("nothing was sent: the answer to OPTIONS, 405, has no WebHook-Allowed-Origin")
    assert (line["retry_in_s"], line["channel_paused_s"]) == (60, 60)
    assert ("pausedUntil" in paused, "pausedUntil" in ended) == (True, False)
    assert [one.method for one in receiver.at("/in")] == ["OPTIONS", "OPTIONS", "POST"]
    assert sent["deliveryStatus"][0]["state"] == "SUCCESS"


def counted(metrics: Metrics) -> dict[str, float | None]:
    get = metrics.registry.get_sample_value
    return {result: get("tollbell_consents_asked_total", {"result": result}) for result in CONSENTS}


async def test_a_consent_request_does_not_cost_its_delivery_the_slot(
    deploy: MakeDeployment, receiver: Receiver
) -> None:
    Guarded(receiver, {"WebHook-Allowed-Origin": US, "WebHook-Allowed-Rate": "*"})
    deployment = await deploy()
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        _, made = await api("POST", "/channels", hook(receiver, rateLimit=0.01))
        _, test = await api("POST", f"/channels/{made['id']}/test")
        await replica.logged("delivery.attempted", event_id=test["id"], verdict="Delivered")  # not 100 s later
        asked = [await replica.metric("tollbell_consents_asked_total", result=result) for result in CONSENTS]

    assert [one.method for one in receiver.at("/in")] == ["OPTIONS", "POST"]
    assert asked == [1, 0, 0]


@pytest.mark.parametrize(("asked", "rests"), [("0", 60), ("soon", 60), ("90", 90)])
async def test_a_channel_without_consent_rests_for_a_minute(
    stored: Store, receiver: Receiver, asked: str, rests: int
) -> None:
    receiver.otherwise(lambda _: aiohttp.web.Response(headers={"Retry-After": asked}), path="/in")
    await stored.configure({"hook": {"format": "cloudevents", "requestOrigin": US}})
    await stored.events(1)
    (claimed,) = await stored.claim("hook", 1)
    async with Webhook(HOUR, allowed=LOOPBACK) as webhook:
        metrics = Metrics()
        ended = await Consents(stored.database, webhook, metrics).asked(claimed, make_request(receiver.url("/in")))

    assert counted(metrics) == {"granted": 0, "refused": 1, "unanswered": 0}
    assert ended.outcome is not None
    assert retry_after.asked(ended.outcome) == dt.timedelta(seconds=rests)


@pytest.mark.parametrize("edit", [{"url": f"{URL}/new"}, {"requestOrigin": "other.example.com"}])
async def test_an_answer_is_not_taken_for_another_url_or_name(
    stored: Store, receiver: Receiver, edit: dict[str, Any]
) -> None:
    """The old one says 410, by which a channel is disabled, after the edit."""
    mine = {"format": "cloudevents", "requestOrigin": US}
    release = receiver.hold(path="/old", reply=410)
    receiver.otherwise(lambda _: aiohttp.web.Response(headers={"WebHook-Allowed-Origin": "*"}), path="/new")
    await stored.configure({"hook": mine})
    await stored.events(2)
    (before,) = await stored.claim("hook", 1)
    async with Webhook(HOUR, allowed=LOOPBACK) as webhook, asyncio.TaskGroup() as tasks:
        asking = Consents(stored.database, webhook, Metrics())
        old = tasks.create_task(asking.asked(before, make_request(receiver.url("/old"))))
        await receiver.wait_for(1, path="/old")
        await stored.configure({"hook": mine | edit})
        (after,) = await stored.claim("hook", 1)
        new = tasks.create_task(asking.asked(after, make_request(receiver.url("/new"))))
        await receiver.wait_for(1, path="/new")  # it does not wait for the answer to the other
        release.set()

    outcomes = [old.result().outcome, new.result().outcome]
    assert [outcome and outcome.status for outcome in outcomes] == [410, None]
    assert len(receiver.at("/new")) == 1


@pytest.mark.parametrize(
    ("edit", "is_kept"),
    [
        ({"name": "Renamed", "rateLimit": 50}, True),
        ({"url": "http://127.0.0.1:8080/elsewhere"}, False),
        ({"requestOrigin": "other.example.com"}, False),
        ({"disabled": True}, True),
        ({"requestOrigin": None}, False),
    ],
)
async def test_consent_is_for_one_url_and_origin_with_its_rate(
    stored: Store, edit: dict[str, Any], *, is_kept: bool
) -> None:
    mine = {"format": "cloudevents", "requestOrigin": US, "rateLimit": 20}
    await stored.configure({"hook": mine})
    await stored.events(4)
    (claimed,) = await stored.claim("hook", 1)
    assert (claimed.request_origin, claimed.has_consent) == (US, None)
    await consents.keep(stored.database, claimed, 0.5, valid=HOUR)

    await stored.configure({"hook": mine | edit})

    ((until, allowed, rate),) = await stored.sql("SELECT consent_until, allowed_rate, rate_limit FROM channel")
    assert (until is not None, allowed) == (is_kept, 0.5 if is_kept else None)
    assert rate == (0.5 if is_kept else 20)


async def test_an_enabled_channel_asks_for_consent_again(
    stored: Store,
) -> None:
    """An older answer is not kept."""
    mine = {"format": "cloudevents", "requestOrigin": US}
    await stored.configure({"hook": mine})
    await stored.events(2)
    (before,) = await stored.claim("hook", 1)
    await consents.keep(stored.database, before, 0.5, valid=HOUR)
    (after,) = await stored.claim("hook", 8)  # its rate gives one
    assert after.has_consent

    await stored.configure({"hook": mine | {"disabled": True}})
    await stored.configure({"hook": mine | {"disabled": False}})
    await consents.keep(stored.database, before, 0.5, valid=HOUR)

    assert await stored.sql("SELECT consent_until, allowed_rate, rate_limit FROM channel") == [(None, None, None)]
    assert await consents.question(stored.database, before) is None


async def test_consent_outlives_a_receiver_that_is_unreachable(deploy: MakeDeployment, receiver: Receiver) -> None:
    guarded = Guarded(receiver, {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "300"})
    deployment = await deploy()
    store = Store(None, deployment.environment["TOLLBELL_DATABASE_URL"])  # type: ignore[arg-type] - for SQL alone
    states = []
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        _, made = await api("POST", "/channels", hook(receiver))
        for answer in (None, 503, 405):
            if answer is not None:
                await store.sql("UPDATE channel SET consent_until = clock_timestamp()")
                receiver.answer(answer, path="/in")
            _, test = await api("POST", f"/channels/{made['id']}/test")
            (line,) = await replica.logged("delivery.attempted", event_id=test["id"])
            _, shown = await api("GET", f"/channels/{made['id']}")
            states.append((line["verdict"], float(shown["allowedRate"])))
        (warned,) = await replica.logged("channel.not_asked", channel_id=made["id"])
        asked = [await replica.metric("tollbell_consents_asked_total", result=result) for result in CONSENTS]

    assert asked == [1, 1, 1]
    assert states == [("Delivered", 5.0), ("Delivered", 5.0), ("RetryIn", 5.0)]
    assert (warned["level"], warned["status"]) == ("warning", 503)
    assert [one.method for one in receiver.at("/in")] == ["OPTIONS", "POST", "OPTIONS", "POST", "OPTIONS"]
    assert guarded.consented == {US}


async def test_a_question_goes_nowhere_that_a_webhook_may_not_go(receiver: Receiver) -> None:
    async with Webhook(dt.timedelta(seconds=1)) as webhook:
        outcome, answer = await webhook.ask(make_request(receiver.url("/in")), [("webhook-request-origin", US)])

    assert (outcome.kind, answer) == (OutcomeClass.ADDRESS, None)
    assert receiver.requests == []
