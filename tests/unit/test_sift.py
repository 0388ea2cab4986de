"""Sifting: each record is judged, rejected, ignored or passed over, and what stands is found out by the last one."""

import json
from typing import Any

import pytest

from consumer import ids
from consumer.consume.aiokafka_patch.records import BadBatch
from consumer.consume.batch import Folded, KafkaRecord, fold
from consumer.consume.fast_path.sift import Sifted, settle, sift
from consumer.consume.fast_path.standings import Standings
from consumer.decide.model import UNSEEN, UNSEEN_INVOICE, AnyDocument, Document
from consumer.store.catalog import EMPTY, Catalog
from consumer.store.memory import EntitlementKey, MemoryKey
from schemas.parse import Reject
from schemas.reading import RejectReason
from schemas.rules import Rule, RuleId, read_spec
from tests.support.factories import NOW, invoice_record, kafka_record, make_rule, native_record, reset_record

KEY = EntitlementKey("default", "ent-1")
QUOTA = make_rule(percents=[80])
CATALOG = Catalog(1, [QUOTA])
INVOICES = Rule(
    id=RuleId("i"), namespace="default", name="Invoices", spec=read_spec({"type": "invoice.created"}), channels=()
)


def at(second: int, usage: int = 10, allowance: int = 100, **data: Any) -> KafkaRecord:
    """A snapshot, members of its data replaced by *data*."""
    shown = json.loads(native_record(usage, allowance, calculated_at=f"2026-11-22T10:15:{second:02}Z"))
    return kafka_record(json.dumps(shown | {"data": shown["data"] | data}).encode())


def sifted(standings: Standings, *records: KafkaRecord, catalog: Catalog = CATALOG, at_a_glance: bool = True) -> Sifted:
    return sift(records, catalog, standings, latest=NOW, at_a_glance=at_a_glance)


def settled(
    standings: Standings, *records: KafkaRecord, catalog: Catalog = CATALOG, document: AnyDocument = UNSEEN
) -> Folded:
    """Take *records* of one key to what they leave."""
    wanted = sifted(standings, *records, catalog=catalog, at_a_glance=True).wanted
    documents: dict[MemoryKey, AnyDocument] = {one.key: document for one in wanted}
    (state,) = fold(wanted, documents, ids.new).states.values()
    settle(standings, state, state.document)
    return state


def standing(standings: Standings) -> bool:
    return standings.known.get(KEY) is not None


def test_each_record_is_in_one_place() -> None:
    bad = BadBatch(b"bytes")
    bad.reject = Reject(RejectReason.NOT_RECORDS, "no batch")
    unmetered = native_record(1).replace(b'"id": "ent-1",', b'"id": "ent-1", "type": "boolean",')

    found = sifted(
        Standings(10),
        kafka_record(bad),
        kafka_record(b"no JSON"),
        kafka_record(None),
        at(1),
        at(2, feature={"key": "another"}),
        kafka_record(unmetered),
        catalog=Catalog(1, [make_rule(percents=[80], features=["llm_tokens"])]),
    )

    assert [letter.reject.reason for letter in found.rejected] == [RejectReason.NOT_RECORDS, RejectReason.NOT_JSON]
    assert (found.ignored, len(found.wanted), found.uncovered) == (1, 2, 1)
    assert (found.passed, found.believed) == ({}, {})


def test_a_record_without_a_rule_is_skipped_and_counted_as_such() -> None:
    standings = Standings(10)

    first = sifted(standings, at(1), catalog=EMPTY)
    then = sifted(standings, at(2), at(3), catalog=EMPTY)

    assert (first.uncovered, then.uncovered) == (1, 2)
    assert (then.wanted, then.passed, then.reasons()) == ([], {}, {})


def test_an_uncovered_reset_or_unmetered_record_skips_none() -> None:
    standings = Standings(10)
    reset = reset_record(reset_at="2026-11-01T00:00:00Z", period=("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"))

    assert sifted(standings, kafka_record(reset), catalog=EMPTY).uncovered == 1
    assert not standing(standings)


def test_a_skipped_record_is_counted_by_the_judgements_reasons() -> None:
    standings = Standings(10)
    state = settled(standings, at(1))

    found = sifted(standings, at(2), at(3))

    assert found.wanted == []
    assert found.reasons() == dict.fromkeys(state.reasons, 2)


