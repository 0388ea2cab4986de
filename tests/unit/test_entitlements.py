"""Where an entitlement's record stands in time, and what is remembered of the entitlement."""

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document, Judgement, Reason
from schemas.rules import Rule, RuleId
from tests.support.factories import FEATURE, NOW, PERIOD, make_rule, make_snapshot
from tests.support.records import make_period_end
from tests.support.rules import ignoring_rule, reset_rule

MONTH = dt.timedelta(days=30)
HOUR = dt.timedelta(hours=1)
NEXT_PERIOD = (PERIOD[1], PERIOD[1] + MONTH)
LAST_PERIOD = (PERIOD[0] - MONTH, PERIOD[0])
PLAIN = make_rule(percents=[80], rule_id="plain")
WATCHING = make_rule(percents=[80], rule_id="watching", rearm="recovery")
RESETS = reset_rule("resets")
RULES = [PLAIN, WATCHING, RESETS]
AT_80 = make_snapshot(80)
SEEN = judge(RULES, AT_80, UNSEEN).document
assert isinstance(SEEN, Document)
ENDED = replace(SEEN, ended=True, marks={}, as_of=None)


def trace(minute: int) -> dict[str, dt.datetime]:
    """What a record leaves in the document that it changes, where it is the newest."""
    at = NOW + dt.timedelta(minutes=minute)
    return {"known_at": at, "newest_at": at}


def reasons(judgement: Judgement) -> list[Reason]:
    return [reason for _, reason in judgement.reasons]


def of(judgement: Judgement) -> Document:
    assert isinstance(judgement.document, Document)
    return judgement.document


@pytest.mark.parametrize(
    ("document", "period", "is_stale"),
    [
        # nothing seen, the very period, a later one
        (UNSEEN, LAST_PERIOD, False),
        (SEEN, PERIOD, False),
        (SEEN, NEXT_PERIOD, False),
        # what starts within the period is a later one: a reset by hand moved the start
        (SEEN, (NOW, PERIOD[1]), False),
        # an earlier one, be it by a microsecond
        (SEEN, LAST_PERIOD, True),
        (SEEN, (PERIOD[0] - dt.timedelta(microseconds=1), PERIOD[1]), True),
        # the clock has ended it: what began with it or before is over
        (ENDED, PERIOD, True),
        (ENDED, LAST_PERIOD, True),
        # … and any later start begins a period, also one before the end
        (ENDED, (PERIOD[0] + dt.timedelta(microseconds=1), PERIOD[1]), False),
        (ENDED, NEXT_PERIOD, False),
    ],
)
def test_a_record_of_a_period_that_is_over_makes_nothing(
    document: Document, period: tuple[dt.datetime, dt.datetime], is_stale: bool
) -> None:
    judgement = judge(RULES, make_snapshot(100, period=period, minute=1), document)

    assert (set(reasons(judgement)) == {Reason.STALE_PERIOD}) is is_stale
    assert (judgement.document is document) is is_stale
    assert not (is_stale and judgement.occurrences)


def test_a_moved_period_start_rearms_and_forgets_the_old_one() -> None:
    judgement = judge(RULES, make_snapshot(10, period=NEXT_PERIOD, minute=1), SEEN)

    assert of(judgement) == Document(
        period_from=NEXT_PERIOD[0],
        period_to=NEXT_PERIOD[1],
        resets=frozenset({RESETS.id}),
        feature=FEATURE,
        **trace(1),
    )


def test_a_period_begun_after_the_clocks_end_is_not_ended() -> None:
    judgement = judge(RULES, make_snapshot(90, period=NEXT_PERIOD, minute=1), ENDED)

    assert not of(judgement).ended
    assert reasons(judgement) == [Reason.FIRST_CROSSING, Reason.FIRST_CROSSING, Reason.ALREADY_RESET]


def test_a_record_that_changes_nothing_leaves_the_very_memory() -> None:
    assert judge([PLAIN, RESETS], make_snapshot(89, minute=1), SEEN).document is SEEN


@pytest.mark.parametrize(
    ("snapshot", "as_of"),
    [
        # a mark changes: moved by the newest record alone
        (make_snapshot(80), NOW),
        (make_snapshot(10, minute=5), NOW + dt.timedelta(minutes=5)),
        # no mark changes, but one rule looks back and has a mark
        (make_snapshot(90, minute=5), NOW + dt.timedelta(minutes=5)),
        # older, and equal
        (make_snapshot(90, minute=-5), NOW),
        (make_snapshot(90, minute=0), NOW),
    ],
)
def test_as_of_is_the_newest_record_that_counts(snapshot: Any, as_of: dt.datetime) -> None:
    assert of(judge(RULES, snapshot, SEEN)).as_of == as_of


