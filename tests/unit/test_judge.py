"""The judgement, case by case; `tests/property` holds it against an oracle."""

import datetime as dt
from typing import Any

import pytest

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document, Mark, Reason
from schemas.sources import Snapshot, Unmetered
from tests.support.factories import FEATURE, NOW, PERIOD, make_rule, make_snapshot
from tests.support.judgements import reasons, thresholds

NEXT_PERIOD = (PERIOD[1], PERIOD[1] + dt.timedelta(days=31))


def after(snapshot: Snapshot, *percents: object) -> Document:
    """The memory that *snapshot* leaves."""
    return judge([make_rule(percents=list(percents))], snapshot, UNSEEN).document


def test_reaching_the_threshold_exactly_fires_it() -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(80), UNSEEN)

    assert thresholds(judgement) == ["usage_percentage:80"]
    assert reasons(judgement) == [Reason.FIRST_CROSSING]


def test_a_level_below_fires_nothing_and_is_remembered() -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(79), UNSEEN)

    assert judgement.occurrences == ()
    assert reasons(judgement) == [Reason.BELOW]
    assert judgement.document == Document(
        period_from=PERIOD[0],
        period_to=PERIOD[1],
        known_at=NOW,
        newest_at=NOW,
        feature=FEATURE,
        level=70,
        level_at=NOW,
    )


def test_a_jump_fires_each_threshold_in_rising_order() -> None:
    rule = make_rule(percents=[100, 50, 80])

    judgement = judge([rule], make_snapshot(110), UNSEEN)

    assert thresholds(judgement) == ["usage_percentage:50", "usage_percentage:80", "usage_percentage:100"]


def test_a_crossing_carries_its_rule_record_and_episode() -> None:
    rule, snapshot = make_rule(percents=[80]), make_snapshot(80)

    (crossing,) = judge([rule], snapshot, UNSEEN).occurrences

    assert (crossing.rule, crossing.snapshot, crossing.episode) == (rule, snapshot, 1)
    assert (crossing.action, crossing.also_crossed) == ("triggered", ())


def test_a_fired_threshold_is_silent_for_the_rest_of_the_period() -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(90, minute=1), after(make_snapshot(80), 80))

    assert judgement.occurrences == ()
    assert reasons(judgement) == [Reason.ALREADY_FIRED]


def test_falling_below_and_reaching_again_is_silent() -> None:
    document = after(make_snapshot(80), 80)
    document = judge([make_rule(percents=[80])], make_snapshot(10, minute=1), document).document

    assert thresholds(judge([make_rule(percents=[80])], make_snapshot(90, minute=2), document)) == []


def test_a_record_without_a_change_leaves_the_memory_object() -> None:
    document = after(make_snapshot(80), 80)

    for usage in (10, 80, 89):
        assert judge([make_rule(percents=[80])], make_snapshot(usage, minute=1), document).document is document


def test_a_new_period_rearms() -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(80, period=NEXT_PERIOD), after(make_snapshot(80), 80))

    assert thresholds(judgement) == ["usage_percentage:80"]
    assert judgement.document.period_from == NEXT_PERIOD[0]


def test_a_new_period_forgets_the_old_one() -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(10, period=NEXT_PERIOD), after(make_snapshot(80), 80))

    assert judgement.document == Document(
        period_from=NEXT_PERIOD[0], period_to=NEXT_PERIOD[1], known_at=NOW, newest_at=NOW, feature=FEATURE
    )


def test_a_record_of_an_earlier_period_makes_nothing() -> None:
    document = after(make_snapshot(10, period=NEXT_PERIOD), 80)

    judgement = judge([make_rule(percents=[50, 100])], make_snapshot(100, minute=5), document)

    assert judgement.document is document
    assert judgement.occurrences == ()
    assert reasons(judgement) == [Reason.STALE_PERIOD]


def test_a_late_record_of_the_same_period_can_still_fire() -> None:
    document = after(make_snapshot(60, minute=10), 50, 90)

    judgement = judge([make_rule(percents=[50, 90])], make_snapshot(95, minute=1), document)

    assert thresholds(judgement) == ["usage_percentage:90"]


def test_as_of_is_the_newest_record_that_changed_a_mark() -> None:
    first = after(make_snapshot(60, minute=10), 50, 90)
    late = judge([make_rule(percents=[50, 90])], make_snapshot(95, minute=1), first)
    silent = judge([make_rule(percents=[50, 90])], make_snapshot(96, minute=20), late.document)

    assert [first.as_of, late.document.as_of, silent.document.as_of] == [NOW + dt.timedelta(minutes=10)] * 3


def test_a_mark_says_when_and_at_which_level_it_was_made() -> None:
    rule = make_rule(("usage_percentage", 50), ("balance_value", 40))

    document = judge([rule], make_snapshot(65, balance=35, minute=5), UNSEEN).document

    at = NOW + dt.timedelta(minutes=5)
    assert document.marks[rule.id]["usage_percentage:50"] == Mark("fired", 1, at, 65)  # type: ignore[arg-type]
    assert document.marks[rule.id]["balance_value:40"] == Mark("fired", 1, at, 35)  # type: ignore[arg-type]


