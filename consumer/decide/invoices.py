"""An invoice's record judged by all rules about invoices, and the newest state seen remembered."""

from collections.abc import Sequence

from msgspec.structs import replace

from consumer.decide.model import InvoiceChange, InvoiceDocument, Judgement, Reason
from consumer.decide.rules import invoice_updated
from schemas.rules import InvoiceCreatedSpec, InvoiceUpdatedSpec, Rule, RuleType
from schemas.sources import Invoice


def judge(rules: Sequence[Rule], invoice: Invoice, document: InvoiceDocument) -> Judgement:
    """Judge *invoice* by the rules about created ones, or about updated ones, whichever it is.

    An event's identity says whether it was made before: for `invoice.created` rule and invoice, for `invoice.updated`
    also the new state and the CloudEvent. Hence nothing of that is remembered here.
    """
    changes: list[InvoiceChange] = []
    reasons: list[tuple[RuleType, Reason]] = []
    for rule in rules:
        match rule.spec:
            case InvoiceCreatedSpec() if invoice.is_created:
                reason = Reason.GATHERING if invoice_updated.is_gathering(invoice) else Reason.INVOICE_CREATED
                previous = None
            case InvoiceUpdatedSpec() as spec if not invoice.is_created:
                previous = invoice.previous or document.state
                reason = invoice_updated.judge(spec, invoice, document, previous=previous)
            case _:
                continue
        reasons.append((rule.type, reason))
        if reason is Reason.INVOICE_CREATED or reason is Reason.STATE_CHANGED:
            changes.append(InvoiceChange(rule=rule, invoice=invoice, previous=previous, reason=reason))
    return Judgement(_remembered(document, invoice), tuple(changes), tuple(reasons))


def _remembered(document: InvoiceDocument, invoice: Invoice) -> InvoiceDocument:
    if document.as_of is not None and invoice.at < document.as_of:
        return document
    if (document.state, document.as_of) == (invoice.state, invoice.at):
        return document
    return replace(document, state=invoice.state, as_of=invoice.at)
