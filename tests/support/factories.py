"""Records, rules and snapshots with what a test does not care about filled in."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

from aiokafka import ConsumerRecord

from consumer.consume.batch import KafkaRecord
from schemas.events import FeatureRef
from schemas.rules import BalanceThresholdSpec, Rule, RuleId
from schemas.sources import About, Snapshot

NOW = dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)
FEATURE = FeatureRef("f-1", "llm_tokens")
PERIOD = (dt.datetime(2026, 11, 1, tzinfo=dt.UTC), dt.datetime(2026, 12, 1, tzinfo=dt.UTC))


class NoOrigin:
    """A snapshot made in a test: there is no record behind it."""

    def about(self) -> About:
        return About(feature={"key": "llm_tokens"}, entitlement={"id": "ent-1"}, value={"hasAccess": True})


def make_rule(
    *thresholds: tuple[str, object],
    rule_id: str = "rule-1",
    features: list[str] | None = None,
    percents: list[object] | None = None,
    emit: str | None = None,
    rearm: str | None = None,
    notify_on: list[str] | None = None,
) -> Rule:
    """A rule with *thresholds* of (type, value), and *percents* as usage percentages; None: the default."""
    settings = {"features": features, "emit": emit, "rearm": rearm, "notifyOn": notify_on}
    wanted = [*thresholds, *(("usage_percentage", percent) for percent in percents or [])]
    spec = BalanceThresholdSpec.model_validate(
        {
            "type": "entitlements.balance.threshold",
            "thresholds": [{"type": kind, "value": value} for kind, value in wanted],
            **{name: setting for name, setting in settings.items() if setting},
        }
    )
    return Rule(id=RuleId(rule_id), namespace="default", name="Quota", spec=spec, channels=("channel-1",))


def make_snapshot(
    usage: object = None,
    allowance: object = 100,
    balance: object = None,
    *,
    period: tuple[dt.datetime, dt.datetime] = PERIOD,
    minute: int = 0,
    **more: Any,
) -> Snapshot:
    """A snapshot, calculated *minute* minutes after NOW."""

    def exact(value: object) -> Decimal | None:
        return None if value is None else Decimal(str(value))

    fields: dict[str, Any] = {
        "namespace": "default",
        "entitlement_id": "ent-1",
        "feature_id": "f-1",
        "feature_key": "llm_tokens",
        "calculated_at": NOW + dt.timedelta(minutes=minute),
        "period_from": period[0],
        "period_to": period[1],
        "usage": exact(usage),
        "allowance": exact(allowance),
        "balance": exact(balance),
        "origin": NoOrigin(),
    }
    return Snapshot(**(fields | more))


def native_record(
    usage: object,
    allowance: object = 100,
    *,
    entitlement: str = "ent-1",
    calculated_at: str = "2026-11-22T10:15:30Z",
    period: tuple[str, str] = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
    **data: Any,
) -> bytes:
    """The bytes of a native snapshot; amounts given as text stay that text, as JSON numbers."""
    record = {
        "specversion": "1.0",
        "id": f"{entitlement}-{usage}",
        "source": "tests",
        "type": "tollbell.usage.snapshot",
        "subject": "acme-prod",
        "time": calculated_at,
        "data": {
            "calculatedAt": calculated_at,
            "customer": {"id": "c-1", "key": "acme", "name": "ACME Inc."},
            "subject": {"key": "acme-prod"},
            "feature": {"id": "f-1", "key": "llm_tokens"},
            "entitlement": {"id": entitlement, "period": {"from": period[0], "to": period[1]}},
            "value": {"usage": "@usage@", "allowance": "@allowance@"},
            **data,
        },
    }
    text = json.dumps(record).replace('"@usage@"', str(usage)).replace('"@allowance@"', str(allowance))
    return text.encode()


def kafka_record(
    value: bytes | None = b'{"specversion":"1.0","id":"reading-1","source":"meters","type":"none"}',
    *,
    key: bytes | None = b"acme",
    headers: tuple[tuple[str, bytes], ...] = (),
    offset: int = 7,
    timestamp: int = 1_795_342_530_000,
) -> KafkaRecord:
    """A record as the consumer hands it out."""
    return ConsumerRecord(
        topic="usage",
        partition=3,
        offset=offset,
        timestamp=timestamp,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=headers,
    )


def openmeter_record(value: str = "", **data: Any) -> bytes:
    """OpenMeter's snapshot of its documentation, *value* as JSON text, members of data replaced by *data*."""
    record: dict[str, Any] = {
        "specversion": "1.0",
        "id": "01K2Z8QH4T6W8Y0A2C4E6G8J0M",
        "source": "//openmeter.io/namespace/default/event",
        "type": "io.openmeter.entitlement.v2.entitlement.snapshot",
        "subject": "//openmeter.io/namespace/default/customer/01J5WZ3M2A7Q9R4T6V8X0Y1Z2B/subjectKey/acme-prod",
        "datacontenttype": "application/json",
        "time": "2026-08-18T16:01:50.412345Z",
        "data": {
            "entitlement": OPENMETER_ENTITLEMENT,
            "namespace": {"id": "default"},
            "subject": {
                "createdAt": "0001-01-01T00:00:00Z",
                "updatedAt": "0001-01-01T00:00:00Z",
                "namespace": "default",
                "id": "",
                "key": "acme-prod",
            },
            "customer": {
                "namespace": "default",
                "createdAt": "2026-07-15T08:00:00Z",
                "updatedAt": "2026-07-15T08:00:00Z",
                "id": "01J5WZ3M2A7Q9R4T6V8X0Y1Z2B",
                "name": "ACME Inc.",
                "key": "acme",
                "usageAttribution": {"subjectKeys": ["acme-prod"]},
                "ActiveSubscriptionIDs": None,
            },
            "feature": {
                "namespace": "default",
                "id": "01J5WKAM9FJ4621ARR641JS17Q",
                "name": "LLM tokens",
                "key": "llm_tokens",
                "meterID": "01J5WKMETER000000000000001",
                "meterSlug": "tokens_total",
                "createdAt": "2026-07-01T08:00:00Z",
                "updatedAt": "2026-07-01T08:00:00Z",
            },
            "operation": "update",
            "calculatedAt": "2026-08-18T16:01:50.31Z",
            "value": "@value@",
            "currentUsagePeriod": {"from": "2026-08-01T00:00:00Z", "to": "2026-09-01T00:00:00Z"},
            **data,
        },
    }
    usual = '{"balance":1900,"hasAccess":true,"overage":0,"totalAvailableGrantAmount":10000,"usage":8100}'
    return json.dumps(record).replace('"@value@"', value or usual).encode()


