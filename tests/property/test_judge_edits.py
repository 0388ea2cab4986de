"""Rules that change while records come: what a rule ignores, remembers, and no longer fires."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from tests.property.oracle import Story
from tests.property.stories import begun, check, go_on, of_thresholds
from tests.property.strategies import LINES, NAMES, SETTINGS, shown, thresholds
from tests.property.words import Line, Rule, Shown
from tests.property.world import World

FEW_LINES = st.sampled_from(
    [
        Line("usage_percentage", "80"),
        Line("PERCENT", "8E+1"),
        Line("usage_percentage", "100"),
        Line("usage_value", "50"),
        Line("balance_value", "20"),
    ]
)
ON_CREATE = st.sampled_from(["evaluate", "ignore"])
LEVELS = thresholds(lines=FEW_LINES, on_create=ON_CREATE)
# A rule never changes its type: the first two are about thresholds. None: disabled, or deleted.
EDIT = st.one_of(
    st.tuples(st.sampled_from(NAMES[:2]), st.one_of(LEVELS, LEVELS, LEVELS, st.none())),
    st.tuples(st.just(NAMES[2]), st.sampled_from([Rule("reset"), None])),
)
EDITS = st.lists(EDIT, max_size=2)
# Periods of one end: some began before the rule's latest edit, some after it. All records are calculated since: a start
# that moves back never comes back to where it was.
RECORDS = shown(
    periods=((0, 1000), (0, 1000), (0, 1000), (6, 1000)), kinds=("usage", "usage", "usage", "reset"), since=20
)
Edits = list[tuple[str, Rule | None]]


def edited(rules: Edits, world: World, story: Story, now: float) -> None:
    for name, rule in rules:
        world.edited(name, rule, now)
        story.edited(name, rule, now)


@given(LEVELS, RECORDS, st.lists(EDITS, min_size=12, max_size=12))
def test_events_are_those_of_the_contract_whatever_is_edited(
    first: Rule, records: list[Shown], edits: list[Edits]
) -> None:
    """Thresholds taken away, added, put back; rules disabled, deleted, enabled; each setting changed."""
    world, story = World({NAMES[0]: first}), begun({NAMES[0]: first})
    for now, (record, changes) in enumerate(zip(records, edits, strict=False)):
        edited(changes, world, story, now)
        world.batch([record], now)
        go_on(story, [record], now)

    check(world, story)
    assert world.twice == 0


@given(LEVELS, RECORDS, st.lists(st.sampled_from(SETTINGS), min_size=12, max_size=12), st.lists(ON_CREATE, min_size=12))
def test_no_edit_makes_a_recovery_without_its_triggered(
    rule: Rule, records: list[Shown], settings: list[tuple[str, str, bool]], on_create: list[str]
) -> None:
    world, story = World(), begun({})
    for now, (record, (emit, rearm, recovered), create) in enumerate(zip(records, settings, on_create, strict=False)):
        changed = rule._replace(emit=emit, rearm=rearm, notifies_recovered=recovered, on_create=create)
        edited([(NAMES[0], changed)], world, story, now)
        world.batch([record], now)
        go_on(story, [record], now)

    check(world, story)
    assert world.twice == 0
    for _, in_order in of_thresholds(world.events):
        assert all(
            ("triggered", episode) in in_order[:n]
            for n, (action, episode) in enumerate(in_order)
            if action == "recovered"
        )


@given(LEVELS.map(lambda rule: rule._replace(on_create="ignore", rearm="period")), RECORDS, st.integers(0, 12))
def test_on_create_ignore_silences_the_period_of_the_creation(
    rule: Rule, records: list[Shown], made_after: int
) -> None:
    """And fires what it fires under `evaluate` in periods that began later.

    None of which moves back: that begins one when it is known, by what was written of the records before, and a rule
    that ignores writes that it has seen the entitlement.
    """
    world, other = World(), World()
    starts = accumulate([record.period for record in records], max)
    for now, record in enumerate([one._replace(period=start) for one, start in zip(records, starts, strict=True)]):
        if now == made_after:
            world.edited(NAMES[0], rule, now)
            other.edited(NAMES[0], rule._replace(on_create="evaluate"), now)
        before = len(world.events)
        world.batch([record], now)
        other.batch([record], now)

        assert set(world.events) <= set(other.events) or rule.emit == "highest"
        if now == made_after and record.period < now:
            assert world.events[before:] == []


@given(thresholds(), st.lists(LINES, max_size=3), RECORDS, st.integers(0, 12), st.integers(0, 12))
def test_a_threshold_put_back_in_its_period_is_the_same(
    rule: Rule, other: list[Line], records: list[Shown], taken: int, back: int
) -> None:
    """What has fired does not fire again; what happens while it is missing is not seen."""
    world, story = World({NAMES[0]: rule}), begun({NAMES[0]: rule})
    without = rule._replace(written=other or [Line("usage_value", "1e37")])
    for now, record in enumerate(records):
        edited([(NAMES[0], without)] if now == taken else [], world, story, now)
        edited([(NAMES[0], rule)] if now == back else [], world, story, now)
        world.batch([record], now)
        go_on(story, [record], now)

    check(world, story)
    assert world.twice == 0
