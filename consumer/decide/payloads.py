"""A crossing and its id → the event's data, frozen; and what makes it the same event as another."""

import hashlib
from typing import Final

from consumer.decide.model import Crossing
from schemas import times
from schemas.events import (
    Action,
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
    return _identity(crossing, crossing.episode, crossing.action)


def preceding(crossing: Crossing) -> bytes | None:
    """Return the identity of the event that a receiver must have had before this one, or None.

    A recovery comes after what it recovers from, the next episode after that recovery. Whether it was ever made is the
    store's to know.
    """
    if crossing.action is Action.RECOVERED:
        return _identity(crossing, crossing.episode, Action.TRIGGERED)
    if crossing.episode > 1:
        return _identity(crossing, crossing.episode - 1, Action.RECOVERED)
    return None


def _identity(crossing: Crossing, episode: int, action: Action) -> bytes:
    snapshot = crossing.snapshot
    parts = (
        "crossing",
        snapshot.namespace,
        crossing.rule.id,
        snapshot.entitlement_id,
        snapshot.period_from.isoformat(),
        crossing.threshold.identity,
        str(episode),
        action.value,
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
                action=crossing.action.value,
                rule=rule_part(crossing.rule, about),
                threshold=threshold_part(crossing.threshold),
                feature=about.feature,
                entitlement=about.entitlement,
                value=about.value,
                crossing=CrossingPart(crossing.episode, [threshold_part(one) for one in crossing.also_crossed]),
                subject=about.subject,
                customer=about.customer,
            ),
        ),
    )
