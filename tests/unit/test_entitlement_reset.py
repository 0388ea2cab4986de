"""Each new usage period fires once, whatever shows it first; and of which kind."""

import datetime as dt

import pytest
from msgspec.structs import replace

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document, Judgement, Reason
from consumer.decide.rules.entitlement_reset import Reset
from schemas.rules import RuleId
from schemas.sources import Snapshot
from tests.support.factories import FEATURE, NOW, PERIOD, make_snapshot
from tests.support.records import make_period_end
from tests.support.rules import reset_rule

RULE = reset_rule()
MICROSECOND = dt.timedelta(microseconds=1)
MONTH = dt.timedelta(days=30)
KNOWN = Document(period_from=PERIOD[0], period_to=PERIOD[1], feature=FEATURE)
ENDED = replace(KNOWN, ended=True)


def usage(start: dt.datetime) -> Snapshot:
    return make_snapshot(10, period=(start, start + MONTH))


def reset(start: dt.datetime) -> Snapshot:
    return make_snapshot(0, period=(start, start + MONTH), reset_at=start)


@pytest.mark.parametrize(
    ("shown", "seen", "is_notified", "reason"),
    [
        # the first sight of an entitlement is no reset; a reset record always is
        (usage(PERIOD[0]), UNSEEN, False, Reason.SAME_PERIOD),
        (reset(PERIOD[0]), UNSEEN, False, Reason.RESET_MANUAL),
        # the period that is known: a reset record fires unless another has
        (usage(PERIOD[0]), KNOWN, False, Reason.SAME_PERIOD),
        (usage(PERIOD[0]), KNOWN, True, Reason.SAME_PERIOD),
        (reset(PERIOD[0]), KNOWN, False, Reason.RESET_MANUAL),
        (reset(PERIOD[0]), KNOWN, True, Reason.ALREADY_RESET),
        # a later one, before the known end: a manual reset
        (usage(PERIOD[0] + MICROSECOND), KNOWN, False, Reason.RESET_MANUAL),
        (usage(PERIOD[1] - MICROSECOND), KNOWN, False, Reason.RESET_MANUAL),
        (reset(PERIOD[1] - MICROSECOND), KNOWN, False, Reason.RESET_MANUAL),
        # at the known end and after it: by itself, whatever shows it
        (usage(PERIOD[1]), KNOWN, False, Reason.RESET_AUTOMATIC),
        (reset(PERIOD[1]), KNOWN, False, Reason.RESET_AUTOMATIC),
        (usage(PERIOD[1] + MONTH), KNOWN, False, Reason.RESET_AUTOMATIC),
        # that the period before has fired says nothing of the new one
        (usage(PERIOD[1]), KNOWN, True, Reason.RESET_AUTOMATIC),
        # the clock has fired for the very start
        (usage(PERIOD[1]), ENDED, False, Reason.ALREADY_RESET),
        (reset(PERIOD[1]), ENDED, False, Reason.ALREADY_RESET),
        # … of no other: come late, or the end moved
        (usage(PERIOD[1] - MICROSECOND), ENDED, False, Reason.RESET_MANUAL),
        (usage(PERIOD[1] + MICROSECOND), ENDED, False, Reason.RESET_AUTOMATIC),
    ],
)
def test_which_reset_a_record_shows(shown: Snapshot, seen: Document, is_notified: bool, reason: Reason) -> None:
    document = replace(seen, resets=frozenset({RULE.id})) if is_notified else seen

    assert reasons(judge([RULE], shown, document)) == [reason]


def reasons(judgement: Judgement) -> list[Reason]:
    return [reason for _, reason in judgement.reasons]


def test_a_reset_fires_at_the_first_record_that_shows_it_alone() -> None:
    first = judge([RULE], usage(PERIOD[1]), KNOWN)

    second = judge([RULE], reset(PERIOD[1]), first.document)

    assert (reasons(first), reasons(second)) == ([Reason.RESET_AUTOMATIC], [Reason.ALREADY_RESET])
    assert (len(first.occurrences), second.occurrences) == (1, ())


def test_each_rule_remembers_its_own_resets() -> None:
    other = reset_rule("rule-2")
    document = judge([RULE], reset(PERIOD[1]), KNOWN).document

    judgement = judge([RULE, other], reset(PERIOD[1]), document)

    assert reasons(judgement) == [Reason.ALREADY_RESET, Reason.RESET_MANUAL]
    assert judgement.document == replace(judgement.document, resets=frozenset({RuleId("rule-1"), RuleId("rule-2")}))


def test_a_rule_disabled_meanwhile_does_not_fire_a_reset_again() -> None:
    document = judge([RULE], reset(PERIOD[1]), KNOWN).document

    after = judge([reset_rule("rule-2")], reset(PERIOD[1]), document).document

    assert reasons(judge([RULE], reset(PERIOD[1]), after)) == [Reason.ALREADY_RESET]


def test_a_reset_of_one_period_does_not_count_for_the_next() -> None:
    document = judge([RULE], reset(PERIOD[1]), KNOWN).document
    while_disabled = judge([], usage(PERIOD[1] + MONTH), document).document

    assert reasons(judge([RULE], reset(PERIOD[1] + MONTH), while_disabled)) == [Reason.RESET_MANUAL]


def test_a_snapshot_after_the_clocks_end_remembers_its_reset() -> None:
    ended = judge([RULE], make_period_end(), KNOWN).document
    document = judge([RULE], usage(PERIOD[1]), ended).document

    assert reasons(judge([RULE], reset(PERIOD[1]), document)) == [Reason.ALREADY_RESET]


def test_a_snapshot_of_the_same_period_remembers_no_reset() -> None:
    same = replace(KNOWN, period_to=PERIOD[0] + MONTH, level=10, level_at=NOW)

    assert judge([RULE], usage(PERIOD[0]), same).document is same
    assert judge([RULE], usage(PERIOD[0]), UNSEEN).document == replace(same, known_at=NOW, newest_at=NOW)


def test_several_missed_periods_are_one_reset() -> None:
    (one,) = judge([RULE], usage(PERIOD[1] + 3 * MONTH), KNOWN).occurrences

    assert isinstance(one, Reset)
    assert (one.period_from, one.reason) == (PERIOD[1] + 3 * MONTH, Reason.RESET_AUTOMATIC)


@pytest.mark.parametrize(
    ("shown", "at"),
    [
        # a reset record says when; a snapshot shows the start of its period
        (make_snapshot(0, period=(NOW, PERIOD[1]), reset_at=NOW + MICROSECOND), NOW + MICROSECOND),
        (make_snapshot(0, period=(NOW, PERIOD[1])), NOW),
    ],
)
def test_a_reset_says_when_it_was(shown: Snapshot, at: dt.datetime) -> None:
    (one,) = judge([RULE], shown, KNOWN).occurrences

    assert isinstance(one, Reset)
    assert (one.at, one.period_from, one.source) == (at, NOW, shown)
