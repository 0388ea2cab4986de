"""An occurrence and its id → the event's data, frozen; and what makes it the same event as another."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal, assert_never

from msgspec import Struct

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
from schemas.sources import About, Snapshot

_SEPARATOR: Final = "\x00"  # no namespace, id, key or state holds a control character


def identity(occurrence: Occurrence) -> bytes:
    """Return 32 bytes that are equal for two occurrences if and only if they are one event.

    Of namespace and rule, and: for a crossing, entitlement, period start, threshold type and value, episode and action;
    for a reset, entitlement and start of the new period (and `Reset.after`); for an invoice, the invoice, and for an
    updated one its new state and the CloudEvent's source and id. Not of the rule's other settings, the subject or the
    wall clock.
    """
    match occurrence:
        case Crossing():
            return _of_crossing(occurrence, occurrence.episode, occurrence.action)
        case Reset(rule=rule, source=source, period_from=start, after=after):
            about = ("reset", source.namespace, rule.id, source.entitlement_id, start.isoformat())
            return _hashed(*about) if after is None else _hashed(*about, after.isoformat())
        case InvoiceChange(rule=rule, invoice=invoice):
            of_it = ("invoice", invoice.namespace, rule.id, invoice.invoice_id)
            if invoice.is_created:
                return _hashed(*of_it)
            return _hashed(*of_it, invoice.state, invoice.source, invoice.event_id)
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
        case Crossing(at=at):
            return at
        case Reset(period_from=start):
            return start
        case InvoiceChange(invoice=invoice):
            return invoice.at
        case _:
            assert_never(occurrence)


class Parties(Struct, frozen=True):
    """Whom an event is about, by which it is found again; None for what its record does not say."""

    subject_key: str | None = None
    feature_id: str | None = None
    feature_key: str | None = None
    customer_id: str | None = None
    customer_key: str | None = None


NOBODY: Final = Parties()


class Frozen(Struct, frozen=True):
    """An event's data as it stays: the body of the `openmeter` format, and whom it is about."""

    body: bytes
    parties: Parties


def freeze(occurrence: Occurrence, event_id: str) -> Frozen:
    """Return the event's data: made once, stored, signed and sent byte for byte."""
    timestamp = times.text(occurred_at(occurrence))
    match occurrence:
        case Crossing(snapshot=source) | Reset(source=source):
            about = source.origin.about()
            event: object = (
                BalanceThresholdEvent(
                    event_id, "entitlements.balance.threshold", timestamp, _crossing(occurrence, about)
                )
                if isinstance(occurrence, Crossing)
                else ResetEvent(event_id, "entitlements.reset", timestamp, _reset(occurrence, about))
            )
            return Frozen(encode(event), _parties(about.feature, about.subject, about.customer))
        case InvoiceChange(invoice=invoice):
            shown = invoice.origin.invoice()
            data = _invoice(occurrence, shown)
            made = (
                InvoiceEvent(event_id, "invoice.created", timestamp, data)
                if invoice.is_created
                else InvoiceEvent(event_id, "invoice.updated", timestamp, data)
            )
            return Frozen(encode(made), _parties({}, None, shown.get("customer")))
        case _:
            assert_never(occurrence)


def payload(occurrence: Occurrence, event_id: str) -> bytes:
    """Return the body of the `openmeter` format alone."""
    return freeze(occurrence, event_id).body


def _parties(feature: Mapping[str, Any], subject: object, customer: object) -> Parties:
    return Parties(
        subject_key=_named(subject, "key"),
        feature_id=_named(feature, "id"),
        feature_key=_named(feature, "key"),
        customer_id=_named(customer, "id"),
        customer_key=_named(customer, "key"),
    )


def _named(party: object, member: str) -> str | None:
    found = party.get(member) if isinstance(party, dict) else None
    return found if isinstance(found, str) and found else None


def _of_crossing(crossing: Crossing, episode: int, action: Action) -> bytes:
    snapshot = crossing.snapshot
    return _hashed(
        "crossing",
        snapshot.namespace,
        crossing.rule.id,
        snapshot.entitlement_id,
        crossing.period_from.isoformat(),
        crossing.threshold.identity,
        str(episode),
        action.value,
    )


def _hashed(*parts: str) -> bytes:
    return hashlib.sha256(_SEPARATOR.join(parts).encode()).digest()


def _crossing(crossing: Crossing, about: About) -> BalanceThresholdData:
    rule, spec = crossing.rule, crossing.rule.spec
    # isinstance asks pydantic's metaclass, which is slow
    assert type(spec) is BalanceThresholdSpec  # noqa: S101 - only such a rule has crossings
    return BalanceThresholdData(
        action=crossing.action.value,
        rule=RulePart(
            id=rule.id,
            name=rule.name,
            type=rule.type.value,
            thresholds=spec.parts,
            features=feature_refs(spec.features, about),
        ),
        threshold=threshold_part(crossing.threshold),
        feature=about.feature,
        entitlement=_entitlement(crossing, about),
        value={"hasAccess": True} if crossing.is_closing else about.value,
        crossing=CrossingPart(
            crossing.episode, [threshold_part(one) for one in crossing.also_crossed], _cause(crossing)
        ),
        subject=about.subject,
        customer=about.customer,
    )


def _reset(reset: Reset, about: About) -> ResetData:
    rule, spec = reset.rule, reset.rule.spec
    assert isinstance(spec, ResetSpec)  # noqa: S101 - only such a rule has resets
    return ResetData(
        action="triggered",
        rule=ResetRulePart(rule.id, rule.name, rule.type.value, feature_refs(spec.features, about)),
        reset=ResetPart("manual" if reset.reason is Reason.RESET_MANUAL else "automatic", times.text(reset.at)),
        feature=about.feature,
        entitlement=_entitlement(reset, about),
        value=about.value,
        subject=about.subject,
        customer=about.customer,
    )


def _entitlement(occurrence: Crossing | Reset, about: About) -> dict[str, Any]:
    """Return the entitlement with the period that the event is of, where its record shows another one."""
    start = occurrence.period_from
    match occurrence:
        case Crossing(is_closing=True, period_to=end):
            return in_period(about.entitlement, start, end)
        case Crossing(snapshot=Snapshot(period_from=shown, period_to=end)) if shown != start:
            return in_period(about.entitlement, start, end)
        case Reset(source=Snapshot(period_from=shown, period_to=end)) if shown != start:
            return in_period(about.entitlement, start, end)
        case _:
            return about.entitlement


def in_period(entitlement: dict[str, Any], start: dt.datetime, end: dt.datetime | None) -> dict[str, Any]:
    """Return *entitlement* of a record with another current usage period; one that never ends has no `to`."""
    period = {"from": times.text(start)} | ({} if end is None else {"to": times.text(end)})
    return {**entitlement, "currentUsagePeriod": period}


def _cause(crossing: Crossing) -> Literal["level", "period_end"] | None:
    if crossing.action is not Action.RECOVERED:
        return None
    return "period_end" if crossing.is_closing else "level"


def _invoice(change: InvoiceChange, shown: Mapping[str, Any]) -> dict[str, Any]:
    rule, spec = change.rule, change.rule.spec
    statuses = list(spec.statuses) if isinstance(spec, InvoiceUpdatedSpec) and spec.statuses is not None else None
    return {
        **shown,
        "action": change.action.value,
        "rule": InvoiceRulePart(rule.id, rule.name, rule.type.value, statuses),
        "previousStatus": change.previous,
    }
