"""Webhooks as Tollbell sends them, for the handler under deploy/enforcement: made here, from nothing of the project."""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import standardwebhooks

from consumer import clock
from deploy.enforcement.access import Place
from deploy.enforcement.handler import BackendFailed, Enforcer
from deploy.enforcement.middleware import Refusals

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOVEMBER = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
DECEMBER = {"from": "2026-12-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
ACME = Place("acme", "llm_tokens")


def about(entitlement: str, period: dict[str, str], **data: Any) -> dict[str, Any]:
    return {
        "customer": {"id": "c-1", "key": "acme"},
        "subject": {"key": "acme-prod"},
        "feature": {"id": "f-1", "key": "llm_tokens"},
        "entitlement": {"id": entitlement, "type": "metered", "currentUsagePeriod": period},
        "value": {"hasAccess": True},
        **data,
    }


def crossed(
    percent: object = 100,
    action: str = "triggered",
    *,
    at: str = "2026-11-20T10:00:00Z",
    episode: int = 1,
    period: dict[str, str] | None = None,
    entitlement: str = "ent-1",
    rule: str = "rule-1",
    kind: str = "usage_percentage",
    cause: str = "level",
    also: tuple[int, ...] = (),
    **data: Any,
) -> dict[str, Any]:
    crossing = {"episode": episode, "alsoCrossed": [{"type": kind, "value": one} for one in also]}
    return {
        "type": "entitlements.balance.threshold",
        "timestamp": at,
        "data": about(
            entitlement,
            period or NOVEMBER,
            action=action,
            rule={"id": rule, "name": "Quota", "type": "entitlements.balance.threshold"},
            threshold={"type": kind, "value": percent},
            crossing=crossing | ({"cause": cause} if action == "recovered" else {}),
            **data,
        ),
    }


def reset(at: str, period: dict[str, str], *, entitlement: str = "ent-1", **data: Any) -> dict[str, Any]:
    rule = {"id": "rule-2", "name": "Renewed", "type": "entitlements.reset"}
    return {
        "type": "entitlements.reset",
        "timestamp": at,
        "data": about(
            entitlement, period, action="triggered", rule=rule, reset={"kind": "automatic", "at": at}, **data
        ),
    }


@dataclass(frozen=True)
class Sent:
    """A webhook on the wire."""

    headers: dict[str, str]
    body: bytes


def signed(event: dict[str, Any], webhook_id: str, *, secret: str = SECRET) -> Sent:
    now, body = clock.now(), json.dumps({"id": webhook_id, **event})
    signature = standardwebhooks.Webhook(secret).sign(webhook_id, now, body)
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return Sent(headers, body.encode())


@dataclass
class Failing(Refusals):
    """A backend that fails a given number of times, before or after the change is made."""

    before: int = 0
    after: int = 0
    calls: list[tuple[str, Place]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def cut_off(self, place: Place, until: Any) -> None:
        self._begin("cut_off", place)
        await super().cut_off(place, until)
        self._end()

    async def give_back(self, place: Place) -> None:
        self._begin("give_back", place)
        await super().give_back(place)
        self._end()

    def _begin(self, name: str, place: Place) -> None:
        self.calls.append((name, place))
        if self.before:
            self.before -= 1
            raise BackendFailed("before")

    def _end(self) -> None:
        if self.after:
            self.after -= 1
            raise BackendFailed("after")


class Sender:
    """Sends events to an enforcer, in this process."""

    def __init__(self, enforcer: Enforcer) -> None:
        self.enforcer = enforcer
        self._count = 0

    async def __call__(self, event: dict[str, Any], webhook_id: str = "") -> HTTPStatus:
        self._count += 1
        sent = signed(event, webhook_id or f"e-{self._count}")
        return await self.enforcer.receive(sent.headers, sent.body)
