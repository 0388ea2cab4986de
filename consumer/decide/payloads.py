"""An occurrence and its id → the event's data, frozen; and what makes it the same event as another."""

import datetime as dt
import hashlib
from typing import Final, assert_never

from consumer.decide.model import Crossing, InvoiceChange, Occurrence, Reason, Reset
from schemas import times
from schemas.events import (
    Action,
    BalanceThresholdData,
    BalanceThresholdEvent,
    CrossingPart,
    InvoiceEvent,
    InvoiceRulePart,
    ResetData,
    ResetEvent,
    ResetPart,
    ResetRulePart,
    RulePart,
    encode,
    feature_refs,
    threshold_part,
)
from schemas.rules import BalanceThresholdSpec, InvoiceUpdatedSpec, ResetSpec

_SEPARATOR: Final = b"\x00"  # no namespace, id, key or state holds a control character


def identity(occurrence: Occurrence) -> bytes:
    """Return 32 bytes that are equal for two occurrences if and only if they are one event.

    Of namespace and rule, and: for a crossing, entitlement, period start, threshold type and value, episode and action;
    for a reset, entitlement and start of the new period; for an invoice, the invoice, and for an updated one its new
    state and the CloudEvent's source and id. Not of the rule's other settings, the subject or the wall clock.
    """
    match occurrence:
        case Crossing():
            return _of_crossing(occurrence, occurrence.episode, occurrence.action)
        case Reset(rule=rule, source=source, period_from=start):
            return _hashed("reset", source.namespace, rule.id, source.entitlement_id, start.isoformat())
        case InvoiceChange(rule=rule, invoice=invoice):
            about = ("invoice", invoice.namespace, rule.id, invoice.invoice_id)
            if invoice.is_created:
                return _hashed(*about)
            return _hashed(*about, invoice.state, invoice.source, invoice.event_id)
        case _:
            assert_never(occurrence)


def preceding(occurrence: Occurrence) -> bytes | None:
    """Return the identity of the event that a receiver must have had before this one, or None.

    A recovery comes after what it recovers from, the next episode after that recovery. Whether it was ever made is the
    store's to know.
    """
    if not isinstance(occurrence, Crossing):
        return None
    if occurrence.action is Action.RECOVERED:
        return _of_crossing(occurrence, occurrence.episode, Action.TRIGGERED)
    if occurrence.episode > 1:
        return _of_crossing(occurrence, occurrence.episode - 1, Action.RECOVERED)
    return None


def occurred_at(occurrence: Occurrence) -> dt.datetime:
    """Return the payload's timestamp: when the threshold was crossed, the new period began, the invoice changed."""
    match occurrence:
        case Crossing(snapshot=snapshot):
            return snapshot.calculated_at
        case Reset(period_from=start):
            return start
        case InvoiceChange(invoice=invoice):
            return invoice.at
        case _:
            assert_never(occurrence)


def payload(occurrence: Occurrence, event_id: str) -> bytes:
    """Return the body of the `openmeter` format: made once, stored, signed and sent byte for byte."""
    timestamp = times.text(occurred_at(occurrence))
    match occurrence:
        case Crossing():
            return encode(
                BalanceThresholdEvent(event_id, "entitlements.balance.threshold", timestamp, _crossing(occurrence))
            )
        case Reset():
            return encode(ResetEvent(event_id, "entitlements.reset", timestamp, _reset(occurrence)))
        case InvoiceChange(invoice=invoice):
            data = _invoice(occurrence)
            return encode(
                InvoiceEvent(event_id, "invoice.created", timestamp, data)
                if invoice.is_created
                else InvoiceEvent(event_id, "invoice.updated", timestamp, data)
            )
        case _:
            assert_never(occurrence)


def _of_crossing(crossing: Crossing, episode: int, action: Action) -> bytes:
    snapshot = crossing.snapshot
    return _hashed(
        "crossing",
        snapshot.namespace,
        crossing.rule.id,
        snapshot.entitlement_id,
        snapshot.period_from.isoformat(),
        crossing.threshold.identity,
        str(episode),
        action.value,
    )


def _hashed(*parts: str) -> bytes:
    return hashlib.sha256(_SEPARATOR.join(part.encode() for part in parts)).digest()


def _crossing(crossing: Crossing) -> BalanceThresholdData:
    rule, spec = crossing.rule, crossing.rule.spec
    assert isinstance(spec, BalanceThresholdSpec)  # noqa: S101 - only such a rule has crossings
    about = crossing.snapshot.origin.about()
    return BalanceThresholdData(
        action=crossing.action.value,
        rule=RulePart(
            id=rule.id,
            name=rule.name,
            type=rule.type.value,
            thresholds=[threshold_part(threshold) for threshold in spec.thresholds],
            features=feature_refs(spec.features, about),
        ),
        threshold=threshold_part(crossing.threshold),
        feature=about.feature,
        entitlement=about.entitlement,
        value=about.value,
        crossing=CrossingPart(crossing.episode, [threshold_part(one) for one in crossing.also_crossed]),
        subject=about.subject,
        customer=about.customer,
    )


def _reset(reset: Reset) -> ResetData:
    rule, spec = reset.rule, reset.rule.spec
    assert isinstance(spec, ResetSpec)  # noqa: S101 - only such a rule has resets
    about = reset.source.origin.about()
    return ResetData(
        action="triggered",
        rule=ResetRulePart(rule.id, rule.name, rule.type.value, feature_refs(spec.features, about)),
        reset=ResetPart("manual" if reset.reason is Reason.RESET_MANUAL else "automatic", times.text(reset.at)),
        feature=about.feature,
        entitlement=about.entitlement,
        value=about.value,
        subject=about.subject,
        customer=about.customer,
    )


def _invoice(change: InvoiceChange) -> dict[str, object]:
    rule, spec = change.rule, change.rule.spec
    statuses = list(spec.statuses) if isinstance(spec, InvoiceUpdatedSpec) and spec.statuses is not None else None
    return {
        **change.invoice.origin.invoice(),
        "action": change.action.value,
        "rule": InvoiceRulePart(rule.id, rule.name, rule.type.value, statuses),
        "previousStatus": change.previous,
    }
