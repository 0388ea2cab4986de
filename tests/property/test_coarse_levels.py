"""The coarse level: that of the newest record, but for falls, which wait; and never judged on."""

from collections.abc import Sequence
from fractions import Fraction

from hypothesis import event, given
from hypothesis import strategies as st

from consumer.decide.judge import judge
from consumer.decide.model import Document
from consumer.store.memory import EntitlementKey
from tests.property.strategies import EVERY_TYPE, IN_ONE_PERIOD, LIVES, ONE, ruled, shown
from tests.property.words import Rule, Shown
from tests.property.world import World, minutes, source, unleveled

PAUSE = 5  # minutes
COVERED = {"rule-1": Rule("reset")}
USAGES = st.sampled_from(
    ["0", "-1", "9.99", "10", "69", "70", "71", "80", "99.999", "100", "130", "999", "1000", "1e9"]
)
HOVERING = st.lists(USAGES, min_size=1, max_size=12).map(
    lambda usages: [Shown(ONE[0], 2 * n, usage, "100") for n, usage in enumerate(usages)]
)


def percent(one: Shown) -> int | None:
    """What *one* says, in words that share nothing with the code."""
    if one.usage is None or one.allowance is None or Fraction(one.allowance) <= 0:
        return None
    return min(max(Fraction(one.usage) * 10 // Fraction(one.allowance), 0) * 10, 1000)


def expected(records: Sequence[Shown]) -> tuple[int | None, float | None]:
    """The level that *records* of one period leave, and when it was calculated that changed it."""
    level, at = None, None
    for one in records:
        said = percent(one)
        is_late = one.at < one.period or (at is not None and one.at <= at)
        falls = level is not None and (said is None or said < level)
        waits = falls and at is not None and one.at < at + PAUSE
        if said != level and not is_late and not waits:
            level, at = said, one.at
    return level, at


def left(world: World) -> tuple[int | None, float | None]:
    document = world.documents[EntitlementKey(*ONE[0])]
    assert isinstance(document, Document)
    return document.level, None if document.level_at is None else minutes(document.level_at)


@given(st.one_of(IN_ONE_PERIOD.filter(bool), HOVERING))
def test_it_is_that_of_the_newest_record_and_a_fall_waits(records: list[Shown]) -> None:
    world = World(COVERED)

    world.batch(records)

    assert left(world) == expected(records)


@given(HOVERING, st.data())
def test_records_read_again_do_not_put_it_back(records: list[Shown], data: st.DataObject) -> None:
    world = World(COVERED)
    world.batch(records)
    before = left(world)

    world.batch(records[data.draw(st.integers(0, len(records) - 1)) :])

    assert left(world) == before


@given(ruled(EVERY_TYPE), st.one_of(LIVES, shown()))
def test_nothing_is_judged_on_it(rules: dict[str, Rule], records: list[Shown]) -> None:
    world, with_levels = World(rules), 0
    for record in records:
        about = source(record)
        matching = world.catalog.about(about)
        document = world.documents.get(EntitlementKey(*record.about), Document())
        judged, without = (judge(matching, about, one) for one in (document, unleveled(document)))

        world.batch([record])

        assert (judged.occurrences, judged.reasons) == (without.occurrences, without.reasons)
        assert unleveled(judged.document) == unleveled(without.document)
        with_levels += isinstance(document, Document) and document.level is not None
    event(f"judged where a level was known: {with_levels > 0}")
