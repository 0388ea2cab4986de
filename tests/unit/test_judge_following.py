"""The judgement of rules that look back, or emit the highest alone; `tests/property` holds it against an oracle."""

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Reason
from tests.support.factories import NOW, PERIOD, make_rule, make_snapshot
from tests.support.judgements import reasons, thresholds

NEXT_PERIOD = (PERIOD[1], PERIOD[1] + dt.timedelta(days=31))

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
        # fired, not reached, the rule does not look back: nothing changes, late or not
        ({}, [(0, 50), (1, 10)], "below", ""),
        ({}, [(5, 50), (1, 10)], "below", ""),
        (HIGHEST, [(0, 50), (1, 10)], "below", ""),
        # and so it stays silent when reached again
        ({}, [(0, 50), (1, 10), (2, 50)], "already_fired", ""),
        (HIGHEST, [(0, 50), (1, 10), (2, 50)], "already_fired", ""),
        # fired, not reached, re-arm alone: becomes clear, with no event
        (REARM, [(0, 50), (1, 10)], "below", ""),
        # fired, not reached, recovered wanted: it recovers, of the same episode
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


def test_a_late_record_fires_unmarked_thresholds_alone() -> None:
    """It recovers no marked one."""
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


def test_lateness_is_judged_before_the_records_own_effects() -> None:
    rules = [make_rule(percents=[90], rule_id="rule-1"), make_rule(("usage_value", 5), rule_id="rule-2", **RECOVERED)]
    document = judge(rules, make_snapshot(5, allowance=10), UNSEEN).document

    judgement = judge(rules, make_snapshot(4, allowance=4, minute=1), document)

    assert reasons(judgement) == [Reason.FIRST_CROSSING, Reason.RECOVERED]


def test_a_marked_rule_that_looks_back_keeps_the_newest_time() -> None:
    """And nothing else of a newer record."""
    rule = make_rule(percents=[50], **REARM)
    before = judge([rule], make_snapshot(50), UNSEEN).document

    after_newer = judge([rule], make_snapshot(59, minute=3), before).document
    after_older = judge([rule], make_snapshot(59, minute=2), after_newer).document

    newer = NOW + dt.timedelta(minutes=3)
    assert after_newer == replace(before, as_of=newer, known_at=newer, newest_at=newer)
    assert after_older is after_newer


def test_an_unmarked_rule_that_looks_back_remembers_nothing() -> None:
    rules = [make_rule(percents=[50]), make_rule(percents=[90], rule_id="rule-2", **REARM)]
    before = judge(rules, make_snapshot(50), UNSEEN).document

    assert judge(rules, make_snapshot(59, minute=3), before).document is before


def test_a_new_period_begins_with_episode_one_and_none_is_late() -> None:
    rule = make_rule(percents=[50], **REARM, **RECOVERED)
    before = judge([rule], make_snapshot(50, minute=5), UNSEEN).document

    judgement = judge([rule], make_snapshot(50, period=NEXT_PERIOD, minute=1), before)

    assert [(one.action, one.episode) for one in judgement.occurrences] == [("recovered", 1), ("triggered", 1)]
    assert judgement.document.as_of == NOW + dt.timedelta(minutes=1)


def test_recoveries_follow_what_fires_most_advanced_first() -> None:
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


def test_the_highest_of_each_kind_fires_naming_the_others_rising() -> None:
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
