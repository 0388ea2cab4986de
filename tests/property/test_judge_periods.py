"""Periods that are extended, shortened, ended, go on, move back or never end; whatever opens an alarm closes it."""

import itertools
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from tests.property.oracle import Story
from tests.property.stories import begun, check, go_on
from tests.property.strategies import LIVELY_PERIODS, LIVES, ONE, TIMELY, in_time, ruled, shown, thresholds
from tests.property.words import Event, Line, Rule, Shown, is_closing
from tests.property.world import World

RULES = ruled(st.one_of(thresholds(), thresholds(), st.just(Rule("reset"))))
HUNDRED = [Line("usage_percentage", "80"), Line("usage_percentage", "100")]
ALARMS = {
    "alarm": Rule("balance", HUNDRED, notifies_recovered=True),
    "again": Rule("balance", HUNDRED, rearm="recovery", notifies_recovered=True),
    "reset": Rule("reset"),
}
LIVELY = shown(ONE, LIVELY_PERIODS, ("usage", "usage", "usage", "usage", "reset")).map(in_time)
TICKS = st.lists(st.sampled_from([0, 0, 1, 2, 5, 10]), min_size=12, max_size=12)
# Periods that begin before an end at which the clock may have reset already: manual resets that come late.
LATE_STARTS = st.lists(
    st.builds(
        lambda usage, period, kind: Shown(ONE[0], 0, usage, "100", None, *period, kind=kind),
        st.sampled_from(["10", "100", "100"]),
        st.sampled_from([(0, 10), (0, 10), (6, 10), (6, 10), (8, 10), (6, 16), (10, 20)]),
        st.sampled_from(["usage", "usage", "reset"]),
    ),
    min_size=4,
    max_size=8,
).map(lambda records: in_time([one._replace(at=n) for n, one in enumerate(records)]))
LONG_TICKS = st.lists(st.sampled_from([0, 12]), min_size=7, max_size=7).map(lambda ticks: [0, *ticks])
Rules = dict[str, Rule]


def look(world: World, now: float, story: Story | None = None) -> None:
    """The clock looks at every entitlement that is known."""
    for key in world.shown_at:
        world.period_ends(key[:2], now)
        if story is not None:
            story.period_ends(key[:2], now)


@given(RULES, TIMELY, TICKS, st.lists(st.booleans(), min_size=12, max_size=12))
def test_two_interleaved_partitions_keep_the_contract(
    rules: Rules, records: list[Shown], ticks: list[int], is_other: list[bool]
) -> None:
    """Each in its order; the one is read to its end before the other begins."""
    world, story = World(rules), begun(rules)
    placed = list(zip(records, is_other, strict=False))
    arriving = [one for one, other in placed if not other] + [one for one, other in placed if other]

    for record, now in zip(arriving, itertools.accumulate(ticks), strict=False):
        world.batch([record], now)
        go_on(story, [record], now)
        look(world, now, story)

    check(world, story)


@given(RULES, TIMELY, TICKS, st.lists(st.booleans(), min_size=12, max_size=12))
def test_a_whole_topic_replayed_changes_nothing_however_often(
    rules: Rules, records: list[Shown], ticks: list[int], looks: list[bool]
) -> None:
    world, now = World(rules), 0
    for record, now, does_look in zip(records, itertools.accumulate(ticks), looks, strict=False):
        world.batch([record], now)
        if does_look:
            look(world, now)
    look(world, now)
    documents, events = dict(world.documents), list(world.events)

    for _ in range(2):
        for record in records:
            world.batch([record], now)
            look(world, now)

        assert (world.events, world.documents) == (events, documents)


@given(LIVES, TICKS)
def test_every_alarm_is_closed_once_its_period_has_ended(records: list[Shown], ticks: list[int]) -> None:
    """Unless its entitlement is gone."""
    world, story = World(ALARMS), begun(ALARMS)
    for record, now in zip(records, itertools.accumulate(ticks), strict=False):
        world.batch([record], now)
        go_on(story, [record], now)
        look(world, now, story)

    gone = {record.about for record in records if record.kind == "delete" or record.active_to < inf}
    for alarm, closings in alarms(world.events):
        memory = story.memories[alarm.about]
        is_over = memory.ended or memory.begins != alarm.identity[0]
        assert len(closings) <= 1
        assert closings or not is_over or alarm.about in gone


@given(LIVELY, TICKS)
def test_only_alarms_of_the_current_period_are_open(records: list[Shown], ticks: list[int]) -> None:
    """And each that the end of its period closes, is closed before the reset of that end."""
    world = World(ALARMS)
    for record, now in zip(records, itertools.accumulate(ticks), strict=False):
        world.batch([record], now)
        look(world, now)

    world.batch([Shown(ONE[0], 5000, "0", "100", "100", 5000, 6000)])

    assert [alarm for alarm, closings in alarms(world.events) if len(closings) != 1] == []
    resets = {one.identity[0]: n for n, one in enumerate(world.events) if one.rule == "reset"}
    closed = [(n, one) for n, one in enumerate(world.events) if is_closing(one)]
    assert all(n < resets.get(one.says[1], inf) for n, one in closed if isinstance(one.says, tuple))


@given(st.one_of(st.tuples(LATE_STARTS, LONG_TICKS), st.tuples(LIVELY, TICKS)))
def test_every_firing_is_followed_by_one_reset(read: tuple[list[Shown], list[int]]) -> None:
    """Of a start that is later than its period's: who was cut off gets access back."""
    (records, ticks), world, story = read, World(ALARMS), begun(ALARMS)
    for record, now in zip(records, itertools.accumulate(ticks), strict=False):
        world.batch([record], now)
        go_on(story, [record], now)
        look(world, now, story)

    resets = [(n, one.identity) for n, one in enumerate(world.events) if one.rule == "reset"]
    fired = [(n, one.identity[0]) for n, one in enumerate(world.events) if one.identity[2:3] == ("triggered",)]
    current = {memory.begins for memory in story.memories.values() if not memory.ended}
    over = [(n, start) for n, start in fired if start not in current]
    assert [start for n, start in over if not any(after > n and of[0] > start for after, of in resets)] == []
    assert len({identity for _, identity in resets}) == len(resets)
    check(world, story)


def alarms(events: list[Event]) -> list[tuple[Event, list[Event]]]:
    """Every triggered event of a rule that notifies of recoveries, and what closes it."""
    opened = [one for one in events if one.rule != "reset" and one.identity[2] == "triggered"]
    closed = [one for one in events if one.rule != "reset" and one.identity[2] == "recovered"]
    return [
        (
            one,
            [
                other
                for other in closed
                if other[:2] == one[:2] and other.identity == (*one.identity[:2], "recovered", one.identity[3])
            ],
        )
        for one in opened
    ]
