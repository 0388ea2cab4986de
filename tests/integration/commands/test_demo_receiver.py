"""The demo's receiver takes what it can trust, once, and says no to the rest."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest
import standardwebhooks

from consumer import clock
from consumer.demo.receiver import Receiver
from consumer.demo.webhooks import InvoiceIs, NewPeriod, StoryCrossing
from schemas import signing_secrets
from schemas.secret import Secret

SIGNING_SECRET = signing_secrets.generate()
TOKEN = "hush-hush"
NOVEMBER, DECEMBER = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(SIGNING_SECRET, Secret(TOKEN), {NOVEMBER: 1, DECEMBER: 2}.__getitem__) as server:
        yield server


def body(event_id: str, percent: int = 100, action: str = "triggered", episode: int = 1) -> str:
    rule = {"id": "r", "name": "Quota", "type": "entitlements.balance.threshold", "thresholds": []}
    data = {
        "action": action,
        "rule": rule,
        "threshold": {"type": "usage_percentage", "value": percent},
        "customer": {"key": "acme"},
        "feature": {"key": "api_requests"},
        "entitlement": {"id": "acme-1", "currentUsagePeriod": {"from": NOVEMBER}},
        "value": {},
        "crossing": {"episode": episode, "alsoCrossed": []},
    }
    return json.dumps({"id": event_id, "type": rule["type"], "timestamp": NOVEMBER, "data": data})


def reset_body(event_id: str, customer: str = "acme") -> str:
    rule = {"id": "r", "name": "Renewed", "type": "entitlements.reset"}
    data = {
        "action": "triggered",
        "rule": rule,
        "reset": {"kind": "automatic", "at": DECEMBER},
        "customer": {"key": customer},
        "feature": {"key": "api_requests"},
        "entitlement": {"id": f"{customer}-1", "currentUsagePeriod": {"from": DECEMBER}},
        "value": {"hasAccess": True},
    }
    return json.dumps({"id": event_id, "type": rule["type"], "timestamp": DECEMBER, "data": data})


def invoice_body(event_id: str, kind: str, state: str) -> str:
    invoice = {
        "number": "A-1",
        "status": state.partition(".")[0],
        "statusDetails": {"extendedStatus": state},
        "customer": {"key": "acme"},
        "action": "triggered",
        "rule": {"id": "r", "name": "Invoice", "type": kind},
        "previousStatus": None,
    }
    return json.dumps({"id": event_id, "type": kind, "timestamp": "2026-11-01", "data": invoice})


async def post(receiver: Receiver, text: str, *, webhook_id: str = "e-1", **headers: str) -> int:
    now = clock.now()  # signatures hold for five minutes, and a whole run takes longer
    signed = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(SIGNING_SECRET.reveal()).sign(webhook_id, now, text),
        "Authorization": f"Bearer {TOKEN}",
        **headers,
    }
    async with aiohttp.ClientSession() as session, session.post(receiver.url, data=text, headers=signed) as answer:
        return answer.status


async def test_access_is_cut_off_at_100_percent_and_not_before(receiver: Receiver) -> None:
    assert await post(receiver, body("e-1", 80)) == 200
    assert receiver.cut_off == set()

    assert await post(receiver, body("e-2", 100), webhook_id="e-2") == 200
    assert receiver.cut_off == {"acme"}


async def test_a_reset_gives_a_cut_off_customer_access_again(receiver: Receiver) -> None:
    await post(receiver, body("e-1", 100))

    assert await post(receiver, reset_body("e-2"), webhook_id="e-2") == 200
    assert await post(receiver, reset_body("e-3", "globex"), webhook_id="e-3") == 200

    assert receiver.arrivals[1].webhook == NewPeriod("acme", "automatic", period=2)
    assert (receiver.cut_off, receiver.given_back) == (set(), {"acme"})


async def test_a_recovery_gives_access_back_until_the_next_episode(receiver: Receiver) -> None:
    await post(receiver, body("e-1", 100))

    await post(receiver, body("e-2", 100, "recovered"), webhook_id="e-2")
    assert (receiver.cut_off, receiver.given_back) == (set(), {"acme"})

    await post(receiver, body("e-3", 100, episode=2), webhook_id="e-3")
    assert (receiver.cut_off, receiver.given_back) == ({"acme"}, set())
    assert receiver.arrivals[2].webhook == StoryCrossing("acme", Decimal(100), period=1, episode=2)


async def test_a_recovery_of_another_level_gives_nothing_back(receiver: Receiver) -> None:
    await post(receiver, body("e-1", 100))

    await post(receiver, body("e-2", 80, "recovered"), webhook_id="e-2")

    assert receiver.cut_off == {"acme"}


async def test_an_invoice_changes_no_access(receiver: Receiver) -> None:
    await post(receiver, body("e-1", 100))

    await post(receiver, invoice_body("e-2", "invoice.created", "draft"), webhook_id="e-2")
    await post(receiver, invoice_body("e-3", "invoice.updated", "issuing.syncing"), webhook_id="e-3")

    assert [arrival.webhook for arrival in receiver.arrivals[1:]] == [
        InvoiceIs("acme", "A-1", "draft", is_created=True),
        InvoiceIs("acme", "A-1", "issuing.syncing", is_created=False),
    ]
    assert receiver.cut_off == {"acme"}


async def test_a_repeated_webhook_is_answered_and_changes_nothing(receiver: Receiver) -> None:
    assert [await post(receiver, body("e-1")), await post(receiver, body("e-1"))] == [200, 200]

    assert [(arrival.is_taken, arrival.is_again) for arrival in receiver.arrivals] == [(True, False), (False, True)]


async def test_busy_is_answered_once_and_not_acted_upon(receiver: Receiver) -> None:
    receiver.be_busy_for(StoryCrossing("acme", Decimal(100), 1))

    assert [await post(receiver, body("e-1")), await post(receiver, body("e-1"))] == [503, 200]
    assert [arrival.is_taken for arrival in receiver.arrivals] == [False, True]


@pytest.mark.parametrize(
    ("text", "headers", "problem"),
    [
        # The shared secret is another.
        (body("e-1"), {"Authorization": "Bearer guessed"}, "the shared secret is missing or wrong"),
        (body("e-1"), {"Authorization": "Bearer ü"}, "the shared secret is missing or wrong"),
        # The signature is of other bytes, or too old.
        (body("e-1"), {"webhook-signature": "v1,AAAA"}, "the signature does not verify"),
        (body("e-1"), {"webhook-timestamp": "1"}, "the signature does not verify"),
        # Signed, and not what is documented.
        ("{}", {}, "the body is not as documented"),
        (json.dumps({"id": "e-1", "type": "invoice.created", "timestamp": "", "data": {}}), {}, "the body is not as"),
        (json.dumps({"id": "e-1", "type": "invoice.paid", "timestamp": "", "data": {}}), {}, "the body is not as"),
        (body("another"), {}, "the body's id is not the webhook-id"),
    ],
)
async def test_what_cannot_be_trusted_is_turned_away(
    receiver: Receiver, text: str, headers: dict[str, str], problem: str
) -> None:
    assert await post(receiver, text, **headers) == 401

    [arrival] = receiver.arrivals
    assert arrival.problem is not None
    assert arrival.problem.startswith(problem)
    assert receiver.cut_off == set()
