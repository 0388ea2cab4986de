"""The judgement, case by case; `tests/property` holds it against an oracle."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document, Judgement, Mark, Reason
from schemas.sources import Snapshot, Unmetered
from tests.factories import NOW, PERIOD, make_rule, make_snapshot

NEXT_PERIOD = (PERIOD[1], PERIOD[1] + dt.timedelta(days=31))


def thresholds(judgement: Judgement) -> list[str]:
    return [crossing.threshold.identity for crossing in judgement.occurrences]


def reasons(judgement: Judgement) -> list[Reason]:
    return [reason for _, reason in judgement.reasons]


def after(snapshot: Snapshot, *percents: object) -> Document:
    """The memory that *snapshot* leaves."""
    return judge([make_rule(percents=list(percents))], snapshot, UNSEEN).document


def test_reaching_the_threshold_exactly_fires_it() -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(80), UNSEEN)

    assert thresholds(judgement) == ["usage_percentage:80"]
    assert reasons(judgement) == [Reason.FIRST_CROSSING]


def test_below_the_threshold_nothing_fires_and_the_entitlement_is_remembered() -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(79), UNSEEN)

    assert judgement.occurrences == ()
    assert reasons(judgement) == [Reason.BELOW]
    assert judgement.document == Document(period_from=PERIOD[0], period_to=PERIOD[1])


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


def test_a_record_that_changes_nothing_leaves_the_very_memory_it_found() -> None:
    document = after(make_snapshot(80), 80)

    for usage in (10, 80, 500):
        assert judge([make_rule(percents=[80])], make_snapshot(usage, minute=1), document).document is document


def test_a_new_period_arms_anew() -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(80, period=NEXT_PERIOD), after(make_snapshot(80), 80))

    assert thresholds(judgement) == ["usage_percentage:80"]
    assert judgement.document.period_from == NEXT_PERIOD[0]


def test_a_new_period_forgets_the_old_one() -> None:
    judgement = judge([make_rule(percents=[80])], make_snapshot(10, period=NEXT_PERIOD), after(make_snapshot(80), 80))

    assert judgement.document == Document(period_from=NEXT_PERIOD[0], period_to=NEXT_PERIOD[1])


def test_a_record_of_an_earlier_period_makes_nothing() -> None:
    document = after(make_snapshot(10, period=NEXT_PERIOD), 80)

    judgement = judge([make_rule(percents=[50, 100])], make_snapshot(100, minute=999), document)

    assert judgement.document is document
    assert judgement.occurrences == ()
    assert reasons(judgement) == [Reason.STALE_PERIOD]


def test_a_late_record_of_the_same_period_fires_what_has_not_fired() -> None:
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


def test_the_end_of_a_period_that_moves_is_remembered_and_arms_nothing() -> None:
    longer = (PERIOD[0], PERIOD[1] + dt.timedelta(days=1))

    judgement = judge([make_rule(percents=[80])], make_snapshot(80, period=longer), after(make_snapshot(80), 80))

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


def test_what_is_not_known_is_skipped_with_its_reason_and_the_rest_is_judged() -> None:
    rule = make_rule(("usage_percentage", 1), ("usage_value", 1), ("balance_value", 1))

    judgement = judge([rule], make_snapshot(100, allowance=0), UNSEEN)

    assert thresholds(judgement) == ["usage_value:1"]
    assert reasons(judgement) == [Reason.NO_ALLOWANCE, Reason.FIRST_CROSSING, Reason.NO_BALANCE]


REARM: dict[str, Any] = {"rearm": "recovery"}
RECOVERED: dict[str, Any] = {"notify_on": ["triggered", "recovered"]}
HIGHEST: dict[str, Any] = {"emit": "highest"}


def shown(settings: dict[str, Any], *seen: tuple[int, object]) -> list[tuple[str, str]]:
    """The reason and the event of a threshold of 50 % at each of *seen*: minute and usage, in order of arrival."""
    rule = make_rule(percents=[50], **settings)
    document, story = UNSEEN, []
    for minute, usage in seen:
        judgement = judge([rule], make_snapshot(usage, minute=minute), document)
        document = judgement.document
        (reason,) = reasons(judgement)
        story.append((str(reason), "".join(f"{one.action} {one.episode}" for one in judgement.occurrences)))
    return story


@pytest.mark.parametrize(
    ("settings", "seen", "reason", "event"),
    [
        # no mark, reached: fires
        ({}, [(0, 50)], "first_crossing", "triggered 1"),
        # likewise with every setting
        (REARM | RECOVERED, [(0, 50)], "first_crossing", "triggered 1"),
        # no mark, not reached
        (REARM | RECOVERED, [(0, 49)], "below", ""),
        # fired, reached, whatever the settings
        ({}, [(0, 50), (1, 60)], "already_fired", ""),
        (REARM | RECOVERED, [(0, 50), (1, 60)], "already_fired", ""),
        # fired, reached, late: still only already fired
        (REARM | RECOVERED, [(5, 50), (1, 60)], "already_fired", ""),
        # fired, not reached, nobody looks back: nothing changes, late or not
        ({}, [(0, 50), (1, 10)], "below", ""),
        ({}, [(5, 50), (1, 10)], "below", ""),
        (HIGHEST, [(0, 50), (1, 10)], "below", ""),
        # and so it stays silent when reached again
        ({}, [(0, 50), (1, 10), (2, 50)], "already_fired", ""),
        (HIGHEST, [(0, 50), (1, 10), (2, 50)], "already_fired", ""),
        # fired, not reached, re-arm alone: becomes clear and tells nobody
        (REARM, [(0, 50), (1, 10)], "below", ""),
        # fired, not reached, recovered wanted: told, of the same episode
        (RECOVERED, [(0, 50), (1, 10)], "recovered", "recovered 1"),
        (REARM | RECOVERED, [(0, 50), (1, 10)], "recovered", "recovered 1"),
        # fired, not reached, older than what fired it
        (REARM, [(5, 50), (1, 10)], "late", ""),
        (RECOVERED, [(5, 50), (1, 10)], "late", ""),
        # equal is not newer
        (REARM, [(5, 50), (5, 10)], "late", ""),
        (RECOVERED, [(5, 50), (5, 10)], "late", ""),
        # older than a record that changed nothing, but came when the rule had its mark
        (RECOVERED, [(0, 50), (5, 60), (3, 10)], "late", ""),
        # a late record of no effect leaves the newest one the newest
        (RECOVERED, [(0, 50), (5, 60), (3, 10), (4, 10)], "late", ""),
        (RECOVERED, [(0, 50), (5, 60), (3, 10), (6, 10)], "recovered", "recovered 1"),
        # one that came before there was any mark is not looked at: it is not remembered
        (RECOVERED, [(5, 10), (0, 50), (3, 10)], "recovered", "recovered 1"),
        # clear, not reached, late or not
        (REARM | RECOVERED, [(0, 50), (5, 10), (6, 9)], "below", ""),
        (REARM | RECOVERED, [(0, 50), (5, 10), (4, 9)], "below", ""),
        # clear, reached, re-arm: the next episode
        (REARM, [(0, 50), (1, 10), (2, 50)], "rearmed", "triggered 2"),
        (REARM | RECOVERED, [(0, 50), (1, 10), (2, 50)], "rearmed", "triggered 2"),
        # clear, reached, re-arm, but not newer than what cleared it
        (REARM, [(0, 50), (5, 10), (4, 50)], "late", ""),
        (REARM, [(0, 50), (5, 10), (5, 50)], "late", ""),
        # clear, reached, no re-arm: silent for the rest of the period, late or not
        (RECOVERED, [(0, 50), (1, 10), (2, 50)], "already_fired", ""),
        (RECOVERED, [(0, 50), (5, 10), (4, 50)], "already_fired", ""),
        # so it recovers once in a period
        (RECOVERED, [(0, 50), (1, 10), (2, 50), (3, 10)], "below", ""),
        # the second episode recovers as the second; the third is the third
        (REARM | RECOVERED, [(0, 50), (1, 10), (2, 50), (3, 10)], "recovered", "recovered 2"),
        (REARM, [(0, 50), (1, 10), (2, 50), (3, 10), (4, 50)], "rearmed", "triggered 3"),
        # what is not known changes nothing
        (RECOVERED, [(0, 50), (1, None)], "no_allowance", ""),
        # but is the newest record of the period all the same
        (RECOVERED, [(0, 50), (5, None), (3, 10)], "late", ""),
    ],
)
def test_each_transition(settings: dict[str, Any], seen: list[tuple[int, object]], reason: str, event: str) -> None:
    assert shown(settings, *seen)[-1] == (reason, event)


@pytest.mark.parametrize(
    ("first", "then", "reason", "event"),
    [
        # recovery switched on counts from the next record
        ({}, RECOVERED, "recovered", "recovered 1"),
        ({}, REARM, "below", ""),
        # switched off: what was fired stays so
        (RECOVERED, {}, "below", ""),
        # one that only counted as fired has no triggered event that could recover
        (HIGHEST, RECOVERED, "below", ""),
    ],
)
def test_settings_that_change(first: dict[str, Any], then: dict[str, Any], reason: str, event: str) -> None:
    before = judge([make_rule(percents=[50, 80], **first)], make_snapshot(90), UNSEEN).document

    judgement = judge([make_rule(percents=[50], **then)], make_snapshot(10, minute=1), before)

    assert reasons(judgement) == [reason]
    assert "".join(f"{one.action} {one.episode}" for one in judgement.occurrences) == event


def test_clear_is_remembered_with_its_episode() -> None:
    rule = make_rule(percents=[50], **REARM)
    document = judge([rule], make_snapshot(50), UNSEEN).document

    cleared = judge([rule], make_snapshot(10, minute=1), document).document

    mark = cleared.marks[rule.id]["usage_percentage:50"]
    assert (mark.state, mark.episode) == ("clear", 1)
    assert cleared.as_of == NOW + dt.timedelta(minutes=1)


def test_a_late_record_fires_what_has_no_mark_and_does_not_recover_what_has() -> None:
    rule = make_rule(("usage_percentage", 50), ("balance_value", 10), **RECOVERED)
    document = judge([rule], make_snapshot(60, balance=40, minute=5), UNSEEN).document

    judgement = judge([rule], make_snapshot(40, balance=5, minute=4), document)

    assert thresholds(judgement) == ["balance_value:10"]
    assert reasons(judgement) == [Reason.LATE, Reason.FIRST_CROSSING]
    assert judgement.document.as_of == NOW + dt.timedelta(minutes=5)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        # the other rule's mark, made by a newer record, is news to all of them
        ({"percents": [90]}, Reason.LATE),
        # it has no mark: what it saw is not remembered
        ({"percents": [99]}, Reason.RECOVERED),
    ],
)
def test_newer_is_one_for_all_rules_of_an_entitlement(other: dict[str, Any], reason: Reason) -> None:
    rules = [make_rule(percents=[50], rule_id="rule-1"), make_rule(**other, rule_id="rule-2")]
    document = judge(rules, make_snapshot(50, minute=0), UNSEEN).document
    document = judge(rules, make_snapshot(95, minute=5), document).document
    rules = [make_rule(percents=[50], rule_id="rule-1", **RECOVERED), rules[1]]

    judgement = judge(rules, make_snapshot(10, minute=3), document)

    assert reasons(judgement) == [reason, Reason.BELOW]


def test_lateness_is_looked_at_before_the_record_has_effects_of_its_own() -> None:
    rules = [make_rule(percents=[90], rule_id="rule-1"), make_rule(("usage_value", 5), rule_id="rule-2", **RECOVERED)]
    document = judge(rules, make_snapshot(5, allowance=10), UNSEEN).document

    judgement = judge(rules, make_snapshot(4, allowance=4, minute=1), document)

    assert reasons(judgement) == [Reason.FIRST_CROSSING, Reason.RECOVERED]


def test_once_a_rule_that_looks_back_has_a_mark_every_newer_record_is_remembered_and_nothing_else() -> None:
    rule = make_rule(percents=[50], **REARM)
    before = judge([rule], make_snapshot(50), UNSEEN).document

    after_newer = judge([rule], make_snapshot(60, minute=3), before).document
    after_older = judge([rule], make_snapshot(60, minute=2), after_newer).document

    assert after_newer == replace(before, as_of=NOW + dt.timedelta(minutes=3))
    assert after_older is after_newer


def test_before_a_rule_that_looks_back_has_a_mark_nothing_is_remembered_of_a_newer_record() -> None:
    rules = [make_rule(percents=[50]), make_rule(percents=[90], rule_id="rule-2", **REARM)]
    before = judge(rules, make_snapshot(50), UNSEEN).document

    assert judge(rules, make_snapshot(60, minute=3), before).document is before


def test_a_new_period_begins_with_episode_one_and_no_record_is_late_in_it() -> None:
    rule = make_rule(percents=[50], **REARM, **RECOVERED)
    before = judge([rule], make_snapshot(50, minute=5), UNSEEN).document

    judgement = judge([rule], make_snapshot(50, period=NEXT_PERIOD, minute=1), before)

    assert [(one.action, one.episode) for one in judgement.occurrences] == [("triggered", 1)]
    assert judgement.document.as_of == NOW + dt.timedelta(minutes=1)


def test_what_recovers_at_once_is_told_most_advanced_first_after_what_fires() -> None:
    rule = make_rule(("balance_value", 10), ("balance_value", 20), ("usage_value", 80), percents=[60, 90], **RECOVERED)
    document = judge([rule], make_snapshot(95, balance=30), UNSEEN).document

    judgement = judge([rule], make_snapshot(5, balance=5, minute=1), document)

    assert [(one.action, one.threshold.identity) for one in judgement.occurrences] == [
        ("triggered", "balance_value:20"),
        ("triggered", "balance_value:10"),
        ("recovered", "usage_percentage:90"),
        ("recovered", "usage_value:80"),
        ("recovered", "usage_percentage:60"),
    ]


def test_the_highest_of_each_kind_is_told_with_the_others_in_rising_order() -> None:
    rule = make_rule(
        ("balance_value", 10), ("usage_value", 70), ("balance_value", 20), percents=[100, 50, 80, 200], **HIGHEST
    )

    judgement = judge([rule], make_snapshot(110, balance=5), UNSEEN)

    assert [
        (one.threshold.identity, [other.identity for other in one.also_crossed]) for one in judgement.occurrences
    ] == [
        ("usage_percentage:100", ["usage_percentage:50", "usage_value:70", "usage_percentage:80"]),
        ("balance_value:10", ["balance_value:20"]),
    ]
    assert reasons(judgement) == [
        Reason.FIRST_CROSSING,
        Reason.ALSO_CROSSED,
        Reason.ALSO_CROSSED,
        Reason.FIRST_CROSSING,
        Reason.ALSO_CROSSED,
        Reason.ALSO_CROSSED,
        Reason.BELOW,
    ]


def test_on_a_tie_the_percentage_is_the_highest() -> None:
    rule = make_rule(("usage_percentage", 80), ("usage_value", 80), **HIGHEST)

    (crossing,) = judge([rule], make_snapshot(80), UNSEEN).occurrences

    assert crossing.threshold.identity == "usage_percentage:80"
    assert [other.identity for other in crossing.also_crossed] == ["usage_value:80"]


def test_what_was_also_crossed_counts_as_fired() -> None:
    rule = make_rule(percents=[50, 80, 100], **HIGHEST)
    document = judge([rule], make_snapshot(90), UNSEEN).document

    judgement = judge([rule], make_snapshot(100, minute=1), document)

    assert reasons(judgement) == [Reason.ALREADY_FIRED, Reason.ALREADY_FIRED, Reason.FIRST_CROSSING]
    assert [one.also_crossed for one in judgement.occurrences] == [()]


def test_a_late_record_fires_the_highest_of_what_has_no_mark() -> None:
    rule = make_rule(percents=[50, 80, 100], **HIGHEST)
    document = judge([rule], make_snapshot(60, minute=5), UNSEEN).document

    judgement = judge([rule], make_snapshot(100, minute=1), document)

    assert thresholds(judgement) == ["usage_percentage:100"]
    assert [other.identity for one in judgement.occurrences for other in one.also_crossed] == ["usage_percentage:80"]


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
