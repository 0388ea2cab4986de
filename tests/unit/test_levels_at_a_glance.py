"""A record that changes the coarse level alone: passed over at a glance, and its document has the new level."""

import datetime as dt
import json
from typing import Any

import pytest

from consumer import ids
from consumer.consume.batch import KafkaRecord, fold
from consumer.consume.fast_path.sift import settle, sift
from consumer.consume.fast_path.standings import Standings
from consumer.consume.memory import Memory
from consumer.decide.model import UNSEEN, AnyDocument, Document
from consumer.store.catalog import Catalog
from consumer.store.memory import EntitlementKey, MemoryKey
from tests.support.factories import NOW, kafka_record, make_rule, native_record

KEY = EntitlementKey("default", "ent-1")
CATALOG = Catalog(1, [make_rule(("balance_value", 15), percents=[80])])
Documents = dict[EntitlementKey, Document]


def at(minute: int, usage: object, **data: Any) -> KafkaRecord:
    """A snapshot of so many minutes after ten, members of its data replaced by *data*."""
    shown = json.loads(native_record(usage, calculated_at=f"2026-11-22T10:{minute:02}:00Z"))
    return kafka_record(json.dumps(shown | {"data": shown["data"] | data}).encode())


def level(document: Document) -> tuple[int | None, int | None]:
    """The level, and the minute of the record that changed it."""
    return document.level, document.level_at.minute if document.level_at is not None else None


def standing_at(*usages: int) -> tuple[Standings, Documents]:
    """Where an entitlement stands after a record of each of *usages*, one a minute, the first at ten o'clock."""
    documents: Documents = {}
    standings = Standings(10, documents)
    for minute, usage in enumerate(usages):
        wanted = sift([at(minute, usage)], CATALOG, standings, latest=NOW).wanted
        before: dict[MemoryKey, AnyDocument] = {one.key: documents.get(KEY, UNSEEN) for one in wanted}
        for state in fold(wanted, before, ids.new).states.values():
            assert isinstance(state.document, Document)
            documents[KEY] = state.document
            settle(standings, state, state.document)
    return standings, documents


def wanted(standings: Standings, *records: KafkaRecord) -> int:
    """How many of *records* are judged."""
    return len(sift(records, CATALOG, standings, latest=NOW).wanted)


@pytest.mark.parametrize(
    ("records", "left"),
    [
        # a rise, by whatever number of tens; back and forth; the very line
        ([at(1, 25)], (20, 1)),
        ([at(1, 79)], (70, 1)),
        ([at(1, 20)], (20, 1)),
        ([at(1, "19.999999")], (10, 0)),
        ([at(1, 30), at(2, 29), at(3, 50)], (50, 3)),
        # a fall waits for five minutes, in which nothing else is passed over for it
        ([at(1, 9)], (10, 0)),
        ([at(5, 9)], (0, 5)),
        ([at(1, 9), at(2, 9), at(5, 9), at(6, 5)], (0, 5)),
        ([at(1, 30), at(2, 5), at(5, 5)], (30, 1)),
        ([at(1, 30), at(2, 5), at(6, 5)], (0, 6)),
        # one that is as old as the last change, after a rise, or older
        ([at(3, 30), at(3, 50)], (30, 3)),
        ([at(3, 30), at(2, 50), at(4, 50)], (50, 4)),
    ],
)
def test_records_between_the_same_lines_are_not_judged(
    records: list[KafkaRecord], left: tuple[int | None, int | None]
) -> None:
    standings, documents = standing_at(10)
    version = documents[KEY].version

    judged = wanted(standings, *records)

    assert (judged, level(documents[KEY])) == (0, left)
    assert documents[KEY].version == version
    assert standings.leveled == ({KEY: documents[KEY]} if left != (10, 0) else {})


