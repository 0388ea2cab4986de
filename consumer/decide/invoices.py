"""An invoice's record judged by all rules about invoices, and the newest state seen remembered."""

from collections.abc import Sequence

from msgspec.structs import replace

from consumer.decide.model import InvoiceDocument, Judgement, Occurrence, Reason
from consumer.decide.rules import INVOICES
from schemas.rules import Rule, RuleType
from schemas.sources import Invoice


def judge_invoice(rules: Sequence[Rule], invoice: Invoice, document: InvoiceDocument) -> Judgement:
    """Judge *invoice* by the rules about created ones, or about updated ones, whichever it is.

    An event's identity says whether it was made before: for `invoice.created` rule and invoice, for `invoice.updated`
    also the new state and the CloudEvent. Hence nothing of that is remembered here.
    """
    changes: list[Occurrence] = []
    reasons: list[tuple[RuleType, Reason]] = []
    for rule in rules:
        kind = INVOICES[rule.type]
        if kind.is_about(invoice):
            reason, change = kind.evaluate(rule, invoice, document)
            reasons.append((rule.type, reason))
            if change is not None:
                changes.append(change)
    return Judgement(_remembered(document, invoice), tuple(changes), tuple(reasons))


def _remembered(document: InvoiceDocument, invoice: Invoice) -> InvoiceDocument:
    if document.as_of is not None and invoice.at < document.as_of:
        return document
    if (document.state, document.as_of) == (invoice.state, invoice.at):
        return document
    return replace(document, state=invoice.state, as_of=invoice.at)
