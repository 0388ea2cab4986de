"""Sample records, of which a rule type makes a sample of its event: for people who test a rule or a channel.

Made as OpenMeter's records are and read by the same code, so that the payload has every field of the reference product.
"""

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any, Final, assert_never

from schemas import openmeter, openmeter_invoices, times
from schemas.events import FeatureRef, encode
from schemas.sources import Invoice, Snapshot
from schemas.thresholds import Threshold, ThresholdType

UNNAMED: Final = FeatureRef("00000000000000000000000001", "sample_feature")  # of a rule about all features
_ENTITLEMENT: Final = "00000000000000000000000002"
_CUSTOMER: Final = "00000000000000000000000003"
_INVOICE: Final = "00000000000000000000000004"
_LINE: Final = "00000000000000000000000005"
_PROFILE: Final = "00000000000000000000000006"
_APP: Final = "00000000000000000000000007"
_ALLOWANCE: Final = Decimal(100)
_PRECISION: Final = 30  # a sum of two thresholds' digits would not be read, nor what is rounded up from the largest
_DIGITS: Final = Context(prec=_PRECISION, rounding=ROUND_DOWN)
_HUGE: Final = Decimal(10) ** _PRECISION  # to which an allowance adds nothing, but perhaps one exponent too many
_NOTHING: Final = Decimal(0)


def month_of(at: dt.datetime) -> dt.datetime:
    """Return the start of the month."""
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def level_of(threshold: Threshold) -> dict[str, object]:
    """Return a level at which *threshold* is reached: exactly."""
    match threshold.type:
        case ThresholdType.USAGE_PERCENTAGE | ThresholdType.PERCENT:
            return _level(threshold.value, _ALLOWANCE)
        case ThresholdType.USAGE_VALUE | ThresholdType.NUMBER:
            return _level(threshold.value, threshold.value)
        case ThresholdType.BALANCE_VALUE:
            allowance = _DIGITS.add(_ALLOWANCE, threshold.value) if threshold.value < _HUGE else threshold.value
            return _level(_ALLOWANCE, allowance) | {"balance": threshold.value}
        case _:
            assert_never(threshold.type)


def full_level() -> dict[str, object]:
    """Return a level of which nothing is used."""
    return _level(_NOTHING, _ALLOWANCE)


def sample_created(namespace: str, state: str, at: dt.datetime) -> Invoice:
    """Return a new invoice."""
    return openmeter_invoices.read_created(encode({"invoice": _invoice(namespace, state, at)}), **_envelope(at))


def sample_updated(namespace: str, state: str, at: dt.datetime) -> Invoice:
    """Return an invoice that enters *state*."""
    data = encode({"new": {"invoice": _invoice(namespace, state, at)}})
    return openmeter_invoices.read_updated(data, **_envelope(at))


def _level(usage: Decimal, allowance: Decimal) -> dict[str, object]:
    left = _DIGITS.subtract(allowance, usage)
    return {
        "usage": usage,
        "balance": max(left, _NOTHING),
        "overage": max(left.copy_negate(), _NOTHING),
        "totalAvailableGrantAmount": allowance,
        "hasAccess": left > 0,
    }


def sample_snapshot(
    namespace: str, feature: FeatureRef, at: dt.datetime, start: dt.datetime, value: Mapping[str, object]
) -> Snapshot:
    """Return a snapshot of *feature* calculated at *at*, in a period that begins at *start*."""
    begun = times.text(start)
    period = {"from": begun, "to": times.text((month_of(at) + dt.timedelta(days=32)).replace(day=1))}
    existed = {"createdAt": begun, "updatedAt": begun}
    data: dict[str, object] = {
        "operation": "update",
        "namespace": {"id": namespace},
        "calculatedAt": times.text(at),
        "value": value,
        "feature": {"id": feature.id, "key": feature.key, "name": "Sample feature", **existed},
        "subject": {"id": "", "key": "sample-subject", **existed},
        "customer": {
            "id": _CUSTOMER,
            "key": "sample-customer",
            "name": "Sample customer",
            "usageAttribution": {"subjectKeys": ["sample-subject"]},
            **existed,
        },
        "entitlement": {
            "id": _ENTITLEMENT,
            "type": "metered",
            "featureId": feature.id,
            "featureKey": feature.key,
            "usagePeriod": {"recurrences": [{"value": {"interval": "P1M", "anchor": begun}}]},
            "currentUsagePeriod": period,
            "measureUsageFrom": begun,
            "issueAfterReset": _ALLOWANCE,
            "isSoftLimit": False,
            "lastReset": begun,
            "preserveOverageAtReset": False,
            **existed,
        },
    }
    source = openmeter.read_snapshot(encode(data))
    assert isinstance(source, Snapshot)  # noqa: S101 - it is metered
    return source


def _envelope(at: dt.datetime) -> dict[str, str]:
    return {"source": "tollbell", "event_id": "sample", "time": times.text(at)}


def _invoice(namespace: str, state: str, at: dt.datetime) -> dict[str, Any]:
    start = month_of(at)
    period = {"from": times.text((start - dt.timedelta(days=1)).replace(day=1)), "to": times.text(start)}
    now = times.text(at)
    existed = {"createdAt": now, "updatedAt": now}
    parts = ("chargesTotal", "discountsTotal", "taxesInclusiveTotal", "taxesExclusiveTotal", "taxesTotal")
    totals = {"amount": "120", "creditsTotal": "0", "total": "120"} | dict.fromkeys(parts, "0")
    return {
        "namespace": namespace,
        "id": _INVOICE,
        "number": "INV-SAMPLE-1",
        "type": "standard",
        "currency": "USD",
        "status": state,
        "period": period,
        "dueDate": times.text(at + dt.timedelta(days=30)),
        "customer": {
            "customerId": _CUSTOMER,
            "key": "sample-customer",
            "name": "Sample customer",
            "usageAttribution": {"subjectKeys": ["sample-subject"]},
        },
        "supplier": {"name": "Sample supplier", "address": {"country": "US"}},
        "workflow": _workflow(),
        "lines": [
            {
                "id": _LINE,
                "name": "Sample line",
                "managedBy": "manual",
                "currency": "USD",
                "period": period,
                "invoiceAt": now,
                "usageBased": {"price": {"type": "unit", "amount": "0.01"}, "featureKey": UNNAMED.key},
                "totals": totals,
                **existed,
            }
        ],
        "totals": totals,
        **existed,
    }


def _workflow() -> dict[str, Any]:
    return {
        "appReferences": {name: {"id": _APP} for name in ("tax", "invoicing", "payment")},
        "sourceBillingProfileId": _PROFILE,
        "config": {
            "collection": {"alignment": "subscription", "period": "PT1H"},
            "invoicing": {},
            "payment": {},
            "tax": {"enabled": True, "enforced": False},
        },
    }
