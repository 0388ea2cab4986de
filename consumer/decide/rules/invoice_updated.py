"""`invoice.updated`: each change of an invoice's state that the rule wants.

The state is the extended status. What it was before says the record itself, else the newest record seen.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from consumer.decide.model import InvoiceDocument, Reason
from consumer.decide.rules.contracts import FOUND_AT_WRITE
from consumer.decide.rules.invoice_change import InvoiceChange, is_gathering
from consumer.decide.sample_records import sample_updated
from schemas.events import Action, FeatureRef
from schemas.rules import InvoiceUpdatedSpec, Rule, Spec
from schemas.sources import Invoice, short_status

REASONS: Final = (
    Reason.STATE_CHANGED,
    Reason.SAME_STATE,
    Reason.STATUS_NOT_WANTED,
    Reason.GATHERING,
    Reason.LATE,
    *FOUND_AT_WRITE,
)
ACTIONS: Final = (Action.TRIGGERED,)
SAMPLE: Final[Mapping[str, Any]] = {"statuses": ["paid"]}


def is_about(invoice: Invoice) -> bool:
    """Whether the record says that it was updated."""
    return not invoice.is_created


def evaluate(rule: Rule, invoice: Invoice, before: InvoiceDocument) -> tuple[Reason, InvoiceChange | None]:
    """Return whether the invoice has changed its state to one that is wanted."""
    previous = invoice.previous or before.state
    reason = _why(_its(rule.spec), invoice, before, previous=previous)
    if reason is not Reason.STATE_CHANGED:
        return reason, None
    return reason, InvoiceChange(rule=rule, invoice=invoice, previous=previous, reason=reason)


def sample(rule: Rule, _feature: FeatureRef, at: dt.datetime) -> InvoiceChange:
    """Return an invoice that enters the first state that is wanted."""
    statuses = _its(rule.spec).statuses
    state = statuses[0] if statuses else "issued"
    previous = "issuing.syncing" if state.startswith("draft") else "draft.waiting_auto_approval"
    changed = sample_updated(rule.namespace, state, at)
    return InvoiceChange(rule=rule, invoice=changed, previous=previous, reason=Reason.STATE_CHANGED)


def _its(spec: Spec) -> InvoiceUpdatedSpec:
    assert isinstance(spec, InvoiceUpdatedSpec)  # noqa: S101 - found by its type
    return spec


def _why(spec: InvoiceUpdatedSpec, invoice: Invoice, seen: InvoiceDocument, *, previous: str | None) -> Reason:
    """Return whether *invoice* has changed its state to one that is wanted, or why it is not notified.

    Args:
        spec: which states are wanted.
        invoice: an updated one.
        seen: the memory before it.
        previous: the state before it; None where none is known.
    """
    if is_gathering(invoice):
        return Reason.GATHERING
    if invoice.previous is None and seen.as_of is not None and invoice.at < seen.as_of:
        return Reason.LATE
    if previous == invoice.state:
        return Reason.SAME_STATE
    return Reason.STATE_CHANGED if _is_wanted(spec, invoice.state, previous) else Reason.STATUS_NOT_WANTED


def _is_wanted(spec: InvoiceUpdatedSpec, state: str, previous: str | None) -> bool:
    """A short status matches on entering it from another short status; an extended one whenever it is entered."""
    if spec.statuses is None:
        return True
    if "." in state and state in spec.statuses:
        return True
    short = short_status(state)
    return short in spec.statuses and (previous is None or short_status(previous) != short)
