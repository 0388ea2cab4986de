"""What an entitlement goes through: resets by record, by a later period, by the clock; deletes, inactive, unmetered."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tests.property.oracle import Story
from tests.property.stories import begun, check, go_on
from tests.property.strategies import LIVES, RENAMED_LIVES, TIMELY, ruled, thresholds
from tests.property.words import Rule, Shown
from tests.property.world import World

RULES = ruled(st.one_of(thresholds(), st.just(Rule("reset")), st.just(Rule("reset"))))
NAMES = st.one_of(
    st.just(frozenset()), st.frozensets(st.sampled_from(["f-1", "f-2", "llm_tokens", "api_calls"]), min_size=1)
)
NAMING = ruled(st.one_of(thresholds(features=NAMES), st.builds(lambda names: Rule("reset", features=names), NAMES)))
TICKS = st.lists(st.sampled_from([0, 0, 0, 1, 2, 5, 10]), min_size=12, max_size=12)
Rules = dict[str, Rule]


def look(world: World, story: Story, now: float) -> None:
    """Both clocks look at every entitlement that is known."""
    for about in story.memories:
        world.period_ends(about, now)
        story.period_ends(about, now)


@given(RULES, LIVES)
def test_events_reasons_and_memory_are_those_of_the_contract(rules: Rules, records: list[Shown]) -> None:
    world = World(rules)

    world.batch(records)

    check(world, go_on(begun(rules), records))


@given(RULES, LIVES, TICKS)
def test_the_clock_ends_at_any_point_what_a_record_showed_before(
    rules: Rules, records: list[Shown], ticks: list[int]
) -> None:
    """A record shows an end at the database's time; the clock looks when it likes; time only goes on.

    A period that comes back after one that was moved back begins once more, and what it fires is known by its identity.
    """
    world, story = World(rules), begun(rules)

    for record, now in zip(records, itertools.accumulate(ticks), strict=False):
        world.batch([record], now)
        go_on(story, [record], now)
        look(world, story, now)

    check(world, story)
    moves_back = any(after.period < before.period for before, after in itertools.pairwise(records))
    assert world.twice == 0 or moves_back or any(rule.type == "reset" for rule in rules.values())


@given(RULES, LIVES, TICKS, st.lists(st.booleans(), min_size=12, max_size=12))
def test_a_late_clock_and_any_batches_keep_the_contract(
    rules: Rules, records: list[Shown], ticks: list[int], cuts: list[bool]
) -> None:
    world, story = World(rules), begun(rules)
    batch: list[Shown] = []
    for record, now, is_cut in zip(records, itertools.accumulate(ticks), cuts, strict=False):
        batch.append(record)
        if is_cut:
            world.batch(batch, now)
            go_on(story, batch, now)
            look(world, story, now)
            batch = []

    check(world, story)


@given(NAMING, RENAMED_LIVES, TICKS)
def test_the_clock_matches_rules_by_the_newest_feature_name(
    rules: Rules, records: list[Shown], ticks: list[int]
) -> None:
    world, story = World(rules), begun(rules)

    for record, now in zip(records, itertools.accumulate(ticks), strict=False):
        world.batch([record], now)
        go_on(story, [record], now)
        look(world, story, now)

    check(world, story)


@given(RULES, TIMELY, st.data())
def test_a_reset_fires_once_for_each_rule_and_start(rules: Rules, records: list[Shown], data: st.DataObject) -> None:
    world, story, reached = World(rules), begun(rules), 0
    while reached < len(records):
        start = data.draw(st.integers(0, reached), label="goes back to")
        end = data.draw(st.integers(reached + 1, len(records)), label="reads until")
        world.batch(records[start:end])
        go_on(story, records[start:end])
        reached = end

    # Not its kind: of two ends of a period the one last shown counts, and reading again shows the first again.
    straight = go_on(begun(rules), records).identities
    resets = {name for name, rule in rules.items() if rule.type == "reset"}
    check(world, story)
    assert world.twice == 0
    assert {one[:3] for one in world.events if one.rule in resets} == {one for one in straight if one[0] in resets}


@given(RULES, LIVES, TICKS)
def test_the_clock_looking_again_changes_nothing(rules: Rules, records: list[Shown], ticks: list[int]) -> None:
    world, story = World(rules), begun(rules)
    for record, now in zip(records, itertools.accumulate(ticks), strict=False):
        world.batch([record], now)
        go_on(story, [record], now)
        look(world, story, now)
        documents, events = dict(world.documents), list(world.events)

        look(world, story, now)

        assert (world.documents, world.events) == (documents, events)


@given(RULES, LIVES)
def test_deleted_and_unmetered_entitlements_make_no_event(rules: Rules, records: list[Shown]) -> None:
    world = World(rules)

    world.batch(record._replace(kind="delete" if n % 2 else "unmetered") for n, record in enumerate(records))

    assert world.events == []
