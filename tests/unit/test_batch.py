"""A batch: what one record fired, the next one knows; bounded in bytes."""

import datetime as dt

import pytest
from msgspec.structs import replace

from consumer import ids
from consumer.consume.batch import (
    PART_BYTES,
    PART_RECORDS,
    RECORD_EVENT_BYTES,
    STATEMENT_BYTES,
    Folded,
    WantedRecord,
    change,
    fold,
    in_parts,
    smaller,
)
from consumer.decide.model import UNSEEN, AnyDocument, Document, Reason
from consumer.decide.payloads import identity
from consumer.store.memory import EntitlementKey, MemoryKey, key_of
from schemas.sources import About, SourceEvent, Unmetered
from tests.support.factories import NOW, NoOrigin, kafka_record, make_rule, make_snapshot

KEY = EntitlementKey("default", "ent-1")
OTHER = EntitlementKey("default", "ent-2")
RULE = make_rule(percents=[50, 80])


def wanted(*sources: SourceEvent, timestamp: int = 1_795_342_530_000) -> list[WantedRecord]:
    records = [kafka_record(offset=n, timestamp=timestamp + n) for n, _ in enumerate(sources)]
    return [WantedRecord(record, key_of(one), one, [RULE]) for record, one in zip(records, sources, strict=True)]


def folded(records: list[WantedRecord], documents: dict[MemoryKey, AnyDocument]) -> dict[MemoryKey, Folded]:
    return fold(records, documents, ids.new).states


def test_what_one_record_fired_the_next_one_knows() -> None:
    records = wanted(make_snapshot(60), make_snapshot(60, minute=1), make_snapshot(90, minute=2))

    state = folded(records, {KEY: UNSEEN})[KEY]

    made = [(crossing.threshold.identity, event.recorded_at.microsecond) for crossing, event in state.occurrences]
    assert made == [("usage_percentage:50", 0), ("usage_percentage:80", 2000)]
    assert [reason for _, reason in state.reasons] == [
        Reason.FIRST_CROSSING,
        Reason.BELOW,
        Reason.ALREADY_FIRED,
        Reason.BELOW,
        Reason.ALREADY_FIRED,
        Reason.FIRST_CROSSING,
    ]


def test_entitlements_do_not_know_of_each_other() -> None:
    records = wanted(make_snapshot(60), make_snapshot(60, entitlement_id="ent-2"), make_snapshot(60))

    states = folded(records, {KEY: UNSEEN, OTHER: UNSEEN})

    assert [len(states[key].occurrences) for key in (KEY, OTHER)] == [1, 1]
    assert [len(states[key].wanted) for key in (KEY, OTHER)] == [2, 1]


def test_the_same_id_in_another_namespace_is_another_entitlement() -> None:
    elsewhere = EntitlementKey("elsewhere", "ent-1")
    records = wanted(make_snapshot(60), make_snapshot(60, namespace="elsewhere"))

    states = folded(records, {KEY: UNSEEN, elsewhere: UNSEEN})

    assert [len(states[key].occurrences) for key in (KEY, elsewhere)] == [1, 1]


def test_it_starts_from_what_is_remembered() -> None:
    remembered = folded(wanted(make_snapshot(60)), {KEY: UNSEEN})[KEY].document

    state = folded(wanted(make_snapshot(60, minute=1)), {KEY: remembered})[KEY]

    assert state.occurrences == []
    assert state.document is remembered
    assert not state.is_changed


def test_a_record_that_is_not_metered_changes_nothing() -> None:
    state = folded(wanted(Unmetered("default", "ent-1", "f-1", "llm_tokens")), {KEY: UNSEEN})[KEY]

    assert not state.is_changed
    assert [reason for _, reason in state.reasons] == [Reason.NOT_METERED]


