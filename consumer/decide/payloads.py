"""A crossing and its id → the event's data, frozen; and what makes it the same event as another."""

import hashlib
from typing import Final

from consumer.decide.model import Crossing
from schemas import times
from schemas.events import (
    BalanceThresholdData,
    BalanceThresholdEvent,
    CrossingPart,
    encode,
    rule_part,
    threshold_part,
)

_SEPARATOR: Final = b"\x00"  # no namespace, id or key holds a control character


def identity(crossing: Crossing) -> bytes:
    """Return 32 bytes that are equal for two crossings if and only if they are one event.

    Of namespace, rule, entitlement, period start, threshold type and value, episode and action; not of the rule's other
    settings, the subject or the wall clock.
    """
    snapshot = crossing.snapshot
    parts = (
        "crossing",
        snapshot.namespace,
        crossing.rule.id,
        snapshot.entitlement_id,
        snapshot.period_from.isoformat(),
        crossing.threshold.identity,
        str(crossing.episode),
        "triggered",
    )
    return hashlib.sha256(_SEPARATOR.join(part.encode() for part in parts)).digest()


def payload(crossing: Crossing, event_id: str) -> bytes:
    """Return the body of the `openmeter` format: made once, stored, signed and sent byte for byte."""
    about = crossing.snapshot.origin.about()
    return encode(
        BalanceThresholdEvent(
            id=event_id,
            type="entitlements.balance.threshold",
            timestamp=times.text(crossing.snapshot.calculated_at),
            data=BalanceThresholdData(
                action="triggered",
                rule=rule_part(crossing.rule, about),
                threshold=threshold_part(crossing.threshold),
                feature=about.feature,
                entitlement=about.entitlement,
                value=about.value,
                crossing=CrossingPart(crossing.episode, []),
                subject=about.subject,
                customer=about.customer,
            ),
        ),
    )
