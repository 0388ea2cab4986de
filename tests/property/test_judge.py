"""The judgement equals an oracle that imports nothing of the project, however its records come.

Driven through `fold`, as the service drives it: documents in, documents and crossings out.
"""

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from tests.factories import NOW, kafka_record, make_rule, make_snapshot
from tests.property import oracle
from tests.property.oracle import Event, Line, Shown, Story

Rules = Mapping[str, oracle.Rule]
Documents = dict[EntitlementKey, Document]

KINDS = ("usage_percentage", "usage_value", "balance_value", "PERCENT", "NUMBER")
# Few enough to meet each other often; exact to the last digit, written in more than one way.
AMOUNTS = st.one_of(
    st.sampled_from(["10", "50", "80", "100"]),
    st.integers(-3, 130).map(str),
    st.sampled_from(["0", "-0", "80.0", "8E+1", "100.00", "99.99999999999999999999999", "1E+2", "1e30", "1E-38"]),
    st.sampled_from(["9" * 38, "1" + "0" * 37, "9" * 37 + "8", "0." + "3" * 37]),
    st.decimals(-10, 200, places=2).map(str),
)
LINES = st.builds(Line, st.sampled_from(KINDS), AMOUNTS).filter(
    lambda line: Fraction(line.value) >= 0 if line.kind == "balance_value" else Fraction(line.value) > 0
)
PLAIN = ("each", "period", False)
ONCE = (PLAIN, ("highest", "period", False))  # whose thresholds are told once for each period
SETTINGS = (*ONCE, ("each", "recovery", False), ("each", "period", True), ("each", "recovery", True))


def ruled(settings: Sequence[tuple[str, str, bool]] = SETTINGS) -> st.SearchStrategy[Rules]:
    one = st.builds(
        lambda lines, setting: oracle.Rule(lines, *setting),
        st.lists(LINES, min_size=1, max_size=6),
        st.sampled_from(settings),
    )
    return st.dictionaries(st.sampled_from(["rule-1", "rule-2", "rule-3"]), one, min_size=1)


def shown(entitlements: Sequence[str] = ("ent-1", "ent-2"), periods: int = 3) -> st.SearchStrategy[list[Shown]]:
    """Records that come mostly in the order of their calculation, some late, some equally old."""
    known_or_not = st.one_of(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, st.none())
    one = st.builds(
        Shown,
        st.sampled_from(entitlements),
        st.integers(1, periods),
        st.sampled_from([0, 0, 0, 1, 2, 5]),
        known_or_not,
        st.one_of(st.just("100"), known_or_not),
        known_or_not,
    )
    return st.lists(one, max_size=12).map(
        lambda records: [record._replace(at=2 * n - record.at) for n, record in enumerate(records)]
    )


IN_ONE_PERIOD = shown(["ent-1"], periods=1)


def snapshot(record: Shown) -> Snapshot:
    start = dt.datetime(2026, record.period, 1, tzinfo=dt.UTC)
    return make_snapshot(
        record.usage,
        record.allowance,
        record.balance,
        period=(start, start + dt.timedelta(days=28)),
        minute=record.at,
        entitlement_id=record.entitlement,
    )


def made_rules(rules: Rules) -> list[Rule]:
    """The rules as the catalog gives them: in id order."""
    return [
        make_rule(
            *((kind, str(value)) for kind, value in rule.lines),
            rule_id=name,
            emit=rule.emit,
            rearm=rule.rearm,
            notify_on=["triggered", "recovered"] if rule.tells_recovered else ["triggered"],
        )
        for name, rule in sorted(rules.items())
    ]


def judged(rules: Sequence[Rule], records: Sequence[Shown], documents: Documents) -> dict[EntitlementKey, Folded]:
    """Fold *records* as one batch; *documents* become what they leave."""
    wanted = [Wanted(kafka_record(), snapshot(record), rules) for record in records]
    for one in wanted:
        documents.setdefault(one.key, UNSEEN)
    folded = fold(wanted, documents)
    documents.update({key: state.document for key, state in folded.items()})
    return folded


def crossings(folded: Mapping[EntitlementKey, Folded]) -> list[Crossing]:
    return [crossing for state in folded.values() for crossing, _ in state.occurrences]


def reasons(folded: Mapping[EntitlementKey, Folded]) -> Counter[str]:
    return Counter(reason.value for state in folded.values() for _, reason in state.reasons)


