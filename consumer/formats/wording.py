"""An event in words, as a person would write it: the one place that knows every type of event and action."""

from typing import assert_never

from consumer.formats import entitlement_wording, invoice_wording, texts
from consumer.formats.message import Message, Severity, facts
from consumer.formats.seen import (
    CrossingEvent,
    InvoiceCreatedEvent,
    InvoiceUpdatedEvent,
    OtherData,
    OtherEvent,
    Seen,
    SeenReset,
    party,
)


def message(event: Seen, *, is_test: bool = False) -> Message:
    """Return what *event* says; of a test also that nothing has happened."""
    written = _message(event)
    if not is_test:
        return written
    text = f"This is a test with sample figures: nothing has happened. {written.text}"
    return Message(f"Test: {written.title}", text, written.facts, written.severity)


def _message(event: Seen) -> Message:
    match event:
        case CrossingEvent(data=data) if data.action == "recovered":
            return entitlement_wording.recovered(data)
        case CrossingEvent(data=data):
            return entitlement_wording.crossed(data)
        case SeenReset(data=data):
            return entitlement_wording.reset(data)
        case InvoiceCreatedEvent(data=data):
            return invoice_wording.created(data)
        case InvoiceUpdatedEvent(data=data):
            return invoice_wording.updated(data)
        case OtherEvent(data=data):
            return _other(data, event.type)
        case _:
            assert_never(event)


def _other(data: OtherData, kind: str) -> Message:
    """Return what is true of an event of any type."""
    rule = texts.name(data.rule.name)
    parties = {"Customer": party(data.customer), "Subject": party(data.subject), "Feature": data.feature}
    named = [(label, texts.name(next(filter(None, one.texts()), ""))) for label, one in parties.items()]
    return Message(f"{rule}: {kind}", f"The rule “{rule}” has fired.", facts([*named, ("Rule", rule)]), Severity.INFO)
