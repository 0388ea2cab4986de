"""`onCreate: ignore`: what is reached when a rule comes to an entitlement stays silent in that period."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document, Mark
from schemas.rules import NOTHING_IGNORED, Rule, Since, Spec, ignoring, read_spec
from tests.support.factories import NOW, PERIOD, make_rule, make_snapshot
from tests.support.rules import AT_ITS_BEGINNING, WHILE_IT_RAN, ignoring_rule, reset_rule

NEXT_PERIOD = (PERIOD[1], PERIOD[1] + dt.timedelta(days=31))
REARM: dict[str, Any] = {"rearm": "recovery"}
RECOVERED: dict[str, Any] = {"notifyOn": ["triggered", "recovered"]}
ENABLED_AGAIN = Since(revision=7, at=NOW)


def shown(rule: Rule, *seen: tuple[int, object], document: Document = UNSEEN) -> tuple[list[tuple[str, str]], Document]:
    """The reason and the event of a rule's one threshold at each of *seen*: minute and usage; and the memory after."""
    story: list[tuple[str, str]] = []
    for minute, usage in seen:
        judgement = judge([rule], make_snapshot(usage, minute=minute), document)
        assert isinstance(judgement.document, Document)
        document = judgement.document
        ((_, reason),) = judgement.reasons
        story.append((str(reason), "".join(f"{one.action} {one.episode}" for one in judgement.occurrences)))
    return story, document


@pytest.mark.parametrize(
    ("settings", "seen", "reason", "event"),
    [
        # reached when it is first seen: silent, and so it stays
        ({}, [(0, 50)], "ignored_on_create", ""),
        ({}, [(0, 50), (1, 60)], "ignored_on_create", ""),
        ({}, [(0, 50), (1, 10)], "below", ""),
        ({}, [(0, 50), (1, 10), (2, 50)], "ignored_on_create", ""),
        # not reached when it is first seen: fires as any other
        ({}, [(0, 10)], "below", ""),
        ({}, [(0, 10), (1, 50)], "first_crossing", "triggered 1"),
        # a record that cannot be judged is no sight of it
        ({}, [(0, None), (1, 50)], "ignored_on_create", ""),
        # the first to arrive is the first sight, whenever it was calculated
        ({}, [(5, 10), (1, 50)], "first_crossing", "triggered 1"),
        ({}, [(5, 50), (1, 10)], "below", ""),
        # with re-arm it is followed down, with no event, and fires as episode 1 when it is reached again
        (REARM, [(0, 50), (1, 10)], "below", ""),
        (REARM, [(0, 50), (1, 10), (2, 50)], "rearmed", "triggered 1"),
        (REARM, [(0, 50), (1, 10), (2, 50), (3, 60)], "already_fired", ""),
        (REARM, [(0, 50), (1, 10), (2, 50), (3, 10), (4, 50)], "rearmed", "triggered 2"),
        # still above: still ignored
        (REARM, [(0, 50), (1, 60)], "ignored_on_create", ""),
        # only newer records move it; equal is not newer
        (REARM, [(5, 50), (1, 10)], "late", ""),
        (REARM, [(5, 50), (5, 10)], "late", ""),
        (REARM, [(0, 50), (5, 10), (5, 50)], "late", ""),
        (REARM, [(0, 50), (5, 60), (3, 10)], "late", ""),
        # what never fired makes no event as it recovers; without re-arm it is not even followed
        (RECOVERED, [(0, 50), (1, 10)], "below", ""),
        (RECOVERED, [(0, 50), (1, 10), (2, 50)], "ignored_on_create", ""),
        (RECOVERED, [(5, 50), (1, 10)], "below", ""),
        (REARM | RECOVERED, [(0, 50), (1, 10)], "below", ""),
        (REARM | RECOVERED, [(0, 50), (1, 10), (2, 9)], "below", ""),
        # what fired in between does
        (REARM | RECOVERED, [(0, 50), (1, 10), (2, 50), (3, 10)], "recovered", "recovered 1"),
        # the most advanced alone: what is ignored is no part of it
        ({"emit": "highest"}, [(0, 50)], "ignored_on_create", ""),
    ],
)
def test_each_transition(settings: dict[str, Any], seen: list[tuple[int, object]], reason: str, event: str) -> None:
    story, _ = shown(ignoring_rule(50, **settings), *seen)

    assert story[-1] == (reason, event)


