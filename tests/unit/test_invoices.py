"""Invoices: each one fires once, and so does each change of state that a rule wants."""

import datetime as dt

import pytest

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN_INVOICE, InvoiceDocument, Judgement, Reason
from consumer.decide.rules.invoice_change import InvoiceChange
from schemas.rules import RuleType
from tests.support.factories import NOW
from tests.support.records import make_invoice
from tests.support.rules import rule_of

CREATED = rule_of("invoice.created", "created")
UPDATED = rule_of("invoice.updated", "updated")
LATER = NOW + dt.timedelta(minutes=5)


def seen(state: str, at: dt.datetime = NOW) -> InvoiceDocument:
    return InvoiceDocument(version=1, state=state, as_of=at)


def reasons(judgement: Judgement) -> list[Reason]:
    return [reason for _, reason in judgement.reasons]


def previous(judgement: Judgement) -> list[str | None]:
    return [one.previous for one in judgement.occurrences if isinstance(one, InvoiceChange)]


# Whatever was seen before, in whatever order it comes: its identity says that it is once.
@pytest.mark.parametrize("document", [UNSEEN_INVOICE, seen("draft.created"), seen("paid", LATER)])
def test_a_created_invoice_fires(document: InvoiceDocument) -> None:
    judgement = judge([CREATED], make_invoice(is_created=True), document)

    assert reasons(judgement) == [Reason.INVOICE_CREATED]
    assert previous(judgement) == [None]
    assert [one.rule for one in judgement.occurrences] == [CREATED]


@pytest.mark.parametrize(
    ("state", "before", "document", "reason", "reported"),
    [
        # nothing is known of before: it fires, with no previous state
        ("paid", None, UNSEEN_INVOICE, Reason.STATE_CHANGED, [None]),
        # the record's own word counts first
        ("paid", "issued", UNSEEN_INVOICE, Reason.STATE_CHANGED, ["issued"]),
        ("paid", "issued", seen("paid"), Reason.STATE_CHANGED, ["issued"]),
        ("paid", "paid", seen("issued"), Reason.SAME_STATE, []),
        # else that of the newest record seen
        ("paid", None, seen("issued"), Reason.STATE_CHANGED, ["issued"]),
        ("paid", None, seen("paid"), Reason.SAME_STATE, []),
        # the extended state is the state
        ("draft.syncing", None, seen("draft.created"), Reason.STATE_CHANGED, ["draft.created"]),
        ("draft", None, seen("draft.created"), Reason.STATE_CHANGED, ["draft.created"]),
        # older than what was seen, and without a word of its own
        ("paid", None, seen("issued", LATER), Reason.LATE, []),
        ("paid", None, seen("paid", LATER), Reason.LATE, []),
        # with one it is as good as any
        ("paid", "issued", seen("voided", LATER), Reason.STATE_CHANGED, ["issued"]),
        ("paid", "paid", seen("voided", LATER), Reason.SAME_STATE, []),
        # at the same time is not older
        ("paid", None, seen("issued", NOW), Reason.STATE_CHANGED, ["issued"]),
        # one that gathers never fires, late or not
        ("gathering", None, UNSEEN_INVOICE, Reason.GATHERING, []),
        ("gathering", "draft.created", seen("paid", LATER), Reason.GATHERING, []),
        ("gathering.waiting", None, seen("gathering"), Reason.GATHERING, []),
        # leaving it is a change
        ("draft.created", None, seen("gathering"), Reason.STATE_CHANGED, ["gathering"]),
    ],
)
def test_a_change_of_state(
    state: str, before: str | None, document: InvoiceDocument, reason: Reason, reported: list[str | None]
) -> None:
    judgement = judge([UPDATED], make_invoice(state, previous=before), document)

    assert reasons(judgement) == [reason]
    assert previous(judgement) == reported