def test_a_reset_moves_no_as_of_where_no_mark_changes() -> None:
    judgement = judge([RESETS], make_snapshot(90, period=NEXT_PERIOD, minute=1), SEEN)

    assert of(judgement).as_of is None


@pytest.mark.parametrize(
    ("document", "minute", "deleted_at"),
    [
        # the first sight of it: remembered for the clock
        (UNSEEN, 0, NOW),
        # newer than what counts, equal to it
        (SEEN, 5, NOW + dt.timedelta(minutes=5)),
        (SEEN, 0, NOW),
        # a record calculated after it is known
        (SEEN, -5, None),
        # of two deletes the newer one
        (replace(SEEN, deleted_at=NOW + HOUR, newest_at=NOW + HOUR), 5, NOW + HOUR),
        (replace(SEEN, deleted_at=NOW), 5, NOW + dt.timedelta(minutes=5)),
        # of a row of an older release nothing is known
        (replace(SEEN, known_at=None, newest_at=None), -5, NOW - dt.timedelta(minutes=5)),
    ],
)
def test_a_delete_is_remembered_unless_a_later_record_is_known(
    document: Document, minute: int, deleted_at: dt.datetime | None
) -> None:
    judgement = judge(RULES, make_snapshot(minute=minute, is_deleted=True), document)

    assert reasons(judgement) == [Reason.DELETED] * 3
    after = of(judgement)
    assert replace(after, known_at=None, newest_at=None) == replace(
        document,
        period_from=PERIOD[0],
        period_to=PERIOD[1],
        deleted_at=deleted_at or document.deleted_at,
        feature=FEATURE,
        known_at=None,
        newest_at=None,
    )
    assert (after is document) is (after.deleted_at == document.deleted_at)


@pytest.mark.parametrize(
    ("minute", "is_deleted"),
    [
        # calculated after the delete: it lives again
        (1, False),
        # before and with it: a late record
        (0, True),
        (-1, True),
    ],
)
@pytest.mark.parametrize("active_to", [None, NOW + HOUR])
def test_a_record_calculated_after_a_delete_undoes_it(
    minute: int, is_deleted: bool, active_to: dt.datetime | None
) -> None:
    deleted = replace(SEEN, deleted_at=NOW)

    after = of(judge(RULES, make_snapshot(85, minute=minute, active_to=active_to), deleted))

    assert (after.deleted_at is not None) is is_deleted


@pytest.mark.parametrize(
    ("document", "period", "after"),
    [
        # the first sight of it
        (
            UNSEEN,
            PERIOD,
            Document(period_from=PERIOD[0], period_to=PERIOD[1], active_to=NOW, feature=FEATURE, **trace(1)),
        ),
        # known: its end is remembered, the period stays; of the same one the end
        (SEEN, PERIOD, replace(SEEN, active_to=NOW, **trace(1))),
        (SEEN, (PERIOD[0], NOW), replace(SEEN, active_to=NOW, period_to=NOW, **trace(1))),
        # of a later one: which it does not begin, so nothing of the known one is newer for it
        (SEEN, NEXT_PERIOD, replace(SEEN, active_to=NOW, newest_at=trace(1)["newest_at"])),
        # known with that end, and of a period that is over, and late: nothing new
        (replace(SEEN, active_to=NOW), PERIOD, replace(SEEN, active_to=NOW)),
        (SEEN, LAST_PERIOD, SEEN),
        (replace(SEEN, **trace(1)), PERIOD, replace(SEEN, **trace(1))),
    ],
)
def test_an_inactive_entitlement_is_not_judged(
    document: Document, period: tuple[dt.datetime, dt.datetime], after: Document
) -> None:
    """Its end is remembered."""
    judgement = judge(RULES, make_snapshot(100, period=period, active_to=NOW, minute=1), document)

    assert reasons(judgement) == [Reason.INACTIVE] * 3
    assert judgement.document == after