def test_an_ignored_threshold_is_remembered_as_not_notified() -> None:
    rule = ignoring_rule(50)

    _, document = shown(rule, (0, 60))

    assert document.marks[rule.id] == {"usage_percentage:50": Mark("ignored", 0, NOW, Decimal(60), is_notified=False)}
    assert document.sights[rule.id] == {"usage_percentage:50": 1}


def test_what_is_ignored_and_falls_is_clear_with_no_episode() -> None:
    rule = ignoring_rule(50, **REARM)

    _, document = shown(rule, (0, 60), (1, 10))

    mark = document.marks[rule.id]["usage_percentage:50"]
    assert (mark.state, mark.episode) == ("clear", 0)


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        # the period began before the rule was made, be it by a microsecond
        (WHILE_IT_RAN, "ignored_on_create"),
        (Since(revision=1, at=PERIOD[0] + dt.timedelta(microseconds=1)), "ignored_on_create"),
        # with it, or after it: what is reached was reached under the rule
        (AT_ITS_BEGINNING, "first_crossing"),
        (Since(revision=1, at=PERIOD[0] - dt.timedelta(days=1)), "first_crossing"),
    ],
)
def test_only_in_a_period_that_began_before_the_rule(since: Since, reason: str) -> None:
    story, _ = shown(ignoring_rule(50, since=since), (0, 50))

    assert [why for why, _ in story] == [reason]


def test_a_new_period_fires_also_where_it_begins_above() -> None:
    rule = ignoring_rule(50)
    _, document = shown(rule, (0, 60))

    judgement = judge([rule], make_snapshot(60, period=NEXT_PERIOD, minute=1), document)

    assert [(one.action, one.episode) for one in judgement.occurrences] == [("triggered", 1)]


def test_a_new_period_is_not_a_first_sight() -> None:
    rule = ignoring_rule(50)
    last_month = (PERIOD[0] - dt.timedelta(days=31), PERIOD[0])
    document = judge([rule], make_snapshot(10, period=last_month), UNSEEN).document

    judgement = judge([rule], make_snapshot(60, minute=1), document)

    assert [str(reason) for _, reason in judgement.reasons] == ["first_crossing"]


def test_a_later_periods_new_entitlement_is_not_ignored() -> None:
    judgement = judge([ignoring_rule(50)], make_snapshot(60, period=NEXT_PERIOD), UNSEEN)

    assert len(judgement.occurrences) == 1


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        # seen below, and risen while it was disabled: first seen again, silent
        (10, "ignored_on_create"),
        # one that has fired has still fired
        (60, "already_fired"),
    ],
)
def test_a_rule_enabled_again_sees_every_entitlement_first(before: int, reason: str) -> None:
    rule = ignoring_rule(50, since=AT_ITS_BEGINNING)
    _, document = shown(rule, (0, before))
    enabled = rule.model_copy(update={"ignoring": ignoring(rule.spec, ENABLED_AGAIN)})

    story, document = shown(enabled, (1, 70), document=document)

    assert story == [(reason, "")]
    assert document.sights[rule.id] == {"usage_percentage:50": 7}


