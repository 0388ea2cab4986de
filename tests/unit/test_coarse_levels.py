"""The coarse level of an entitlement: when a record changes it."""

import datetime as dt

import pytest

from consumer.decide import entitlements
from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document
from schemas.sources import Snapshot
from tests.support.factories import NOW, PERIOD, make_rule, make_snapshot
from tests.support.records import make_period_end

RULES = [make_rule(percents=[500])]
NEXT_PERIOD = (PERIOD[1], PERIOD[1] + dt.timedelta(days=31))


def left(*snapshots: Snapshot) -> tuple[int | None, dt.timedelta | None]:
    """The level that *snapshots* leave, and how long after the first record it was changed."""
    document = UNSEEN
    for snapshot in snapshots:
        document = judge(RULES, snapshot, document).document  # type: ignore[assignment]
    return document.level, document.level_at - NOW if document.level_at is not None else None


def minutes(number: int) -> dt.timedelta:
    return dt.timedelta(minutes=number)


@pytest.mark.parametrize(
    ("snapshots", "level", "changed"),
    [
        # the first record, one of the same level, and a rise
        ([make_snapshot(79)], 70, 0),
        ([make_snapshot(71), make_snapshot(79, minute=1)], 70, 0),
        ([make_snapshot(79), make_snapshot(80, minute=1)], 80, 1),
        # one that is older, or as old, changes nothing
        ([make_snapshot(79), make_snapshot(90, minute=-1)], 70, 0),
        ([make_snapshot(79), make_snapshot(90)], 70, 0),
        # a fall waits; a rise meanwhile does not
        ([make_snapshot(80), make_snapshot(79, minute=4)], 80, 0),
        ([make_snapshot(80), make_snapshot(79, minute=5)], 70, 5),
        ([make_snapshot(80), make_snapshot(79, minute=1), make_snapshot(90, minute=2)], 90, 2),
        # an allowance that goes, and one that comes
        ([make_snapshot(80), make_snapshot(80, 0, minute=4)], 80, 0),
        ([make_snapshot(80), make_snapshot(80, 0, minute=5)], None, 5),
        ([make_snapshot(80, 0)], None, None),
        ([make_snapshot(80, 0), make_snapshot(80, minute=1)], 80, 1),
        # a new period; a record of the one before
        ([make_snapshot(80), make_snapshot(10, period=NEXT_PERIOD, minute=60 * 24 * 9)], 10, 60 * 24 * 9),
        ([make_snapshot(10, period=NEXT_PERIOD, minute=60 * 24 * 9), make_snapshot(80)], 10, 60 * 24 * 9),
        # calculated before its period: nothing is known of it yet
        ([make_snapshot(80, period=NEXT_PERIOD)], None, None),
    ],
)
def test_a_newer_record_changes_it_and_a_fall_waits(
    snapshots: list[Snapshot], level: int | None, changed: int | None
) -> None:
    assert left(*snapshots) == (level, None if changed is None else minutes(changed))


def test_a_fall_waits_as_long_as_the_record_before_it() -> None:
    assert minutes(5) == entitlements.FALL_PAUSE


def test_a_level_that_jumps_with_each_record_is_written_rarely() -> None:
    document, written = UNSEEN, 0
    for minute in range(60):
        after = judge(RULES, make_snapshot(79 + minute % 2, minute=minute), document).document
        written += after is not document
        document = after  # type: ignore[assignment]

    assert written <= 2 * 60 / 5


def test_the_level_is_unknown_from_a_period_end_to_a_record() -> None:
    document = judge(RULES, make_snapshot(80), UNSEEN).document
    assert isinstance(document, Document)

    ended = entitlements.end_period(RULES, make_period_end(), document)

    assert isinstance(ended.document, Document)
    assert (ended.document.level, ended.document.level_at) == (None, None)


def test_a_change_of_it_leaves_no_other_trace() -> None:
    before = judge(RULES, make_snapshot(79), UNSEEN).document
    after = judge(RULES, make_snapshot(80, minute=1), before).document

    assert isinstance(before, Document)
    assert isinstance(after, Document)
    assert (after.known_at, after.newest_at, after.as_of) == (before.known_at, before.newest_at, before.as_of)