def line(identity_of_threshold: str) -> Line:
    """The oracle's word for a threshold."""
    kind, value = identity_of_threshold.split(":")
    return Line(kind, Fraction(value))


def told(made: Sequence[Crossing]) -> list[Event]:
    """What *made* says, in the oracle's words."""
    return [
        Event(
            one.snapshot.entitlement_id,
            one.snapshot.period_from.month,
            one.rule.id,
            line(one.threshold.identity),
            one.action,
            one.episode,
            tuple(line(other.identity) for other in one.also_crossed),
        )
        for one in made
    ]


def story(rules: Rules, records: Sequence[Shown]) -> Story:
    """What the oracle tells."""
    whole = Story()
    for record in records:
        whole.goes_on(rules, record)
    return whole


def in_turn(events: Sequence[Event]) -> dict[str, list[Event]]:
    """Each entitlement's own, in order: entitlements are independent of each other."""
    return {name: [one for one in events if one.entitlement == name] for name in {one.entitlement for one in events}}


def of_threshold(events: Sequence[Event]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The rule, and what was told in turn, of each threshold in each period of each entitlement."""
    found: dict[tuple[object, ...], list[tuple[str, int]]] = {}
    for one in events:
        found.setdefault((one.rule, one.entitlement, one.period, one.line), []).append((one.action, one.episode))
    return ((str(about[0]), in_order) for about, in_order in found.items())


@given(ruled(), shown())
def test_what_is_told_and_why_and_in_what_order_is_what_the_contract_says(rules: Rules, records: list[Shown]) -> None:
    folded = judged(made_rules(rules), records, {})

    expected = story(rules, records)
    assert in_turn(told(crossings(folded))) == in_turn(expected.events)
    assert reasons(folded) == Counter(expected.reasons)


@given(ruled(), shown())
def test_what_is_remembered_is_what_the_contract_needs(rules: Rules, records: list[Shown]) -> None:
    documents: Documents = {}

    judged(made_rules(rules), records, documents)

    for name, memory in story(rules, records).memories.items():
        document = documents[EntitlementKey("default", name)]
        marks = {
            (rule, line(threshold)): (mark.state, mark.episode)
            for rule, of_rule in document.marks.items()
            for threshold, mark in of_rule.items()
        }
        assert marks == {about: (mark.state, mark.episode) for about, mark in memory.marks.items()}
        assert document.as_of == (None if memory.as_of is None else NOW + dt.timedelta(minutes=memory.as_of))


@given(ruled(), shown(), st.lists(st.integers(0, 12)))
def test_any_split_into_batches_makes_the_same_events(rules: Rules, records: list[Shown], cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
    documents: Documents = {}

    made = [
        one
        for start, end in itertools.pairwise(edges)
        for one in told(crossings(judged(made_rules(rules), records[start:end], documents)))
    ]

    assert in_turn(made) == in_turn(story(rules, records).events)


@given(ruled(), shown(), st.data())
def test_going_back_any_number_of_times_makes_no_event_twice(
    rules: Rules, records: list[Shown], data: st.DataObject
) -> None:
    documents: Documents = {}
    made: list[Crossing] = []
    read: list[Shown] = []
    reached = 0
    while reached < len(records):
        start = data.draw(st.integers(0, reached), label="goes back to")
        end = data.draw(st.integers(reached + 1, len(records)), label="reads until")
        made += crossings(judged(made_rules(rules), records[start:end], documents))
        read += records[start:end]
        reached = end

    once = {rule for rule in rules if not rules[rule].looks_back}
    straight = story(rules, records).events
    assert len({identity(one) for one in made}) == len(made)
    assert in_turn(told(made)) == in_turn(story(rules, read).events)
    assert in_turn([one for one in told(made) if one.rule in once]) == in_turn(
        [one for one in straight if one.rule in once]
    )


@given(ruled(), shown(), st.lists(st.integers(0, 11)))
def test_records_that_come_again_later_make_no_event_twice(
    rules: Rules, records: list[Shown], again: list[int]
) -> None:
    repeated = [*records, *(records[n] for n in again if n < len(records)), *records]

    made = crossings(judged(made_rules(rules), repeated, {}))

    assert len({identity(one) for one in made}) == len(made)


@given(ruled(), shown())
def test_a_record_judged_again_on_the_memory_it_left_changes_nothing(rules: Rules, records: list[Shown]) -> None:
    documents: Documents = {}

    for record in records:
        judged(made_rules(rules), [record], documents)
        again = judged(made_rules(rules), [record], documents)

        assert crossings(again) == []
        assert not any(state.is_changed for state in again.values())


@given(ruled(ONCE), shown())
def test_a_whole_topic_replayed_changes_nothing_where_nothing_looks_back(rules: Rules, records: list[Shown]) -> None:
    documents: Documents = {}
    judged(made_rules(rules), records, documents)
    before = dict(documents)

    folded = judged(made_rules(rules), records, documents)

    assert crossings(folded) == []
    assert not any(state.is_changed for state in folded.values())
    assert documents == before


@given(ruled(), IN_ONE_PERIOD.flatmap(lambda seen: st.tuples(st.just(seen), st.permutations(seen))))
def test_within_a_period_the_order_of_arrival_changes_nothing_of_what_plain_rules_fire(
    rules: Rules, orders: tuple[list[Shown], list[Shown]]
) -> None:
    plain = {rule for rule in rules if rules[rule][1:] == PLAIN}

    made, made_otherwise = (
        {one for one in told(crossings(judged(made_rules(rules), records, {}))) if one.rule in plain}
        for records in orders
    )

    assert made == made_otherwise


@given(ruled(), shown())
def test_episodes_alternate_and_nothing_recovers_that_was_not_triggered(rules: Rules, records: list[Shown]) -> None:
    made = told(crossings(judged(made_rules(rules), records, {})))

    for name, in_order in of_threshold(made):
        actions = ["triggered", "recovered"] if rules[name].tells_recovered else ["triggered"]
        episodes = range(1, len(in_order) + 1) if rules[name].rearm == "recovery" else [1]
        assert in_order == [(action, episode) for episode in episodes for action in actions][: len(in_order)]


@given(ruled(), IN_ONE_PERIOD.map(lambda seen: seen * 2), st.randoms(use_true_random=False))
def test_whatever_the_settings_change_to_nothing_recovers_that_was_not_triggered(
    rules: Rules, records: list[Shown], random: Random
) -> None:
    documents: Documents = {}
    made: list[Crossing] = []
    expected = Story()
    for n, seen in enumerate(records):
        record = seen._replace(at=2 * n + random.choice([0, 0, -3]))
        now = {name: oracle.Rule(rule.lines, *random.choice(SETTINGS)) for name, rule in rules.items()}
        made += crossings(judged(made_rules(now), [record], documents))
        expected.goes_on(now, record)

    assert told(made) == expected.events
    assert len({identity(one) for one in made}) == len(made)
    for _, in_order in of_threshold(told(made)):
        assert all(
            ("triggered", episode) in in_order[:n]
            for n, (action, episode) in enumerate(in_order)
            if action == "recovered"
        )


@given(ruled(), shown(), st.randoms(use_true_random=False))
def test_the_order_of_the_configuration_changes_nothing(
    rules: Rules,
    records: list[Shown],
    random: Random,
) -> None:
    shuffled = {name: rule._replace(lines=random.sample(rule.lines, len(rule.lines))) for name, rule in rules.items()}
    backwards = list(reversed(made_rules(shuffled)))

    made = told(crossings(judged(made_rules(rules), records, {})))
    made_otherwise = told(crossings(judged(backwards, records, {})))

    for rule in rules:
        assert in_turn([one for one in made if one.rule == rule]) == in_turn(
            [one for one in made_otherwise if one.rule == rule]
        )


@given(ruled(), IN_ONE_PERIOD)
def test_a_new_period_starts_empty(rules: Rules, records: list[Shown]) -> None:
    later = [record._replace(period=2) for record in records]

    made = told(crossings(judged(made_rules(rules), records + later, {})))

    half = len(made) // 2
    assert [one._replace(period=2) for one in made[:half]] == made[half:]


@given(st.integers(1, 10**38 - 1))
def test_a_hundred_percent_is_the_whole_and_not_one_unit_less(allowance: int) -> None:
    rules = [make_rule(percents=[100])]

    at = judged(rules, [Shown("ent-1", 1, 0, str(allowance), str(allowance), None)], {})
    below = judged(rules, [Shown("ent-1", 1, 0, str(allowance - 1), str(allowance), None)], {})

    assert len(crossings(at)) == 1
    assert crossings(below) == []