@pytest.mark.parametrize(
    ("statuses", "state", "before", "is_wanted"),
    [
        # an extended one: whenever it is entered
        (["draft.syncing"], "draft.syncing", "draft.created", True),
        (["draft.syncing"], "draft.syncing", "issued", True),
        (["draft.syncing"], "draft.syncing", None, True),
        (["draft.syncing"], "draft.created", "issued", False),
        # a short one: on entering it from another short one
        (["draft"], "draft.created", "gathering", True),
        (["draft"], "draft.created", None, True),
        (["draft"], "draft.syncing", "draft.created", False),
        (["paid"], "paid", "issued", True),
        (["paid"], "paid", None, True),
        # the invoice's state is short itself, and was of that short status before
        (["payment_processing"], "payment_processing", "payment_processing.pending", False),
        (["payment_processing"], "payment_processing.pending", "payment_processing", False),
        # any of several, both kinds beside each other
        (["issued", "paid"], "paid", "issued", True),
        (["draft", "draft.syncing"], "draft.syncing", "draft.created", True),
        # one that begins alike is another
        (["draft"], "drafted", None, False),
        (["paid"], "unpaid", None, False),
    ],
)
def test_which_states_are_wanted(statuses: list[str], state: str, before: str | None, is_wanted: bool) -> None:
    rule = rule_of("invoice.updated", statuses=statuses)

    judgement = judge([rule], make_invoice(state, previous=before), UNSEEN_INVOICE)

    assert reasons(judgement) == [Reason.STATE_CHANGED if is_wanted else Reason.STATUS_NOT_WANTED]
    assert bool(judgement.occurrences) is is_wanted


def test_what_stays_the_same_is_not_called_unwanted() -> None:
    rule = rule_of("invoice.updated", statuses=["issued"])

    assert reasons(judge([rule], make_invoice("paid", previous="paid"), UNSEEN_INVOICE)) == [Reason.SAME_STATE]


def test_a_created_invoice_that_gathers_fires_nothing() -> None:
    judgement = judge([CREATED], make_invoice("gathering", is_created=True), UNSEEN_INVOICE)

    assert reasons(judgement) == [Reason.GATHERING]
    assert judgement.occurrences == ()
    assert judgement.document == InvoiceDocument(state="gathering", as_of=NOW)


@pytest.mark.parametrize(
    ("is_created", "reason"),
    [
        (True, (RuleType.INVOICE_CREATED, Reason.INVOICE_CREATED)),
        (False, (RuleType.INVOICE_UPDATED, Reason.STATE_CHANGED)),
    ],
)
def test_a_rule_is_about_created_or_updated_invoices(is_created: bool, reason: tuple[RuleType, Reason]) -> None:
    for rules in ([CREATED, UPDATED], [UPDATED, CREATED]):
        judgement = judge(rules, make_invoice(is_created=is_created), UNSEEN_INVOICE)

        assert judgement.reasons == (reason,)


@pytest.mark.parametrize(
    ("state", "minute", "document", "after"),
    [
        # the first, a newer one
        ("paid", 0, UNSEEN_INVOICE, InvoiceDocument(state="paid", as_of=NOW)),
        ("paid", 5, seen("issued"), InvoiceDocument(version=1, state="paid", as_of=LATER)),
        # of the same time: whichever comes last
        ("paid", 0, seen("issued"), InvoiceDocument(version=1, state="paid", as_of=NOW)),
        # the same state, newer
        ("paid", 5, seen("paid"), InvoiceDocument(version=1, state="paid", as_of=LATER)),
        # an older one says nothing of now
        ("paid", 0, seen("issued", LATER), seen("issued", LATER)),
    ],
)
@pytest.mark.parametrize("is_created", [True, False])
def test_the_newest_state_is_remembered(
    is_created: bool, state: str, minute: int, document: InvoiceDocument, after: InvoiceDocument
) -> None:
    judgement = judge([CREATED, UPDATED], make_invoice(state, minute=minute, is_created=is_created), document)

    assert judgement.document == after


@pytest.mark.parametrize("minute", [0, -5])
def test_a_record_that_says_nothing_new_leaves_the_very_memory(minute: int) -> None:
    document = seen("draft.created")

    assert judge([UPDATED], make_invoice(minute=minute), document).document is document


def test_a_created_one_that_came_first_is_what_an_update_changes() -> None:
    document = judge([UPDATED], make_invoice("draft.created", is_created=True), UNSEEN_INVOICE).document

    judgement = judge([UPDATED], make_invoice("draft.syncing", minute=1), document)

    assert previous(judgement) == ["draft.created"]


def test_rules_about_invoices_are_independent_of_each_other() -> None:
    rules = [rule_of("invoice.updated", "a", statuses=["paid"]), rule_of("invoice.updated", "b"), CREATED]

    judgement = judge(rules, make_invoice("issued"), UNSEEN_INVOICE)

    assert reasons(judgement) == [Reason.STATUS_NOT_WANTED, Reason.STATE_CHANGED]
    assert [one.rule.id for one in judgement.occurrences] == ["b"]
