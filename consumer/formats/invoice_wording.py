"""Events of invoices in words."""

from collections.abc import Iterator
from typing import Final

from consumer.formats import texts
from consumer.formats.message import Message, Severity, facts, sentences
from consumer.formats.seen import InvoiceData, SeenPeriod, party, period, text, time, total
from schemas.sources import short_status

# The reference product's short statuses; a metering may have states of its own.
_PHRASES: Final = {
    "deleted": "is deleted",
    "draft": "is a draft",
    "issued": "is issued",
    "issuing": "is being issued",
    "overdue": "is overdue",
    "paid": "is paid",
    "payment_processing": "is being paid",
    "uncollectible": "cannot be collected",
    "voided": "is void",
}
_SEVERITIES: Final = {
    "overdue": Severity.WARNING,
    "paid": Severity.GOOD,
    "uncollectible": Severity.CRITICAL,
}
_SETTLED: Final = frozenset({"deleted", "paid", "uncollectible", "voided"})


def created(data: InvoiceData) -> Message:
    """Return what a new invoice says."""
    status = f"Its status is “{_status(data.status_details.extended_status)}”."
    return Message(
        f"{_which(data)} was created", sentences(_amount(data), status, _due(data)), facts(_facts(data)), Severity.INFO
    )


def updated(data: InvoiceData) -> Message:
    """Return what an invoice in another state says."""
    state = data.status_details.extended_status
    phrase = _PHRASES.get(short_status(state), f"is now “{_status(short_status(state))}”")
    now = "" if state == short_status(state) else f"Its whole status is “{_status(state)}”."
    before = f"Before, it was “{_status(data.previous_status)}”." if data.previous_status else ""
    severity = _SEVERITIES.get(short_status(state), Severity.WARNING if "failed" in state else Severity.INFO)
    return Message(
        f"{_which(data)} {phrase}",
        sentences(_amount(data), now, before, _due(data)),
        facts(_facts(data)),
        severity,
    )


def _which(data: InvoiceData) -> str:
    number = texts.name(text(data.number)) or texts.name(data.id)
    who = _who(data)
    return f"Invoice {number} for {who}" if who else f"Invoice {number}"


def _who(data: InvoiceData) -> str:
    return next(filter(None, map(texts.name, party(data.customer).texts())), "")


def _status(state: str) -> str:
    """Return `draft, waiting auto approval` of `draft.waiting_auto_approval`."""
    return texts.name(state.replace(".", ", ").replace("_", " "))


def _amount(data: InvoiceData) -> str:
    amount, over = _total(data), _span(period(data.period))
    if not amount:
        return f"It covers {over}." if over else ""
    return f"It amounts to {amount}, for {over}." if over else f"It amounts to {amount}."


def _total(data: InvoiceData) -> str:
    amount = total(data.totals)
    return "" if amount is None else f"{texts.number(amount)} {texts.name(text(data.currency))}".strip()


def _due(data: InvoiceData) -> str:
    due = time(text(data.due_at))
    if due is None or short_status(data.status_details.extended_status) in _SETTLED:
        return ""
    return f"It is due on {texts.moment(due)}."


def _span(of: SeenPeriod) -> str:
    start, end = time(of.from_), time(of.to)
    return f"{texts.moment(start)} to {texts.moment(end)}" if start and end else ""


def _facts(data: InvoiceData) -> Iterator[tuple[str, str]]:
    customer = party(data.customer)
    name, key, _ = map(texts.name, customer.texts())
    yield "Customer", f"{name} ({key})" if name and key and name != key else name or key
    yield "Invoice", texts.name(text(data.number))
    yield "Invoice id", texts.name(data.id)
    yield "Status", _status(data.status_details.extended_status)
    if data.previous_status:
        yield "Before", _status(data.previous_status)
    yield "Total", _total(data)
    yield "Period", _span(period(data.period))
    yield "Rule", texts.name(data.rule.name)
