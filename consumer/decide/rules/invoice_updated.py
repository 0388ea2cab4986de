"""`invoice.updated`: each change of an invoice's state that the rule wants.

The state is the extended status. What it was before says the record itself, else the newest record seen.
"""

from consumer.decide.model import InvoiceDocument, Reason
from schemas.rules import InvoiceUpdatedSpec
from schemas.sources import Invoice, short_status

GATHERING = "gathering"  # not an invoice yet: it collects what the next one will charge


def is_gathering(invoice: Invoice) -> bool:
    """Whether *invoice* is one that nobody is told of."""
    return short_status(invoice.state) == GATHERING


def judge(spec: InvoiceUpdatedSpec, invoice: Invoice, seen: InvoiceDocument, *, previous: str | None) -> Reason:
    """Return whether *invoice* has changed its state to one that is wanted, or why it is not told.

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
