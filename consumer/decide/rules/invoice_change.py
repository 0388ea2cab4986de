"""An invoice that was created, or changed its state, and the event of it."""

import datetime as dt
from typing import Any, Literal

import msgspec

from consumer.decide.model import Payload, Reason
from consumer.decide.payloads import parties
from schemas.events import Action, InvoiceEvent, InvoiceRulePart
from schemas.rules import InvoiceUpdatedSpec, Rule
from schemas.sources import Invoice, short_status

GATHERING = "gathering"  # not an invoice yet: it collects what the next one will charge


class InvoiceChange(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that was created, or changed its state; *previous* is the state before, None where none is known."""

    rule: Rule
    invoice: Invoice
    previous: str | None
    reason: Literal[Reason.INVOICE_CREATED, Reason.STATE_CHANGED]
    action: Action = Action.TRIGGERED

    @property
    def occurred_at(self) -> dt.datetime:
        """When the invoice changed."""
        return self.invoice.at

    @property
    def made_before(self) -> Reason:
        """The event is a duplicate."""
        return Reason.DUPLICATE

    @property
    def fired_in(self) -> None:
        """An invoice has no usage period."""

    @property
    def closes(self) -> None:
        """It is about no threshold."""

    def identity(self) -> tuple[str, ...]:
        """Return rule and invoice, and of an updated one its new state and the CloudEvent's source and id."""
        invoice = self.invoice
        of_it = ("invoice", invoice.namespace, self.rule.id, invoice.invoice_id)
        return of_it if invoice.is_created else (*of_it, invoice.state, invoice.source, invoice.event_id)

    def preceding(self) -> None:
        """No event has to come before it."""

    def payload(self, event_id: str, timestamp: str) -> Payload:
        """Return `invoice.created` or `invoice.updated`."""
        shown = self.invoice.origin.invoice()
        data = self._data(shown)
        event = (
            InvoiceEvent(event_id, "invoice.created", timestamp, data)
            if self.invoice.is_created
            else InvoiceEvent(event_id, "invoice.updated", timestamp, data)
        )
        return Payload(event, parties({}, None, shown.get("customer")))

    def _data(self, shown: dict[str, Any]) -> dict[str, Any]:
        rule, spec = self.rule, self.rule.spec
        statuses = list(spec.statuses) if isinstance(spec, InvoiceUpdatedSpec) and spec.statuses is not None else None
        return {
            **shown,
            "action": self.action.value,
            "rule": InvoiceRulePart(rule.id, rule.name, rule.type.value, statuses),
            "previousStatus": self.previous,
        }


def is_gathering(invoice: Invoice) -> bool:
    """Whether *invoice* is one that is never notified."""
    return short_status(invoice.state) == GATHERING
