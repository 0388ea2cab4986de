"""The judgement equals an oracle that imports nothing of the project, however its records come.

Driven through `fold`, as the service drives it: documents in, documents and crossings out.
"""

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from consumer.consume.batch import Folded, Wanted, fold
from consumer.decide.model import UNSEEN, Crossing, Document
from consumer.decide.payloads import identity
from consumer.store.memory import EntitlementKey
from schemas.rules import Rule
from schemas.sources import Snapshot
from tests.factories import kafka_record, make_rule, make_snapshot
from tests.property import oracle
from tests.property.oracle import Fired, Line, Shown

Rules = Mapping[str, Sequence[Line]]
Documents = dict[EntitlementKey, Document]

KINDS = ("usage_percentage", "usage_value", "balance_value", "PERCENT", "NUMBER")
# Few enough to meet each other often; exact to the last digit, written in more than one way.
AMOUNTS = st.one_of(
    st.integers(-3, 130).map(str),
    st.sampled_from(["0", "-0", "80.0", "8E+1", "100.00", "99.99999999999999999999999", "1E+2", "1e30", "1E-38"]),
    st.sampled_from(["9" * 38, "1" + "0" * 37, "9" * 37 + "8", "0." + "3" * 37]),
    st.decimals(-10, 200, places=2).map(str),
)
LINES = st.builds(Line, st.sampled_from(KINDS), AMOUNTS).filter(
    lambda line: Fraction(line.value) >= 0 if line.kind == "balance_value" else Fraction(line.value) > 0
)
RULES: st.SearchStrategy[Rules] = st.dictionaries(
    st.sampled_from(["rule-1", "rule-2"]), st.lists(LINES, min_size=1, max_size=8), min_size=1
)
KNOWN_OR_NOT = st.one_of(AMOUNTS, AMOUNTS, AMOUNTS, st.none())


def shown(entitlements: Sequence[str] = ("ent-1", "ent-2"), periods: int = 3) -> st.SearchStrategy[list[Shown]]:
    one = st.builds(
        Shown, st.sampled_from(entitlements), st.integers(1, periods), KNOWN_OR_NOT, KNOWN_OR_NOT, KNOWN_OR_NOT
    )
    return st.lists(one, max_size=12)


def snapshot(record: Shown, minute: int) -> Snapshot:
    start = dt.datetime(2026, record.period, 1, tzinfo=dt.UTC)
    return make_snapshot(
        record.usage,
        record.allowance,
        record.balance,
        period=(start, start + dt.timedelta(days=28)),
        minute=minute,
        entitlement_id=record.entitlement,
    )


def made_rules(rules: Rules) -> list[Rule]:
    """The rules as the catalog gives them: in id order."""
    return [make_rule(*rules[rule], rule_id=rule) for rule in sorted(rules)]


def judged(rules: Sequence[Rule], records: Sequence[Shown], documents: Documents) -> dict[EntitlementKey, Folded]:
    """Fold *records* as one batch; *documents* become what they leave."""
    wanted = [Wanted(kafka_record(), snapshot(record, n), rules) for n, record in enumerate(records)]
    for one in wanted:
        documents.setdefault(one.key, UNSEEN)
    folded = fold(wanted, documents)
    documents.update({key: state.document for key, state in folded.items()})
    return folded


def crossings(folded: Mapping[EntitlementKey, Folded]) -> list[Crossing]:
    return [crossing for state in folded.values() for crossing, _ in state.crossings]


def told(made: Sequence[Crossing]) -> list[Fired]:
    """What *made* says, in the oracle's words."""
    return [
        Fired(
            one.snapshot.entitlement_id,
            one.snapshot.period_from.month,
            one.rule.id,
            one.threshold.type.canonical.value,
            Fraction(one.threshold.value),
        )
        for one in made
    ]


def in_turn(fired: Sequence[Fired]) -> dict[str, list[Fired]]:
    """Each entitlement's own, in order: entitlements are independent of each other."""
    return {name: [one for one in fired if one.entitlement == name] for name in {one.entitlement for one in fired}}


@given(RULES, shown())
def test_what_fires_and_in_what_order_is_what_the_contract_says(rules: Rules, records: list[Shown]) -> None:
    made = told(crossings(judged(made_rules(rules), records, {})))

    assert in_turn(made) == in_turn(oracle.fired(rules, records))


