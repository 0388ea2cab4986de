"""`invoice.created`: each new invoice, once."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from consumer.decide.model import InvoiceDocument, Reason
from consumer.decide.rules.contracts import FOUND_AT_WRITE
from consumer.decide.rules.invoice_change import InvoiceChange, is_gathering
from consumer.decide.sample_records import sample_created
from schemas.events import Action, FeatureRef
from schemas.rules import Rule
from schemas.sources import Invoice

REASONS: Final = (Reason.INVOICE_CREATED, Reason.GATHERING, *FOUND_AT_WRITE)
ACTIONS: Final = (Action.TRIGGERED,)
SAMPLE: Final[Mapping[str, Any]] = {}


def is_about(invoice: Invoice) -> bool:
    """Whether the record says that it was created."""
    return invoice.is_created


def evaluate(rule: Rule, invoice: Invoice, _before: InvoiceDocument) -> tuple[Reason, InvoiceChange | None]:
    """Return that the invoice is new; that it was notified before, its event's identity says."""
    if is_gathering(invoice):
        return Reason.GATHERING, None
    reason: Final = Reason.INVOICE_CREATED
    return reason, InvoiceChange(rule=rule, invoice=invoice, previous=None, reason=reason)


def sample(rule: Rule, _feature: FeatureRef, at: dt.datetime) -> InvoiceChange:
    """Return a new invoice."""
    made = sample_created(rule.namespace, "draft.created", at)
    return InvoiceChange(rule=rule, invoice=made, previous=None, reason=Reason.INVOICE_CREATED)
