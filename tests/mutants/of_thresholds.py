"""Mutants of when a threshold fires, re-arms and recovers."""

from tests.mutants.mutant import Mutant

THRESHOLD = "consumer/decide/rules/balance_threshold.py"
LEVELS = "consumer/decide/levels.py"

MUTANTS = [
    Mutant(LEVELS, "level.usage >= line", "level.usage > line", "exactly 100 % does not cut off"),
    Mutant(LEVELS, "level.balance <= line", "level.balance < line", "reached is passed"),
    Mutant("schemas/thresholds.py", "_PER_CENT: Final = -2", "_PER_CENT: Final = -3", "80 % is reached at 8 %"),
    Mutant(LEVELS, "allowance <= 0 else", "allowance < 0 else", "any usage is 100 % of an allowance of 0"),
    Mutant(
        LEVELS,
        "EXACT.multiply(threshold.value, allowance), 1)",
        "EXACT.multiply(threshold.value, allowance), 0)",
        "on a tie chance decides which is the highest",
    ),
    Mutant(
        LEVELS,
        "EXACT.multiply(threshold.value, _HUNDRED), 0)",
        "threshold.value, 0)",
        "usage kinds are not ordered by absolute level",
    ),
    Mutant(LEVELS, "EXACT.minus(threshold.value)", "threshold.value", "balances come from low to high"),
    Mutant(LEVELS, "return (1, EXACT", "return (0, EXACT", "balances come before usage"),
    Mutant(THRESHOLD, "in spec.distinct.values()", "in spec.thresholds", "a threshold written twice fires twice"),
    Mutant(
        THRESHOLD,
        "{Reason.FIRST_CROSSING, Reason.REARMED}",
        "{Reason.FIRST_CROSSING}",
        "a re-armed threshold makes no event",
    ),
    Mutant(
        THRESHOLD,
        "risen.sort(key=lambda step: levels.advancement(step.threshold, level))",
        "risen = list(risen)",
        "a jump's events come in the rule's order",
    ),
    Mutant(THRESHOLD, "level), reverse=True)", "level))", "recoveries come in rising order"),
    Mutant(THRESHOLD, "(*told, *recovered)", "(*recovered, *told)", "what recovers is told before what fires"),
    Mutant(
        THRESHOLD,
        "{**known.marks, **changed, **untold}",
        "{**known.marks, **changed}",
        "what was only counted as fired has a recovery to tell",
    ),
    Mutant(
        THRESHOLD,
        "{**known.marks, **changed, **untold}",
        "{**changed, **untold}",
        "a threshold that fires makes the others fire again",
    ),
    Mutant(
        THRESHOLD,
        "sights = {**known.sights, **seen} if seen",
        "sights = seen if seen",
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
        '"ignored", episode, snapshot.calculated_at, _shown(threshold, snapshot), is_told=False',
        '"ignored", episode, snapshot.calculated_at, _shown(threshold, snapshot)',
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
    Mutant(THRESHOLD, "    if is_late:", "    if False:", "a late record re-arms and recovers"),
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
        "key=lambda step: step.threshold.is_balance",
        "key=lambda step: None",
        "of usage and balance one alone is told",
    ),
    Mutant(
        THRESHOLD,
        "key=lambda step: step.threshold.is_balance",
        "key=lambda step: step.threshold.type",
        "usage_value and usage_percentage are kinds of their own",
    ),
    Mutant(
        THRESHOLD,
        "snapshot.balance if threshold.is_balance else snapshot.usage",
        "snapshot.usage",
        "a balance's mark says how much was used",
    ),
]