def test_what_comes_after_in_a_batch_is_added() -> None:
    standings = Standings(10)
    settled(standings, at(1))
    whole = sifted(standings, at(2), kafka_record(None), kafka_record(b""))

    whole.add(sifted(standings, at(3), at(4), kafka_record(None), at(5, 90)))

    assert (len(whole.wanted), len(whole.rejected), whole.ignored) == (1, 1, 2)
    assert whole.reasons().total() == 3


def test_at_debug_level_nothing_is_passed_over() -> None:
    standings = Standings(10)
    settled(standings, at(1))

    assert len(sifted(standings, at(2), at_a_glance=False).wanted) == 1


def test_a_record_of_the_future_is_parsed() -> None:
    standings = Standings(10)
    settled(standings, at(1))

    (letter,) = sifted(standings, at(31)).rejected

    assert letter.reject.reason is RejectReason.IN_FUTURE


def test_a_rule_that_looks_back_requires_the_version_in_its_row() -> None:
    rule = make_rule(percents=[80], rearm="recovery")
    standings, catalog = Standings(10), Catalog(1, [rule])
    first = settled(standings, at(1), catalog=catalog).document
    assert isinstance(first, Document)

    found = sifted(standings, at(2), catalog=catalog)

    assert (found.wanted, found.believed) == ([], {KEY: first.version})


def test_after_a_crossing_the_same_level_is_skipped_at_once() -> None:
    standings = Standings(10)

    state = settled(standings, at(1, 90))

    assert [one.action for one, _ in state.occurrences] == ["triggered"]
    assert sifted(standings, at(2, 95)).wanted == []
    assert len(sifted(standings, at(3, 10)).wanted) == 1
    assert not standing(standings), "what is parsed stands nowhere until it is settled"


@pytest.mark.parametrize("usage", [90, 10])
def test_while_each_newer_record_moves_the_memory_nothing_stands(usage: int) -> None:
    rule = make_rule(percents=[80], rearm="recovery")
    standings, catalog = Standings(10), Catalog(1, [rule])

    settled(standings, at(1, 90), at(2, usage), catalog=catalog)

    assert not standing(standings)


def test_nothing_stands_by_what_is_no_snapshot_at_a_glance() -> None:
    standings = Standings(10)
    reset = reset_record(reset_at="2026-11-01T00:00:00Z", period=("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"))
    invoices = Catalog(1, [INVOICES])

    settled(standings, kafka_record(reset))
    settled(standings, kafka_record(invoice_record("draft", kind="created")), catalog=invoices, document=UNSEEN_INVOICE)

    assert standings.known == {}


@pytest.mark.parametrize(
    "said", [[{"feature": {"key": key}} for key in "abc"], [{"allowance": n} for n in (100, 200, 300)]]
)
def test_what_standings_share_is_bounded(said: list[dict[str, Any]]) -> None:
    standings = Standings(1)

    for n, one in enumerate(said):
        settled(standings, at(n, **one))

    assert len(standings.known) <= 1
    assert sifted(standings, at(5, **said[-1])).wanted == []


def test_records_are_counted_alike_whatever_was_dropped() -> None:
    standings = Standings(1)

    below = settled(standings, at(0)).reasons
    for second, usage in enumerate((90, 10, 90, 10), 1):
        settled(standings, at(second, usage))

    assert sifted(standings, at(5)).reasons() == dict.fromkeys(below, 1)


def test_a_record_that_changed_nothing_is_believed_as_it_is() -> None:
    left = settled(Standings(10), at(1)).document
    standings = Standings(10)

    state = settled(standings, at(2), document=left)

    assert not state.is_changed
    assert sifted(standings, at(3)).wanted == []


def test_one_that_is_not_active_stands_nowhere() -> None:
    standings = Standings(10)
    period = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}

    settled(standings, at(9, entitlement={"id": "ent-1", "period": period, "activeTo": "2026-11-22T10:00:00Z"}))

    assert not standing(standings)


def test_the_catalog_is_asked_once_for_each_feature() -> None:
    standings = Standings(10)
    settled(standings, at(1))
    stood = standings.known[KEY]
    assert stood is not None

    standings.under(EMPTY)

    assert [standings.holds(stood.under), standings.holds(stood.under)] == [False, False]
    settled(standings, at(2))
    again = standings.known[KEY]
    assert again is not None
    assert [standings.holds(again.under), standings.holds(again.under)] == [True, True]


def test_an_invoice_is_dropped_without_a_word() -> None:
    standings = Standings(10)
    settled(standings, at(1))

    sifted(standings, kafka_record(invoice_record("draft", kind="created")), catalog=Catalog(1, [INVOICES]))

    assert standing(standings)