@pytest.mark.parametrize(
    "record",
    [
        at(1, 80),  # a threshold
        at(1, 60, value={"usage": 60, "allowance": 100, "balance": 15}),  # one of the balance
        at(1, 60, value={"usage": 60, "allowance": 200}),
        at(1, 60, feature={"id": "f-1", "key": "another"}),
        at(1, 60, calculatedAt="2026-11-01T00:00:00Z"),  # as old as its period
    ],
)
def test_what_may_be_judged_otherwise_is_judged(record: KafkaRecord) -> None:
    standings, documents = standing_at(10)

    assert wanted(standings, record) == 1
    assert (level(documents[KEY]), standings.leveled) == ((10, 0), {})


def test_without_its_document_a_record_is_judged() -> None:
    standings, documents = standing_at(10)
    documents.clear()

    assert wanted(standings, at(1, 25)) == 1


def test_an_entitlement_without_a_level_has_none_to_change() -> None:
    documents: Documents = {}
    standings = Standings(10, documents)
    sift([at(0, 10)], Catalog(1, []), standings, latest=NOW)

    assert sift([at(1, 95)], Catalog(1, []), standings, latest=NOW).uncovered == 1
    assert standings.leveled == {}


def test_the_moment_at_which_activity_ends_is_judged() -> None:
    period = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    ending = {"entitlement": {"id": "ent-1", "period": period, "activeTo": "2026-11-22T10:05:00Z"}}
    documents: Documents = {}
    standings = Standings(10, documents)
    (one,) = sift([at(0, 10, **ending)], CATALOG, standings, latest=NOW).wanted
    state = fold([one], {KEY: UNSEEN}, ids.new).states[KEY]
    assert isinstance(state.document, Document)
    documents[KEY] = state.document
    settle(standings, state, state.document)

    assert [wanted(standings, at(minute, 25, **ending)) for minute in (4, 5)] == [0, 1]


def lean() -> Memory:
    return Memory(None, limit=10)  # type: ignore[arg-type] - nothing is read


def leveled(memory: Memory) -> Document:
    """Give *memory* an entitlement of which the level is not written."""
    document = Document(version=3, level=20, level_at=NOW)
    memory.standings.leveled[KEY] = document
    return document


def test_a_level_that_is_not_written_outlives_what_is_forgotten() -> None:
    memory = lean()
    document = leveled(memory)

    memory.forget([KEY])
    memory.forget()

    assert memory.leveled() == {KEY: document}


@pytest.mark.parametrize(("version", "left"), [(4, set()), (3, {KEY})])
def test_a_document_written_whole_has_its_level_written_too(version: int, left: set[EntitlementKey]) -> None:
    memory = lean()
    leveled(memory)

    with memory.filling() as filling:
        memory.remember({KEY: Document(version=version)}, filling)

    assert memory.leveled().keys() == left


def test_a_level_that_changed_while_it_was_written_stays() -> None:
    memory = lean()
    before = {KEY: leveled(memory)}
    after = leveled(memory)

    memory.levels_are_written(before)
    memory.levels_are_left(before, {})
    assert memory.leveled() == {KEY: after}
    memory.levels_are_written({KEY: after})

    assert memory.leveled() == {}


def test_what_stands_alike_is_forgotten_where_levels_alone_come() -> None:
    """A fall that waits makes a standing that no other entitlement shares: until a time of its own."""
    standings, documents = standing_at(10, 10)
    limit = 10

    times = [f"2026-11-22T{11 + n // 6}:{n % 6}" for n in range(5 * limit)]
    records = [
        kafka_record(native_record(usage, calculated_at=f"{time}{minute}:00Z"))
        for time in times
        for minute, usage in ((0, 25), (1, 15), (6, 15))
    ]
    judged = sift(records, CATALOG, standings, latest=NOW + dt.timedelta(days=1)).wanted

    assert (judged, documents[KEY].level_at) == ([], dt.datetime(2026, 11, 22, 19, 16, tzinfo=dt.UTC))
    assert len(standings._shared) <= limit + 1  # noqa: SLF001 - nothing else shows what is kept
