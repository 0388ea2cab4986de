"""The judgement: a record, the rules that want it, the memory → the memory after, what fires, and why.

Pure: no clock, no randomness, nothing awaited, nothing logged. Every transition of the memory is in this folder, none
in SQL.
"""

import datetime as dt
from collections.abc import Sequence
from typing import assert_never

from consumer.decide.entitlements import end_period, judge_entitlement
from consumer.decide.invoices import judge_invoice
from consumer.decide.model import TOLERANCE, AnyDocument, Document, InvoiceDocument, Judgement, Reason
from schemas.rules import Rule
from schemas.sources import Invoice, PeriodEnd, Snapshot, SourceEvent, Unmetered


def judge(
    rules: Sequence[Rule], source: SourceEvent, document: AnyDocument, *, tolerance: dt.timedelta = TOLERANCE
) -> Judgement:
    """Judge *source* by each of *rules* on *document*, the memory of its entitlement or invoice.

    *tolerance* is how far clocks may be apart: so much newer is a record that moves a period's start back.

    The same arguments give the same judgement. A record judged again on the memory that it left fires nothing, but for
    an invoice's: its events are known again by their identity.
    """
    if isinstance(source, Snapshot):  # first: nearly all are
        assert isinstance(document, Document)  # noqa: S101 - found by the entitlement's own key
        return judge_entitlement(rules, source, document, tolerance=tolerance)
    if isinstance(source, Invoice):
        assert isinstance(document, InvoiceDocument)  # noqa: S101 - found by the invoice's own key
        return judge_invoice(rules, source, document)
    assert isinstance(document, Document)  # noqa: S101 - likewise
    match source:
        case Unmetered():
            return Judgement(document, (), tuple((rule.type, Reason.NOT_METERED) for rule in rules))
        case PeriodEnd():
            return end_period(rules, source, document)
        case _:
            assert_never(source)