OPENMETER_ENTITLEMENT = {
    "namespace": "default",
    "createdAt": "2026-07-15T09:00:00Z",
    "updatedAt": "2026-07-15T09:00:00Z",
    "Annotations": None,
    "id": "01J5WM25BAXSCBKG2D9NDYJB6S",
    "featureId": "01J5WKAM9FJ4621ARR641JS17Q",
    "featureKey": "llm_tokens",
    "customerId": "01J5WZ3M2A7Q9R4T6V8X0Y1Z2B",
    "type": "metered",
    "usagePeriod": {
        "recurrences": [
            {"value": {"interval": "P1M", "anchor": "2026-08-01T00:00:00Z"}, "time": "2026-08-01T00:00:00Z"}
        ]
    },
    "currentUsagePeriod": {"from": "2026-08-01T00:00:00Z", "to": "2026-09-01T00:00:00Z"},
    "originalUsagePeriodAnchor": "2026-08-01T00:00:00Z",
    "measureUsageFrom": "2026-08-01T00:00:00Z",
    "issueAfterReset": 10000,
    "issueAfterResetPriority": 1,
    "isSoftLimit": False,
    "lastReset": "2026-08-01T00:00:00Z",
    "preserveOverageAtReset": False,
}


def rules_yaml(url: str, *thresholds: object, secret: str = "${HOOK_SECRET}") -> str:  # noqa: S107 - a variable's name
    """A rules file: one channel, one rule with usage percentages."""
    lines = ", ".join(f"{{type: usage_percentage, value: {threshold}}}" for threshold in thresholds)
    return f"""\
namespace: default
channels:
  - key: hook
    type: WEBHOOK
    name: Hook
    url: {url}
    customHeaders: {{X-Webhook-Secret: hush-hush}}
    signingSecret: {secret}
rules:
  - key: quota
    type: entitlements.balance.threshold
    name: Quota reached
    channels: [hook]
    features: [llm_tokens]
    thresholds: [{lines}]
"""


def reset_record(
    usage: object = 0, allowance: object = 100, *, reset_at: str, period: tuple[str, str], **more: Any
) -> bytes:
    """The bytes of a native reset: the period and the value after it."""
    record = json.loads(native_record(usage, allowance, calculated_at=reset_at, period=period, **more))
    record["type"] = "tollbell.entitlement.reset"
    record["data"]["resetAt"] = reset_at
    return json.dumps(record).encode()


def invoice_record(
    status: str,
    previous: str | None = None,
    *,
    kind: str = "updated",
    time: str | None = "2026-11-22T10:15:30Z",
    event_id: str = "e-1",
    **invoice: Any,
) -> bytes:
    """The bytes of a native invoice record."""
    data: dict[str, Any] = {"invoice": {"id": "inv-1", "number": "INV-1", "status": status, **invoice}}
    if previous is not None:
        data["previousStatus"] = previous
    envelope = {"specversion": "1.0", "id": event_id, "source": "tests", "type": f"tollbell.invoice.{kind}"}
    return json.dumps(envelope | ({"time": time} if time else {}) | {"data": data}).encode()
