"""What product.md 3.1 says but for `onCreate: ignore`, in the fewest words. Imports nothing of the project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

CANONICAL = {"PERCENT": "usage_percentage", "NUMBER": "usage_value"}


class Line(NamedTuple):
    """A threshold of a rule, as written; told of, its canonical kind and exact value."""

    kind: str
    value: str | Fraction


class Rule(NamedTuple):
    lines: Sequence[Line]
    emit: str = "each"
    rearm: str = "period"
    tells_recovered: bool = False

    @property
    def looks_back(self) -> bool:
        return self.rearm == "recovery" or self.tells_recovered


class Shown(NamedTuple):
    """A record: what it shows of an entitlement, amounts as text; None for what it does not say."""

    entitlement: str
    period: int
    at: int
    usage: str | None
    allowance: str | None
    balance: str | None


class Event(NamedTuple):
    entitlement: str
    period: int
    rule: str
    line: Line
    action: str
    episode: int
    also_crossed: tuple[Line, ...] = ()


class Mark(NamedTuple):
    state: str
    episode: int
    has_event: bool  # of this episode: no `recovered` without its `triggered`


Marks = dict[tuple[str, Line], Mark]


@dataclass
class Memory:
    period: int = 0
    as_of: int | None = None
    marks: Marks = field(default_factory=dict)


@dataclass
class Story:
    """What is told, in order, and a reason for each judgement."""

    events: list[Event] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    memories: dict[str, Memory] = field(default_factory=dict)

    def goes_on(self, rules: Mapping[str, Rule], record: Shown) -> None:
        memory = self.memories.setdefault(record.entitlement, Memory())
        if record.period < memory.period:  # an earlier period than the newest one seen makes nothing
            self.reasons += ["stale_period"] * len(rules)
            return
        if record.period > memory.period:  # a new period start arms anew
            memory = self.memories[record.entitlement] = Memory(record.period)
        is_late = memory.as_of is not None and record.at <= memory.as_of
        before = dict(memory.marks)
        for name in sorted(rules):
            self._by_rule(name, rules[name], record, memory.marks, is_late=is_late)
        is_watched = any(name in rules and rules[name].looks_back for name, _ in memory.marks)
        if not is_late and (is_watched or memory.marks != before):
            memory.as_of = record.at

    def _by_rule(self, name: str, rule: Rule, record: Shown, marks: Marks, *, is_late: bool) -> None:
        reasons: dict[Line, str] = {}
        lines = {Line(CANONICAL.get(kind, kind), Fraction(value)) for kind, value in rule.lines}
        for line in sorted(lines, key=lambda line: rank(line, record)):  # the order in which they are told
            reasons[line], mark = one(rule, line, record, marks.get((name, line)), is_late=is_late)
            if mark is not None:
                marks[name, line] = mark
        firing = [line for line, reason in reasons.items() if reason in {"first_crossing", "rearmed"}]
        told = [(line, ()) for line in firing]
        if rule.emit == "highest":
            of_kind = [[line for line in firing if (line.kind == "balance_value") is kind] for kind in (False, True)]
            told = [(highest, tuple(others)) for *others, highest in filter(None, of_kind)]
        for line in (line for _, others in told for line in others):
            reasons[line] = "also_crossed"
            marks[name, line] = marks[name, line]._replace(has_event=False)
        recovered = [(line, ()) for line in reasons if reasons[line] == "recovered"][::-1]
        for action, ones in (("triggered", told), ("recovered", recovered)):
            about = (record.entitlement, record.period, name)
            self.events += [Event(*about, line, action, marks[name, line].episode, others) for line, others in ones]
        self.reasons += reasons.values()


def one(rule: Rule, line: Line, record: Shown, mark: Mark | None, *, is_late: bool) -> tuple[str, Mark | None]:
    """Return the reason and the mark after it, before `highest` chooses."""
    if reason := unknown(line, record):
        return reason, mark
    is_here = is_reached(line, record)
    if mark is None and is_here:
        return "first_crossing", Mark("fired", 1, has_event=True)
    is_wanted = rule.rearm == "recovery" if is_here else rule.looks_back
    if mark is None or (mark.state == "fired") is is_here or not is_wanted:
        return "already_fired" if is_here else "below", mark
    if is_late:
        return "late", mark
    if is_here:
        return "rearmed", Mark("fired", mark.episode + 1, has_event=True)
    return "recovered" if rule.tells_recovered and mark.has_event else "below", mark._replace(state="clear")


def unknown(line: Line, record: Shown) -> str | None:
    """What is not known is not judged, nor a percentage of nothing."""
    if line.kind == "usage_percentage":
        has_meaning = record.usage is not None and record.allowance is not None and Fraction(record.allowance) > 0
        return None if has_meaning else "no_allowance"
    return "no_balance" if (record.balance if line.kind == "balance_value" else record.usage) is None else None


def is_reached(line: Line, record: Shown) -> bool:
    """Reached, not passed."""
    if line.kind == "balance_value":
        return Fraction(record.balance or 0) <= line.value
    usage = Fraction(record.usage or 0)
    return (usage if line.kind == "usage_value" else usage / Fraction(record.allowance or 0) * 100) >= line.value


def rank(line: Line, record: Shown) -> tuple[int, Fraction, int]:
    """Usage kinds by absolute level, on a tie the percentage last; then balance from high to low."""
    value = Fraction(line.value)
    if line.kind == "balance_value":
        return (1, -value, 0)
    return (0, value, 0) if line.kind == "usage_value" else (0, value / 100 * Fraction(record.allowance or 0), 1)
