"""Rules of every type, with what a test does not care about filled in."""

from typing import Any

from schemas.rules import Rule, RuleId, Since, ignoring, read_spec
from tests.support.factories import NOW, PERIOD

AT_ITS_BEGINNING = Since(revision=1, at=PERIOD[0])  # of the period: what began then did not begin before
WHILE_IT_RAN = Since(revision=1, at=NOW)


def rule_of(kind: str, rule_id: str = "rule-1", **config: Any) -> Rule:
    """A rule of type *kind* with *config*."""
    spec = read_spec({"type": kind, **config})
    return Rule(id=RuleId(rule_id), namespace="default", name="Rule", spec=spec, channels=("channel-1",))


def reset_rule(rule_id: str = "rule-1", **config: Any) -> Rule:
    """A rule about resets."""
    return rule_of("entitlements.reset", rule_id, **config)


def ignoring_rule(*percents: object, since: Since = WHILE_IT_RAN, rule_id: str = "rule-1", **config: Any) -> Rule:
    """A rule made *since* with `onCreate: ignore`, of usage *percents*."""
    thresholds = [{"type": "usage_percentage", "value": percent} for percent in percents]
    made = rule_of("entitlements.balance.threshold", rule_id, thresholds=thresholds, onCreate="ignore", **config)
    return made.model_copy(update={"ignoring": ignoring(made.spec, since)})