def test_a_change_has_the_version_read_and_events_in_order() -> None:
    before = Document(version=7)
    state = fold(wanted(make_snapshot(90)), {KEY: before}, iter(["event-1", "event-2"]).__next__).states[KEY]

    made = change(KEY, state)

    assert (made.key, made.document.version) == (KEY, 7)
    assert [event.id for event in made.events] == ["event-1", "event-2"]
    assert [event.identity for event in made.events] == [identity(crossing) for crossing, _ in state.occurrences]
    assert b'"value":50' in made.events[0].payload
    assert b'"id":"event-1"' in made.events[0].payload
    assert made.events[0].occurred_at == NOW
    assert made.about == b'{"feature":{"key":"llm_tokens"},"entitlement":{"id":"ent-1"},"value":{"hasAccess":true}}'


@pytest.mark.parametrize(
    ("timestamp", "recorded_at"),
    [
        (1_795_342_530_000, dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)),
        # Kafka's for "none"; and a producer may claim anything
        (-1, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (-(2**63), dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (2**63 - 1, dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
    ],
)
def test_any_timestamp_of_kafka_is_a_time(timestamp: int, recorded_at: dt.datetime) -> None:
    state = folded(wanted(make_snapshot(60), timestamp=timestamp), {KEY: UNSEEN})[KEY]

    (event,) = change(KEY, state).events

    assert event.recorded_at.replace(microsecond=0) == recorded_at


def test_parts_are_bounded_and_each_key_is_in_one_in_order() -> None:
    some = [make_snapshot(60, entitlement_id=f"ent-{n % 50}") for n in range(2 * PART_RECORDS)]
    large = [
        replace(one, record=kafka_record(b"x" * (PART_BYTES // 40), offset=n))
        for n, one in enumerate(wanted(*some[:100]))
    ]

    by_records, by_bytes = in_parts(wanted(*some)), in_parts(large)

    assert (len(by_records), len(by_bytes)) == (2, 3)
    for parts, given in ((by_records, wanted(*some)), (by_bytes, large)):
        found = [(one.key, one.record.offset) for part in parts for one in part]
        assert sorted(found) == sorted((one.key, one.record.offset) for one in given)
        assert len({(n, key) for n, part in enumerate(parts) for key in {one.key for one in part}}) == 50
        assert all([one.record.offset for one in part] == sorted(one.record.offset for one in part) for part in parts)


def test_of_nothing_there_is_no_part() -> None:
    assert in_parts([]) == []


def test_what_is_refused_is_split_with_each_entitlement_whole() -> None:
    records = wanted(make_snapshot(1), make_snapshot(2, entitlement_id="ent-2"), make_snapshot(3))

    parts = smaller(records)

    assert [[one.key.id for one in part] for part in parts] == [["ent-1", "ent-1"], ["ent-2"]]
    assert smaller(parts[0]) == [[parts[0][0]], [parts[0][1]]]


def large(size: int, *, percents: list[object]) -> list[WantedRecord]:
    """Three records whose events have *size* bytes and more; of two entitlements."""
    rule = make_rule(percents=percents)
    sources = [make_snapshot(90, entitlement_id=name, origin=Large(size)) for name in ("ent-1", "ent-2", "ent-1")]
    return [WantedRecord(kafka_record(), key_of(one), one, [rule]) for one in sources]


class Large(NoOrigin):
    def __init__(self, size: int) -> None:
        self._size = size

    def about(self) -> About:
        return replace(super().about(), customer={"note": "x" * self._size})


def test_events_that_fill_a_statement_leave_a_rest() -> None:
    records = large(STATEMENT_BYTES // 2, percents=[80, 81])

    made = fold(records, {KEY: UNSEEN, OTHER: UNSEEN}, ids.new)

    assert list(made.states) == [KEY]
    assert made.left == records[1:]


def test_a_record_with_too_many_events_is_named_and_undone() -> None:
    records = large(RECORD_EVENT_BYTES // 3, percents=[80, 81, 82])

    made = fold(records, {KEY: UNSEEN, OTHER: UNSEEN}, ids.new)

    assert [one for one, _ in made.too_many] == records
    assert made.too_many[0][1] == "makes 3 events of together more than 16777216 bytes"
    assert not any(state.is_changed for state in made.states.values())