@given(RULES, shown(), st.lists(st.integers(0, 12)))
def test_any_split_into_batches_makes_the_same_events(rules: Rules, records: list[Shown], cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
    documents: Documents = {}

    made = [
        one
        for start, end in itertools.pairwise(edges)
        for one in told(crossings(judged(made_rules(rules), records[start:end], documents)))
    ]

    assert in_turn(made) == in_turn(oracle.fired(rules, records))


@given(RULES, shown(), st.data())
def test_going_back_any_number_of_times_makes_no_event_twice(
    rules: Rules, records: list[Shown], data: st.DataObject
) -> None:
    documents: Documents = {}
    made: list[Crossing] = []
    reached = 0
    while reached < len(records):
        start = data.draw(st.integers(0, reached), label="goes back to")
        end = data.draw(st.integers(reached + 1, len(records)), label="reads until")
        made += crossings(judged(made_rules(rules), records[start:end], documents))
        reached = end

    assert in_turn(told(made)) == in_turn(oracle.fired(rules, records))
    assert len({identity(one) for one in made}) == len(made)


@given(RULES, shown(), st.lists(st.integers(0, 11)))
def test_a_record_that_comes_again_later_fires_nothing(rules: Rules, records: list[Shown], again: list[int]) -> None:
    repeated = [*records, *(records[n] for n in again if n < len(records))]

    made = told(crossings(judged(made_rules(rules), repeated, {})))

    assert in_turn(made) == in_turn(oracle.fired(rules, records))


@given(RULES, shown())
def test_a_whole_topic_replayed_changes_nothing(rules: Rules, records: list[Shown]) -> None:
    documents: Documents = {}
    judged(made_rules(rules), records, documents)
    before = dict(documents)

    folded = judged(made_rules(rules), records, documents)

    assert crossings(folded) == []
    assert not any(state.is_changed for state in folded.values())
    assert documents == before


@given(RULES, shown(["ent-1"], periods=1).flatmap(lambda seen: st.tuples(st.just(seen), st.permutations(seen))))
def test_within_a_period_the_order_of_arrival_changes_nothing_of_what_fires(
    rules: Rules, orders: tuple[list[Shown], list[Shown]]
) -> None:
    in_order, reordered = orders

    made = told(crossings(judged(made_rules(rules), in_order, {})))
    made_otherwise = told(crossings(judged(made_rules(rules), reordered, {})))

    assert set(made) == set(made_otherwise)


@given(RULES, shown(), st.randoms(use_true_random=False))
def test_the_order_of_the_configuration_changes_nothing(
    rules: Rules,
    records: list[Shown],
    random: Random,
) -> None:
    shuffled = {rule: random.sample(lines, len(lines)) for rule, lines in rules.items()}
    backwards = list(reversed(made_rules(shuffled)))

    made = told(crossings(judged(made_rules(rules), records, {})))
    made_otherwise = told(crossings(judged(backwards, records, {})))

    for rule in rules:
        assert in_turn([one for one in made if one.rule == rule]) == in_turn(
            [one for one in made_otherwise if one.rule == rule]
        )


@given(RULES, shown(["ent-1"], periods=1))
def test_a_new_period_starts_empty(rules: Rules, records: list[Shown]) -> None:
    later = [record._replace(period=2) for record in records]

    made = told(crossings(judged(made_rules(rules), records + later, {})))

    half = len(made) // 2
    assert [one._replace(period=2) for one in made[:half]] == made[half:]


@given(RULES, shown())
def test_marks_say_what_fired_in_the_newest_period_and_nothing_else(rules: Rules, records: list[Shown]) -> None:
    documents: Documents = {}

    made = crossings(judged(made_rules(rules), records, documents))

    remembered = {
        (key.id, rule, threshold)
        for key, document in documents.items()
        for rule, of_rule in document.marks.items()
        for threshold in of_rule
    }
    assert remembered == {
        (one.snapshot.entitlement_id, one.rule.id, one.threshold.identity)
        for one in made
        if documents[EntitlementKey("default", one.snapshot.entitlement_id)].period_from == one.snapshot.period_from
    }


@given(st.integers(1, 10**38 - 1))
def test_a_hundred_percent_is_the_whole_and_not_one_unit_less(allowance: int) -> None:
    rules = [make_rule(percents=[100])]

    at = judged(rules, [Shown("ent-1", 1, str(allowance), str(allowance), None)], {})
    below = judged(rules, [Shown("ent-1", 1, str(allowance - 1), str(allowance), None)], {})

    assert len(crossings(at)) == 1
    assert crossings(below) == []