def test_an_added_threshold_ignores_and_the_others_go_on() -> None:
    rule = ignoring_rule(50, since=AT_ITS_BEGINNING)
    _, document = shown(rule, (0, 10))
    wider = ignoring_rule(50, 40)
    wider = wider.model_copy(
        update={"ignoring": ignoring(wider.spec, ENABLED_AGAIN, before=rule.spec, kept=rule.ignoring)}
    )

    judgement = judge([wider], make_snapshot(60, minute=1), document)

    assert [str(reason) for _, reason in judgement.reasons] == ["first_crossing", "ignored_on_create"]
    assert isinstance(judgement.document, Document)
    assert judgement.document.sights[rule.id] == {"usage_percentage:50": 1, "usage_percentage:40": 7}


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        # never fired, and reached while it was away
        (10, "ignored_on_create"),
        # it remembers
        (60, "already_fired"),
    ],
)
def test_a_threshold_put_back_remembers_what_it_fired(before: int, reason: str) -> None:
    whole, less = ignoring_rule(50, 90, since=AT_ITS_BEGINNING), ignoring_rule(90, since=AT_ITS_BEGINNING)
    document = judge([whole], make_snapshot(before), UNSEEN).document
    document = judge([less], make_snapshot(60, minute=1), document).document
    put_back = ignoring(whole.spec, ENABLED_AGAIN, before=less.spec, kept=less.ignoring)

    judgement = judge([whole.model_copy(update={"ignoring": put_back})], make_snapshot(60, minute=2), document)

    assert [str(why) for _, why in judgement.reasons] == [reason, "below"]


def test_a_rule_that_evaluates_has_no_sights() -> None:
    judgement = judge([make_rule(percents=[50])], make_snapshot(10), UNSEEN)

    assert isinstance(judgement.document, Document)
    assert judgement.document.sights == {}


def spec(*percents: object, on_create: str = "ignore") -> Spec:
    thresholds = [{"type": "usage_percentage", "value": percent} for percent in percents]
    return read_spec({"type": "entitlements.balance.threshold", "thresholds": thresholds, "onCreate": on_create})


OLD, NEW = Since(revision=1, at=PERIOD[0]), Since(revision=2, at=NOW)
FIFTY, EIGHTY = "usage_percentage:50", "usage_percentage:80"


@pytest.mark.parametrize(
    ("after", "before", "kept", "ignores"),
    [
        # made or enabled: all of its thresholds
        (spec(50, 80), None, {}, {FIFTY: NEW, EIGHTY: NEW}),
        (spec(50), None, {FIFTY: OLD}, {FIFTY: NEW}),
        # changed: the new one alone; one however written, and in whatever order
        (spec(50, 80), spec(50), {FIFTY: OLD}, {FIFTY: OLD, EIGHTY: NEW}),
        (spec("80.0", "5E+1"), spec(50, 80), {FIFTY: OLD, EIGHTY: OLD}, {FIFTY: OLD, EIGHTY: OLD}),
        # taken away
        (spec(80), spec(50, 80), {FIFTY: OLD, EIGHTY: OLD}, {EIGHTY: OLD}),
        # put back: it is new again
        (spec(50, 80), spec(80), {EIGHTY: OLD}, {FIFTY: NEW, EIGHTY: OLD}),
        # made with `evaluate`, set to `ignore` later: what it had has nothing to ignore
        (spec(50), spec(50, on_create="evaluate"), {}, {}),
        (spec(50, 80), spec(50, on_create="evaluate"), {}, {EIGHTY: NEW}),
        # set to `evaluate`
        (spec(50, on_create="evaluate"), None, {}, {}),
        (spec(50, on_create="evaluate"), spec(50), {FIFTY: OLD}, {}),
        # of another type, before or after
        (reset_rule().spec, None, {}, {}),
        (spec(50), reset_rule().spec, {}, {FIFTY: NEW}),
    ],
)
def test_which_thresholds_ignore_and_since_when(
    after: Spec, before: Spec | None, kept: dict[str, Since], ignores: dict[str, Since]
) -> None:
    assert ignoring(after, NEW, before=before, kept=kept or NOTHING_IGNORED) == ignores
