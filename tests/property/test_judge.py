"""Thresholds: the judgement equals an oracle that imports nothing of the project, however its records come."""

import itertools
from math import inf
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.property.stories import begun, check, go_on, in_turn, of_thresholds
from tests.property.strategies import IN_ONE_PERIOD, ONCE, ONE, OVER, PERIODS, PLAIN, ruled, shown, thresholds
from tests.property.words import Line, Rule, Shown, is_closing
from tests.property.world import World, unleveled

RULES = ruled(thresholds())
WHATEVER_ITS_END = shown(ONE, ((0, 1000), (0, 900), (0, 1200), (0, inf)))
Rules = dict[str, Rule]


@given(RULES, shown())
def test_events_reasons_and_memory_are_those_of_the_contract(rules: Rules, records: list[Shown]) -> None:
    world = World(rules)

    world.batch(records)

    check(world, go_on(begun(rules), records))


@given(RULES, shown(), st.lists(st.integers(0, 12)))
def test_any_split_into_batches_makes_the_same_events(rules: Rules, records: list[Shown], cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
    world = World(rules)

    for start, end in itertools.pairwise(edges):
        world.batch(records[start:end])

    check(world, go_on(begun(rules), records))


@given(RULES, OVER, st.data())
def test_going_back_any_number_of_times_makes_no_event_twice(
    rules: Rules, records: list[Shown], data: st.DataObject
) -> None:
    """A crash between write and commit, or two replicas with swapped partitions: a batch is read again."""
    world, read, reached = World(rules), begun(rules), 0
    while reached < len(records):
        start = data.draw(st.integers(0, reached), label="goes back to")
        end = data.draw(st.integers(reached + 1, len(records)), label="reads until")
        world.batch(records[start:end])
        go_on(read, records[start:end])
        reached = end

    plain = {rule for rule in rules if not rules[rule].looks_back}
    straight = go_on(begun(rules), records).events
    check(world, read)
    assert world.twice == 0
    assert in_turn(one for one in world.events if one.rule in plain) == in_turn(
        one for one in straight if one.rule in plain
    )


@given(RULES, OVER, st.lists(st.integers(0, 11)))
def test_records_that_come_again_later_make_no_event_twice(
    rules: Rules, records: list[Shown], again: list[int]
) -> None:
    repeated = [*records, *(records[n] for n in again if n < len(records)), *records]
    world = World(rules)

    world.batch(repeated)

    assert world.twice == 0
    check(world, go_on(begun(rules), repeated))


@given(RULES, shown())
def test_a_record_judged_again_changes_nothing(rules: Rules, records: list[Shown]) -> None:
    world = World(rules)

    for record in records:
        world.batch([record])
        again = world.batch([record])

        assert not any(state.is_changed for state in again.values())


@given(ruled(thresholds(ONCE)), OVER)
def test_a_replayed_topic_changes_nothing_for_plain_rules(rules: Rules, records: list[Shown]) -> None:
    world = World(rules)
    world.batch(records)

    again = world.batch(records)

    # Where records came late, the level is that of the last one: it is for people.
    assert not any(state.occurrences for state in again.values())
    assert all(unleveled(state.document) == unleveled(state.before) for state in again.values())


@given(RULES, WHATEVER_ITS_END.flatmap(lambda seen: st.tuples(st.just(seen), st.permutations(seen))))
def test_order_within_a_period_does_not_change_what_fires(
    rules: Rules, orders: tuple[list[Shown], list[Shown]]
) -> None:
    events = []
    for records in orders:
        world = World(rules)
        world.batch(records)
        events.append({one for one in world.events if rules[one.rule][2:5] == PLAIN})

    assert events[0] == events[1]


@given(RULES, OVER)
def test_episodes_alternate_between_triggered_and_recovered(rules: Rules, records: list[Shown]) -> None:
    """Nothing recovers that was not triggered."""
    world = World(rules)

    world.batch(records)

    for name, in_order in of_thresholds(world.events):
        actions = ["triggered", "recovered"] if rules[name].notifies_recovered else ["triggered"]
        episodes = range(1, len(in_order) + 1) if rules[name].rearm == "recovery" else [1]
        assert in_order == [(action, episode) for episode in episodes for action in actions][: len(in_order)]


@given(RULES, shown(), st.randoms(use_true_random=False))
def test_the_order_of_the_configuration_changes_nothing(rules: Rules, records: list[Shown], random: Random) -> None:
    names = random.sample(sorted(rules), len(rules))
    shuffled = {
        name: rules[name]._replace(written=random.sample(rules[name].written, len(rules[name].written)))
        for name in names
    }
    world, other = World(rules), World(shuffled)

    world.batch(records)
    other.batch(records)

    assert in_turn(world.events) == in_turn(other.events)


@given(RULES, IN_ONE_PERIOD)
def test_a_new_period_starts_empty(rules: Rules, records: list[Shown]) -> None:
    start, end = PERIODS[1]
    world, other = World(rules), World(rules)

    world.batch(records)
    world.batch([record._replace(period=start, end=end) for record in records])
    other.batch(records)

    half = other.events
    opened = [one for one in world.events if not is_closing(one)]
    assert opened == half + [one._replace(identity=(start, *one.identity[1:])) for one in half]


@given(st.integers(1, 10**38 - 1))
def test_a_hundred_percent_is_the_whole_and_not_one_unit_less(allowance: int) -> None:
    at, below = (World({"rule-1": Rule(written=[Line("usage_percentage", "100")])}) for _ in range(2))

    at.batch([Shown(("default", "ent-1"), 0, str(allowance), str(allowance))])
    below.batch([Shown(("default", "ent-1"), 0, str(allowance - 1), str(allowance))])

    assert (len(at.events), below.events) == (1, [])
