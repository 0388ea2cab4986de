"""`onCreate: ignore` for a rule that had fired before, was disabled, and is enabled again while the level is there."""

import datetime as dt

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document, Reason
from schemas.rules import Rule, Since
from tests.support.factories import NOW, make_rule, make_snapshot

THRESHOLD = "usage_percentage:80"


def enabled(revision: int, minute: int) -> Rule:
    """The rule as it is after it was enabled for the *revision*th time."""
    rule = make_rule(percents=[80], rearm="recovery", notify_on=["triggered", "recovered"])
    since = Since(revision=revision, at=NOW + dt.timedelta(minutes=minute))
    return rule.model_copy(update={"ignoring": {THRESHOLD: since}})


def shown(rule: Rule, document: Document, usage: int, minute: int) -> tuple[Document, Reason, list[tuple[str, int]]]:
    made = judge([rule], make_snapshot(usage, minute=minute), document)
    assert isinstance(made.document, Document)
    return made.document, made.reasons[0][1], [(one.action.value, one.episode) for one in made.occurrences]


def test_a_threshold_reached_while_disabled_fires_next_episode() -> None:
    """It was cleared, is reached while its rule is disabled, and is silent until then."""
    first, again = enabled(1, -60), enabled(2, 15)
    document, *_ = shown(first, UNSEEN, 10, 0)
    document, *fired = shown(first, document, 90, 1)
    document, *cleared = shown(first, document, 10, 2)

    document, *ignored = shown(again, document, 90, 16)
    document, *still = shown(again, document, 95, 17)
    document, *below = shown(again, document, 10, 18)
    document, *rearmed = shown(again, document, 90, 19)

    assert fired == [Reason.FIRST_CROSSING, [("triggered", 1)]]
    assert cleared == [Reason.RECOVERED, [("recovered", 1)]]
    assert ignored == still == [Reason.IGNORED_ON_CREATE, []]
    assert below == [Reason.BELOW, []]
    assert rearmed == [Reason.REARMED, [("triggered", 2)]]


def test_a_fired_threshold_of_an_enabled_rule_has_still_fired() -> None:
    document, *_ = shown(enabled(1, -60), UNSEEN, 10, 0)
    document, *_ = shown(enabled(1, -60), document, 90, 1)

    document, *again = shown(enabled(2, 15), document, 90, 16)
    document, *recovered = shown(enabled(2, 15), document, 10, 17)

    assert again == [Reason.ALREADY_FIRED, []]
    assert recovered == [Reason.RECOVERED, [("recovered", 1)]]