def test_a_moved_period_end_is_remembered_and_rearms_nothing() -> None:
    longer = (PERIOD[0], PERIOD[1] + dt.timedelta(days=1))

    judgement = judge(
        [make_rule(percents=[80])], make_snapshot(80, period=longer, minute=1), after(make_snapshot(80), 80)
    )

    assert judgement.document.period_to == longer[1]
    assert reasons(judgement) == [Reason.ALREADY_FIRED]


def test_rules_are_independent_of_each_other() -> None:
    rules = [make_rule(percents=[50], rule_id="rule-1"), make_rule(percents=[50], rule_id="rule-2")]
    document = judge(rules[:1], make_snapshot(60), UNSEEN).document

    judgement = judge(rules, make_snapshot(60, minute=1), document)

    assert [crossing.rule.id for crossing in judgement.occurrences] == ["rule-2"]
    assert reasons(judgement) == [Reason.ALREADY_FIRED, Reason.FIRST_CROSSING]
    assert set(judgement.document.marks) == {"rule-1", "rule-2"}


def test_a_threshold_taken_away_and_put_back_remembers() -> None:
    document = after(make_snapshot(60), 50)
    document = judge([make_rule(percents=[90])], make_snapshot(95, minute=1), document).document

    judgement = judge([make_rule(percents=[50, 90])], make_snapshot(96, minute=2), document)

    assert reasons(judgement) == [Reason.ALREADY_FIRED, Reason.ALREADY_FIRED]


def test_the_same_threshold_under_its_old_name_remembers() -> None:
    document = after(make_snapshot(80), 80)

    assert thresholds(judge([make_rule(("PERCENT", "80.0"))], make_snapshot(81), document)) == []


@pytest.mark.parametrize("settings", [{}, {"rearm": "recovery", "notify_on": ["triggered", "recovered"]}])
def test_a_threshold_that_is_taken_away_ends_silently(settings: dict[str, Any]) -> None:
    document = judge([make_rule(percents=[50, 80], **settings)], make_snapshot(90), UNSEEN).document

    judgement = judge([make_rule(percents=[80], **settings)], make_snapshot(60, minute=1), document)

    assert [one.threshold.identity for one in judgement.occurrences] == (["usage_percentage:80"] if settings else [])
    assert len(reasons(judgement)) == 1


def test_a_top_up_fires_nothing_on_the_way_down() -> None:
    rule = make_rule(("balance_value", 15), percents=[50, 80])
    document = judge([rule], make_snapshot(90, allowance=100, balance=10), UNSEEN).document

    for minute, allowance in enumerate((120, 200, 1000), 1):
        judgement = judge(
            [rule], make_snapshot(90, allowance=allowance, balance=allowance - 90, minute=minute), document
        )

        assert judgement.occurrences == ()
        assert judgement.document is document


def test_a_threshold_that_stands_twice_in_a_rule_is_one() -> None:
    rule = make_rule(("PERCENT", 80), ("usage_percentage", "80.0"), ("usage_percentage", "8E+1"))

    judgement = judge([rule], make_snapshot(80), UNSEEN)

    assert [crossing.threshold.type for crossing in judgement.occurrences] == ["PERCENT"]
    assert reasons(judgement) == [Reason.FIRST_CROSSING]


def test_an_unknown_amount_is_skipped_and_the_rest_judged() -> None:
    rule = make_rule(("usage_percentage", 1), ("usage_value", 1), ("balance_value", 1))

    judgement = judge([rule], make_snapshot(100, allowance=0), UNSEEN)

    assert thresholds(judgement) == ["usage_value:1"]
    assert reasons(judgement) == [Reason.NO_ALLOWANCE, Reason.FIRST_CROSSING, Reason.NO_BALANCE]


HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        # deleted: it says nothing of usage
        ({"is_deleted": True}, Reason.DELETED),
        # not yet active, no longer active; active_to is the first moment that it is not
        ({"active_from": NOW + HOUR}, Reason.INACTIVE),
        ({"active_to": NOW}, Reason.INACTIVE),
        ({"active_to": NOW - HOUR}, Reason.INACTIVE),
        # active: from the moment on, and until
        ({"active_from": NOW, "active_to": NOW + HOUR}, Reason.FIRST_CROSSING),
        ({"active_from": NOW - HOUR}, Reason.FIRST_CROSSING),
    ],
)
def test_only_what_is_active_is_judged(more: dict[str, Any], reason: Reason) -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(100, **more), UNSEEN)

    assert reasons(judgement) == [reason]
    assert bool(judgement.occurrences) is bool(judgement.document.marks) is (reason is Reason.FIRST_CROSSING)


def test_what_is_not_metered_is_not_judged() -> None:
    rules = [make_rule(percents=[80], rule_id="rule-1"), make_rule(percents=[80], rule_id="rule-2")]

    judgement = judge(rules, Unmetered("default", "ent-1", "f-1", "llm_tokens"), UNSEEN)

    assert judgement.document is UNSEEN
    assert reasons(judgement) == [Reason.NOT_METERED, Reason.NOT_METERED]