def test_an_entitlement_that_is_not_yet_active_is_not_remembered() -> None:
    judgement = judge(RULES, make_snapshot(100, active_from=NOW + HOUR, active_to=NOW), UNSEEN)

    assert reasons(judgement) == [Reason.INACTIVE] * 3
    assert judgement.document is UNSEEN


@pytest.mark.parametrize("active_to", [NOW + HOUR, None])
def test_an_active_entitlement_ends_as_the_newest_record_says(active_to: dt.datetime | None) -> None:
    document = replace(SEEN, active_to=NOW + 2 * HOUR)
    newer, late = (make_snapshot(85, active_to=active_to, minute=minute) for minute in (1, 0))

    assert of(judge([PLAIN], newer, document)).active_to == active_to
    assert judge([PLAIN], late, document).document is document


def sighted(*rules: Rule) -> Document:
    return of(judge(rules, make_snapshot(10), UNSEEN))


def test_first_sights_are_kept_for_rules_that_still_exist() -> None:
    """Over periods."""
    one, two = ignoring_rule(50, rule_id="one"), ignoring_rule(50, rule_id="two")
    document = sighted(one, two)

    after = of(judge([one], make_snapshot(10, period=NEXT_PERIOD, minute=1), document))

    assert document.sights.keys() == {"one", "two"}
    assert after.sights == {RuleId("one"): {"usage_percentage:50": 1}}


def test_a_rules_first_sight_leaves_those_of_other_rules() -> None:
    one, two = ignoring_rule(50, rule_id="one"), ignoring_rule(60, rule_id="two")

    after = of(judge([two], make_snapshot(10, minute=1), sighted(one)))

    assert after.sights == {
        RuleId("one"): {"usage_percentage:50": 1},
        RuleId("two"): {"usage_percentage:60": 1},
    }


def test_marks_of_another_rule_stay() -> None:
    other = make_rule(percents=[70], rule_id="other")

    after = of(judge([other], make_snapshot(75, minute=1), SEEN))

    assert after.marks.keys() == {"plain", "watching", "other"}


def test_the_clock_ends_a_period_and_begins_none() -> None:
    sights = {RuleId("one"): {"usage_percentage:50": 1}}
    document = replace(SEEN, version=3, sights=sights, resets=frozenset({RESETS.id}), active_to=NOW)

    judgement = judge([RESETS, reset_rule("more")], make_period_end(), document)

    assert judgement.document == Document(
        version=3,
        period_from=PERIOD[0],
        period_to=PERIOD[1],
        ended=True,
        active_to=NOW,
        feature=FEATURE,
        **{"sights": sights, **trace(0)},
    )
    assert reasons(judgement) == [Reason.RESET_AUTOMATIC, Reason.RESET_AUTOMATIC]
    assert [one.rule.id for one in judgement.occurrences] == ["resets", "more"]


def test_the_clocks_reset_is_of_the_period_that_begins_then() -> None:
    (reset,) = judge([RESETS], make_period_end(), SEEN).occurrences

    assert (reset.period_from, reset.at, reset.action) == (PERIOD[1], PERIOD[1], "triggered")


def test_the_clock_recovers_no_threshold_of_a_rule_without_it() -> None:
    judgement = judge([PLAIN, WATCHING], make_period_end(), SEEN)

    assert (judgement.occurrences, judgement.reasons) == ((), ())


def test_a_reset_after_the_clocks_end_is_reported_as_manual() -> None:
    judgement = judge([RESETS], make_snapshot(0, period=(NOW, PERIOD[1] + MONTH)), ENDED)

    assert reasons(judgement) == [Reason.RESET_MANUAL]
    assert of(judgement).period_from == NOW


def test_a_resets_value_is_judged_in_the_new_period() -> None:
    judgement = judge(RULES, make_snapshot(85, period=NEXT_PERIOD, minute=1, reset_at=NEXT_PERIOD[0]), SEEN)

    assert reasons(judgement) == [Reason.FIRST_CROSSING, Reason.FIRST_CROSSING, Reason.RESET_AUTOMATIC]
    assert [one.rule.id for one in judgement.occurrences] == ["plain", "watching", "resets"]


def test_marks_hold_the_level_of_their_own_kind() -> None:
    rule = make_rule(("balance_value", 30), percents=[80])

    after = of(judge([rule], make_snapshot(80, balance=20), UNSEEN))

    assert {mark.level for mark in after.marks[rule.id].values()} == {20, 80}
    assert after.marks[rule.id]["balance_value:30"].level == 20
