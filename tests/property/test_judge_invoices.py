"""Invoices: created once, updated once for each change of state, in whatever order their records come."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tests.property.stories import begun, check, go_on, in_turn
from tests.property.strategies import INVOICE_RULES, billed, ruled
from tests.property.words import Billed, Rule
from tests.property.world import World

RULES = ruled(INVOICE_RULES)
Rules = dict[str, Rule]


@given(RULES, billed(), st.lists(st.integers(0, 12)))
def test_invoice_events_are_those_of_the_contract_in_any_split(
    rules: Rules, records: list[Billed], cuts: list[int]
) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
    world = World(rules)

    for start, end in itertools.pairwise(edges):
        world.batch(records[start:end])

    check(world, go_on(begun(rules), records))


@given(RULES, billed(), st.permutations(range(12)))
def test_an_invoice_is_created_once_in_any_order_of_records(
    rules: Rules, records: list[Billed], order: list[int]
) -> None:
    world, other = World(rules), World(rules)

    world.batch(records)
    other.batch(records[n] for n in order if n < len(records))

    created = {name for name, rule in rules.items() if rule.type == "created"}
    assert {one for one in world.events if one.rule in created} == {one for one in other.events if one.rule in created}


@given(RULES, billed(), st.permutations(range(12)))
def test_a_records_own_previous_state_is_independent_of_order(
    rules: Rules, records: list[Billed], order: list[int]
) -> None:
    own = [record._replace(previous=record.previous or "issued", by=("a", str(n))) for n, record in enumerate(records)]
    world, other = World(rules), World(rules)

    world.batch(own)
    other.batch(own[n] for n in order if n < len(own))

    assert set(world.events) == set(other.events)


@given(RULES, billed(), st.data())
def test_each_change_of_an_invoice_fires_once_after_any_replays(
    rules: Rules, records: list[Billed], data: st.DataObject
) -> None:
    world, story, reached = World(rules), begun(rules), 0
    while reached < len(records):
        start = data.draw(st.integers(0, reached), label="goes back to")
        end = data.draw(st.integers(reached + 1, len(records)), label="reads until")
        world.batch(records[start:end])
        go_on(story, records[start:end])
        reached = end

    straight = go_on(begun(rules), records)
    check(world, story)
    assert len({one[:3] for one in world.events}) == len(world.events)
    assert {one[:3] for one in world.events} >= straight.identities


@given(RULES, billed())
def test_gathering_never_notifies(rules: Rules, records: list[Billed]) -> None:
    world = World(rules)

    world.batch(record._replace(state="gathering") for record in records)

    assert in_turn(world.events) == {}
