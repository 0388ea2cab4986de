"""`pagerduty`: an event of the Events API v2. A recovery resolves what its crossing triggered.

The key of the integration goes into the body when it is sent: the channel's secret `routing_key`.
"""

import hashlib
from typing import Any, Final, assert_never

import msgspec

from consumer.formats import texts
from consumer.formats.message import Message, Severity
from consumer.formats.rendered import Hole, Rendered
from consumer.formats.seen import (
    CrossingEvent,
    InvoiceCreatedEvent,
    InvoiceUpdatedEvent,
    OtherEvent,
    Seen,
    SeenPeriod,
    SeenReset,
    time,
    type_of,
)
from schemas import times
from schemas.thresholds import Threshold, ThresholdType

ROUTING_KEY: Final = "routing_key"
SUMMARY_LIMIT: Final = 1_024
_BEGIN: Final = b'{"routing_key":"'
_SEPARATOR: Final = "\x00"  # no id holds a control character
_SEVERITIES: Final = {
    Severity.CRITICAL: "critical",
    Severity.WARNING: "warning",
    Severity.INFO: "info",
    Severity.GOOD: "info",
}


def render(event: Seen, message: Message, link: str | None, *, is_test: bool) -> Rendered:
    """Return the body for *event*, which *message* is of."""
    is_recovery = isinstance(event, CrossingEvent) and event.data.action == "recovered"
    rest: dict[str, Any] = {
        "event_action": "resolve" if is_recovery else "trigger",
        "dedup_key": _hashed("test", event.id) if is_test else dedup_key(event),
        "payload": {
            "summary": texts.cut(message.title, SUMMARY_LIMIT),
            "source": _source(event),
            "severity": _SEVERITIES[message.severity],
            "timestamp": event.timestamp,
            "class": type_of(event),
            "custom_details": {"text": message.text} | {fact.label: fact.value for fact in message.facts},
        },
        "client": "Tollbell",
    }
    if link is not None:
        rest |= {"client_url": link, "links": [{"href": link, "text": "Open in Tollbell"}]}
    body = _BEGIN + b'",' + msgspec.json.encode(rest)[1:]
    return Rendered(body, holes=(Hole(len(_BEGIN), ROUTING_KEY),))


def dedup_key(event: Seen) -> str:
    """Return the key of the alert that *event* is about, 64 characters.

    Of a crossing and its recovery the same, of rule, entitlement, period and threshold; a later episode opens a new
    alert under it. Of a reset rule, entitlement and the new period; of an invoice's events rule and invoice; of any
    other the event.
    """
    match event:
        case CrossingEvent(data=data):
            threshold = Threshold(type=ThresholdType(data.threshold.type), value=data.threshold.value)
            period = data.entitlement.current_usage_period
            return _hashed("crossing", data.rule.id, data.entitlement.id, _start(period), threshold.identity)
        case SeenReset(data=data):
            return _hashed("reset", data.rule.id, data.entitlement.id, event.timestamp)
        case InvoiceCreatedEvent(data=data) | InvoiceUpdatedEvent(data=data):
            return _hashed("invoice", data.rule.id, data.id)
        case OtherEvent():
            return _hashed("event", event.id)
        case _:
            assert_never(event)


def _start(period: SeenPeriod) -> str:
    """Return the start of *period* in one spelling: records have their producer's, the clock's closing has ours."""
    start = time(period.from_)
    return period.from_ or "" if start is None else times.text(start)


def _source(event: Seen) -> str:
    """Return the id of what the event is about: PagerDuty's name of what is affected."""
    match event:
        case InvoiceCreatedEvent(data=data) | InvoiceUpdatedEvent(data=data):
            return data.id
        case CrossingEvent(data=data) | SeenReset(data=data):
            return data.entitlement.id
        case OtherEvent(data=data):
            return data.rule.id
        case _:
            assert_never(event)


def _hashed(*parts: str) -> str:
    return hashlib.sha256(_SEPARATOR.join(parts).encode()).hexdigest()
