"""Mutants of when a threshold fires, re-arms and recovers."""

from tests.mutants.mutant import Mutant

THRESHOLD = "consumer/decide/rules/balance_threshold.py"
LEVELS = "consumer/decide/levels.py"

MUTANTS = [
    Mutant(LEVELS, "shown >= needed", "shown > needed", "exactly 100 % does not cut off"),
    Mutant(LEVELS, "shown <= needed", "shown < needed", "reached is passed"),
    Mutant("schemas/thresholds.py", "_PER_CENT: Final = -2", "_PER_CENT: Final = -3", "80 % is reached at 8 %"),
    Mutant(LEVELS, "allowance <= 0 else EXACT", "allowance < 0 else EXACT", "any usage is 100 % of an allowance of 0"),
    Mutant(
        LEVELS,
        "EXACT.multiply(line.value, allowance), 1)",
        "EXACT.multiply(line.value, allowance), 0)",
        "on a tie chance decides which is the highest",
    ),
    Mutant(
        LEVELS,
        "EXACT.multiply(line.value, _HUNDRED), 0)",
        "line.value, 0)",
        "usage kinds are not ordered by absolute level",
    ),
    Mutant(LEVELS, "EXACT.minus(line.value)", "line.value", "balances come from low to high"),
    Mutant(LEVELS, "return (1, EXACT", "return (0, EXACT", "balances come before usage"),
    Mutant(
        "schemas/rules.py", "in self.distinct.values()", "in self.thresholds", "a threshold written twice fires twice"
    ),
    Mutant(
        THRESHOLD,
        " or one.reason is Reason.REARMED",
        "",
        "a re-armed threshold makes no event",
    ),
    Mutant(
        THRESHOLD,
        "risen.sort(key=lambda one: levels.advancement(one.line, at.level))",
        "risen = list(risen)",
        "a jump's events come in the rule's order",
    ),
    Mutant(THRESHOLD, "level), reverse=True)", "level))", "recoveries come in rising order"),
    Mutant(
        THRESHOLD,
        """        *[_crossing(rule, at.snapshot, one, Action.TRIGGERED) for one in risen],
        *[_crossing(rule, at.snapshot, one, Action.RECOVERED) for one in fallen],
""",
        """        *[_crossing(rule, at.snapshot, one, Action.RECOVERED) for one in fallen],
        *[_crossing(rule, at.snapshot, one, Action.TRIGGERED) for one in risen],
""",
        "what recovers is told before what fires",
    ),
    Mutant(
        THRESHOLD,
        "marks |= {identity: replace(marks[identity], is_told=False) for identity in silent}",
        "pass",
        "what was only counted as fired has a recovery to tell",
    ),
    Mutant(
        THRESHOLD,
        "{**known.marks, **{line.identity: mark for line, _, mark in moved}}",
        "{line.identity: mark for line, _, mark in moved}",
        "a threshold that fires makes the others fire again",
    ),
    Mutant(
        THRESHOLD,
        "return {**known.sights, **seen} if seen",
        "return seen if seen",
        "a threshold added makes the others be seen for the first time again",
    ),
    Mutant(
        THRESHOLD,
        "known.sights.get(identity) == since.revision",
        "identity in known.sights",
        "a rule enabled again fires what is reached",
    ),
    Mutant(
        THRESHOLD,
        "snapshot.period_from < since.at",
        "snapshot.period_from <= since.at",
        "a period that begins with the rule is ignored",
    ),
    Mutant(
        THRESHOLD,
        "since is not None and snapshot.period_from < since.at",
        "since is not None",
        "a period that began after the rule is ignored",
    ),
    Mutant(
        THRESHOLD,
        "ignores = sight is not None and since is not None",
        "ignores = since is not None",
        "what rises under a rule that ignores never fires",
    ),
    Mutant(
        THRESHOLD,
        "return step if sight is None else step._replace(sight=sight)",
        "return step",
        "every sight is the first one",
    ),
    Mutant(
        THRESHOLD,
        '(mark is None or (mark.state == "clear" and spec.rearm == "recovery"))',
        "mark is None",
        "a rule enabled again fires for what a re-armed threshold has reached",
    ),
    Mutant(
        THRESHOLD,
        "episode = mark.episode if mark is not None else 0",
        "episode = 0",
        "what was ignored after an episode begins anew at 1: an event that was made",
    ),
    Mutant(
        THRESHOLD,
        '"ignored", episode, snapshot.calculated_at, _shown(line, level), is_told=False',
        '"ignored", episode, snapshot.calculated_at, _shown(line, level)',
        "what was never told has a recovery to tell",
    ),
    Mutant(
        THRESHOLD,
        '(mark.state != "clear" or spec.rearm == "period")',
        '(spec.rearm == "period")',
        "a fired threshold fires at every record",
    ),
    Mutant(
        THRESHOLD,
        '(mark.state != "clear" or spec.rearm == "period")',
        '(mark.state != "clear")',
        "recovered alone re-arms",
    ),
    Mutant(
        THRESHOLD,
        "Reason.ALREADY_FIRED if has_fired else Reason.IGNORED_ON_CREATE",
        "Reason.ALREADY_FIRED",
        "explain says that it fired, and nobody was told",
    ),
    Mutant(
        THRESHOLD,
        'spec.rearm == "recovery" if mark.state == "ignored" else spec.looks_back',
        "spec.looks_back",
        "recovered alone follows what was ignored",
    ),
    Mutant(
        THRESHOLD,
        'spec.rearm == "recovery" if mark.state == "ignored" else spec.looks_back',
        'spec.rearm == "recovery"',
        "recovered alone tells of no recovery",
    ),
    Mutant(
        THRESHOLD,
        '(mark.state == "clear" or not is_followed)',
        "(not is_followed)",
        "a recovery is told at every record below",
    ),
    Mutant(THRESHOLD, "    if at.is_late:", "    if False:", "a late record re-arms and recovers"),
    Mutant(THRESHOLD, "mark.episode + 1)", "2)", "the third episode is called the second"),
    Mutant(THRESHOLD, 'Mark("clear", mark.episode,', 'Mark("clear", 1,', "the second episode recovers as the first"),
    Mutant(
        THRESHOLD,
        "is_told = spec.tells_recovery and mark.is_told",
        "is_told = spec.tells_recovery",
        "a recovery comes without its triggered event",
    ),
    Mutant(
        THRESHOLD,
        "is_told = spec.tells_recovery and mark.is_told",
        "is_told = mark.is_told",
        "re-arm alone tells of recoveries",
    ),
    Mutant(THRESHOLD, "*others, top = kind", "top, *others = kind", "the least advanced stands for the others"),
    Mutant(
        THRESHOLD,
        "key=lambda one: one.line.is_balance",
        "key=lambda one: None",
        "of usage and balance one alone is told",
    ),
    Mutant(
        THRESHOLD,
        "key=lambda one: one.line.is_balance",
        "key=lambda one: one.line.threshold.type",
        "usage_value and usage_percentage are kinds of their own",
    ),
    Mutant(
        THRESHOLD,
        "shown = level.balance if line.is_balance else level.usage\n    assert shown is not None",
        "shown = level.usage\n    assert shown is not None",
        "a balance's mark says how much was used",
    ),
]
