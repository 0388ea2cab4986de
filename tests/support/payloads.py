"""Payloads of every type of event and action, and the same with other names and amounts in them."""

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from consumer.decide.model import Occurrence, Reason
from consumer.decide.payloads import payload
from consumer.decide.rules import sample
from consumer.decide.rules.crossing import Crossing
from consumer.decide.rules.entitlement_reset import Reset
from consumer.decide.sample_records import UNNAMED
from schemas.events import Action, encode
from schemas.sources import PeriodEnd
from tests.support.factories import make_rule
from tests.support.rules import reset_rule, rule_of

AT: Final = dt.datetime(2026, 11, 22, 10, 15, 30, 123000, tzinfo=dt.UTC)
EVENT_ID: Final = "01K9ZBC3K9YJ4M2V7Q8R5T6W1X"
NEXT: Final = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
STATES: Final = (
    *("draft.waiting_auto_approval", "issuing.failed", "issued", "overdue", "paid", "payment_processing.pending"),
    *("uncollectible", "voided", "deleted", "on_hold.by_sales"),
)
LEVELS: Final = (("usage_percentage", 80), ("PERCENT", 100), ("usage_value", 5000), ("balance_value", 10))
# Where a name or an amount is in a payload.
NAMES: Final = ("customer.name", "customer.key", "subject.key", "feature.name", "feature.key", "rule.name", "number")
AMOUNTS: Final = ("value.usage", "value.balance", "value.overage", "value.totalAvailableGrantAmount")


def _closing(crossing: Crossing) -> Crossing:
    snapshot = crossing.snapshot
    ended = PeriodEnd(
        namespace=snapshot.namespace,
        entitlement_id=snapshot.entitlement_id,
        feature_id=snapshot.feature_id,
        feature_key=snapshot.feature_key,
        origin=snapshot.origin,
    )
    return replace(
        crossing,
        action=Action.RECOVERED,
        reason=Reason.RECOVERED,
        snapshot=ended,
        is_closing=True,
        period_to=NEXT,
        at=NEXT,
    )


def _occurrences() -> dict[str, Occurrence]:
    found: dict[str, Occurrence] = {}
    for kind, value in LEVELS:
        crossing = sample(make_rule((kind, value)), UNNAMED, AT)
        assert isinstance(crossing, Crossing)
        found[f"{kind} triggered"] = crossing
        found[f"{kind} recovered"] = replace(crossing, action=Action.RECOVERED, reason=Reason.RECOVERED)
        found[f"{kind} closed"] = _closing(crossing)
    again = found["usage_percentage triggered"]
    assert isinstance(again, Crossing)
    found["again"] = replace(again, episode=2, also_crossed=again.rule.spec.thresholds * 7)  # type: ignore[union-attr]
    manual = sample(reset_rule(), UNNAMED, AT)
    assert isinstance(manual, Reset)
    found["reset manual"] = manual
    found["reset automatic"] = replace(manual, reason=Reason.RESET_AUTOMATIC)
    found["invoice created"] = sample(rule_of("invoice.created"), UNNAMED, AT)
    for state in STATES:
        found[f"invoice {state}"] = sample(rule_of("invoice.updated", statuses=[state]), UNNAMED, AT)
    return found


def _payloads() -> dict[str, bytes]:
    made = {name: payload(one, EVENT_ID) for name, one in _occurrences().items()}
    # The clock's own events know no amounts.
    for name in ("reset automatic", "usage_percentage closed"):
        made[f"{name} by the clock"] = with_members(made[name], {"value": {"hasAccess": True}})
    return made


def with_members(body: bytes, members: Mapping[str, object]) -> bytes:
    """Return the payload *body* with *members*, by their paths in its data; None takes one away."""
    event = json.loads(body, parse_float=Decimal)
    for path, value in members.items():
        *parents, last = path.split(".")
        place: Any = event["data"]
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return encode(event)


PAYLOADS: Final = _payloads()
