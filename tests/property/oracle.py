"""What product.md 3 says of records, edits of rules and the clock. Imports nothing of the project."""

from copy import deepcopy
from fractions import Fraction
from math import inf

from tests.property.words import CLOCK_DELAY, TOLERANCE, About, Billed, Event, Line, Mark, Memory, Rule, Shown, State


class Story(State):
    def edited(self, name: str, rule: Rule | None, now: float) -> None:
        """A rule is made, enabled or changed; or, None, disabled or deleted."""
        self.edits += 1
        before = self.rules.pop(name, Rule()).lines
        ignoring = rule.lines if rule and rule.on_create == "ignore" else set()
        stay = {at: since for at, since in self.ignoring.items() if at[0] != name or at[1] in before & ignoring}
        self.ignoring = stay | {(name, line): (self.edits, now) for line in ignoring - before}
        self.rules |= {name: rule} if rule else {}

    def shown(self, record: Shown, now: float) -> None:
        rules = self.covering({"balance", "reset"}, record.about, record.feature)
        first = Memory(record.period, record.end, record.period, now, record.feature)
        memory = self.memories.get(record.about, first)
        begins = start_that_counts(record, memory)
        reasons, is_early = {"not_metered": record.kind == "unmetered"}, record.at < record.active_from
        reasons |= {"deleted": record.kind == "delete", "inactive": is_early or record.at >= record.active_to}
        reasons |= {"stale_period": begins is None}
        why = next((reason for reason, is_so in reasons.items() if is_so), "")
        self.reasons += [why] * len(rules) if why else []
        is_mute = why == "not_metered" or (why == "inactive" and is_early) or (why != "deleted" and begins is None)
        if is_mute or not rules:
            return
        before = deepcopy(self.memories.get(record.about))
        self.memories[record.about] = memory
        is_renamed = speak(record, memory, begins)
        if not why and begins is not None:
            self._judge(rules, record, memory, begins, now)
            memory.as_of = max(memory.as_of, record.at) if is_renamed and memory.marks else memory.as_of
        if memory != before:  # a record that changed nothing leaves no trace
            memory.known = max(memory.known, record.at if record.period in {memory.period, memory.begins} else -inf)
            memory.newest = max(memory.newest, record.at)

    def period_ends(self, about: About, now: float) -> None:
        """The clock looks at an entitlement."""
        memory = self.memories[about]
        is_due = memory.shown_at < memory.end or memory.fired_at > -inf
        is_over = memory.ended or memory.deleted_at > -inf or memory.active_to <= memory.end
        if is_due and now >= max(memory.end, memory.fired_at) + CLOCK_DELAY and not is_over:
            rules = self.covering({"balance", "reset"}, about, memory.feature)
            self._close(rules, about, memory.end)
            self._reset(rules, about, memory.end, "automatic")
            memory.ended, memory.marks, memory.as_of, memory.fired_at = True, {}, -inf, -inf

    def billed(self, record: Billed) -> None:
        rules = self.covering({"created", "updated"}, record.about)
        newest, state = self.invoices.get(record.about, (-inf, None))
        is_update, previous = record.kind == "updated", record.previous or state
        identity = (record.state, *record.by) if is_update else ("created",)
        for name in (name for name, rule in rules.items() if rule.type == record.kind):
            event = Event(name, record.about, identity, previous if is_update else None)
            why = unwanted(rules[name], record, event.says, is_late=is_update and record.at < newest)
            why = why or ("duplicate" if event[:3] in self.identities else "")
            self.reasons.append(why or ("state_changed" if is_update else "invoice_created"))
            self.add(*[] if why else [event])
        if rules and record.at >= newest:
            self.invoices[record.about] = (record.at, record.state)

    def _judge(self, rules: dict[str, Rule], record: Shown, memory: Memory, begins: float, now: float) -> None:
        is_new, kind = begins != memory.begins, "automatic" if record.period >= memory.end else "manual"
        is_gone = memory.deleted_at > -inf or memory.active_to <= begins
        self._close(rules if is_new and not is_gone else {}, record.about, begins)
        self._reset(rules, record.about, begins, kind if is_new or record.kind == "reset" else "")
        if is_new:  # arms again
            latest = max(memory.reset_until, memory.end if memory.ended else memory.begins)
            memory.reset_until = latest if begins < latest else -inf
            memory.period, memory.end, memory.begins, memory.ended = record.period, record.end, begins, False
            memory.shown_at, memory.known, memory.as_of, memory.fired_at, memory.marks = now, -inf, -inf, -inf, {}
        before = dict(memory.marks)
        for name in (name for name, rule in rules.items() if rule.type == "balance"):
            memory.fired_at = max(memory.fired_at, now if self._cross(name, record, memory) else -inf)
        looks_back = any(name in rules and rules[name].looks_back for name, _ in memory.marks)
        memory.as_of = max(memory.as_of, record.at) if looks_back or memory.marks != before else memory.as_of

    def _close(self, rules: dict[str, Rule], about: About, at: float) -> None:
        """The period that is remembered ends: so do its alarms, those that fired by an event of their own."""
        memory = self.memories[about]
        for name, rule in ((name, rule) for name, rule in rules.items() if rule.notifies_recovered):
            for line in sorted(rule.lines, key=lambda line: rank(line, None), reverse=True):
                state, episode = memory.marks.get((name, line), Mark("new", 0))
                triggered = (name, about, (memory.begins, line, "triggered", episode))
                if state == "fired" and triggered in self.identities:
                    identity = (memory.begins, line, "recovered", episode)
                    is_made = self.make(Event(name, about, identity, ("period_end", at)))
                    self.reasons += ["recovered" if is_made else "duplicate"]

    def _reset(self, rules: dict[str, Rule], about: About, start: float, kind: str) -> None:
        memory = self.memories[about]  # what fired after a reset of this start was made is followed by another one
        is_another = memory.fired_at > -inf and memory.begins < start <= memory.reset_until
        identity = (start, memory.begins) if is_another else (start,)
        for name in (name for name, rule in rules.items() if rule.type == "reset"):
            is_known = (memory.ended and start == memory.end) or (name, *identity) in memory.resets
            self.reasons.append("same_period" if not kind else "already_reset" if is_known else f"reset_{kind}")
            self.add(*[Event(name, about, identity, kind)] if kind and not is_known else [])
            memory.resets |= {(name, *identity)} if kind else set()

    def _cross(self, name: str, record: Shown, memory: Memory) -> bool:
        """Return whether a threshold fires."""
        rule, why, also = self.rules[name], dict[Line, str](), dict[Line, tuple[Line, ...]]()
        for line in sorted(rule.lines, key=lambda line: rank(line, record)):  # the order of their events
            at, (edit, since) = (name, line), self.ignoring.get((name, line), (0, -inf))
            ignores = memory.begins < since and memory.seen.get(at) != edit
            mark, is_late = memory.marks.get(at, Mark("new", 0)), record.at <= memory.as_of
            why[line], mark = crossed(rule, mark, is_reached(line, record), is_late=is_late, ignores=ignores)
            triggered = (name, record.about, (memory.begins, line, "triggered", mark.episode))
            why[line] = "below" if why[line] == "recovered" and triggered not in self.identities else why[line]
            memory.marks |= {at: mark} if mark.state != "new" else {}
            memory.seen |= {at: edit} if why[line] and edit else {}
            why[line] = why[line] or ("no_allowance" if line.kind == "usage_percentage" else "no_balance")
        firing = [line for line in why if why[line] in {"first_crossing", "rearmed"}]
        for kind in (True, False) if rule.emit == "highest" else ():
            of_kind = [line for line in firing if (line.kind == "balance_value") is kind]
            also |= {line: tuple(of_kind[:-1]) for line in of_kind[-1:]}
            why |= dict.fromkeys(of_kind[:-1], "also_crossed")
        notified = [(line, "triggered") for line in firing if why[line] != "also_crossed"]
        notified += [(line, "recovered") for line in reversed(why) if why[line] == "recovered"]
        for line, action in notified:
            identity = (memory.begins, line, action, memory.marks[name, line].episode)
            is_made = self.make(Event(name, record.about, identity, also.get(line, ())))
            why |= {} if is_made else {line: "duplicate"}
        self.reasons += why.values()
        return bool(firing)


def start_that_counts(record: Shown, memory: Memory) -> float | None:
    """Return the start of the period that the record is of; none: of one that is over."""
    if record.period > memory.begins:
        return record.period
    if record.period in {memory.period, memory.begins}:
        goes_on = record.at > memory.known and record.at >= memory.end and record.end > record.at
        is_of_it = record.period == memory.begins or (record.at >= memory.begins and record.end > memory.begins)
        return (memory.end if goes_on else None) if memory.ended else memory.begins if is_of_it else None
    is_moved_back = record.period <= record.at < record.end and record.at > memory.newest + TOLERANCE
    return record.at if is_moved_back and not (memory.ended and record.at == memory.begins) else None


def speak(record: Shown, memory: Memory, begins: float | None) -> bool:
    """The newest record speaks of the end; of equal ones a delete. Return whether it renames the feature."""
    if record.at > memory.known and begins == memory.begins and not memory.ended and record.end > begins:
        memory.end = record.end
    before = memory.feature
    newest = max(memory.known, memory.newest)
    if record.at > newest:
        memory.active_to = record.active_to
        memory.feature = record.feature if record.feature[0] or record.feature[1] != before[1] else before
    if record.at > newest or (record.at == newest and record.kind == "delete"):
        memory.deleted_at = record.at if record.kind == "delete" else -inf
    return memory.feature != before


def crossed(rule: Rule, mark: Mark, is_here: bool | None, *, is_late: bool, ignores: bool) -> tuple[str, Mark]:
    """Return the reason, none for what can't be judged, and the mark after it; before `highest` chooses."""
    state, episode = mark
    follows = rule.looks_back if state == "fired" else state == "ignored" and rule.rearm == "recovery"
    if is_here is None or not (is_here or follows):
        return "" if is_here is None else "below", mark
    if is_here and (state in {"fired", "ignored"} or (state == "clear" and rule.rearm == "period")):
        return "ignored_on_create" if state == "ignored" or not episode else "already_fired", mark
    if is_here and ignores:
        return "ignored_on_create", Mark("ignored", episode)
    if is_late and state != "new":
        return "late", mark
    if is_here:
        return "rearmed" if state == "clear" else "first_crossing", Mark("fired", episode + 1)
    return "recovered" if rule.notifies_recovered and state == "fired" else "below", Mark("clear", episode)


def is_reached(line: Line, record: Shown) -> bool | None:
    """Reached, not passed. What is not known is not judged, nor a percentage of nothing."""
    usage, allowance, balance = (None if x is None else Fraction(x) for x in record[2:5])
    if line.kind == "balance_value":
        return None if balance is None else balance <= line.value
    if usage is None or (line.kind == "usage_percentage" and (allowance or 0) <= 0):
        return None
    return usage >= line.value if line.kind == "usage_value" else 100 * usage >= line.value * allowance


def rank(line: Line, record: Shown | None) -> tuple[bool, Fraction, bool]:
    """Usage kinds by absolute level, on a tie the percentage last; then balance from high to low."""
    allowance = record.allowance or 0 if record else 100
    of_one = {"balance_value": -1, "usage_value": 1}.get(line.kind, Fraction(allowance) / 100)
    return line.kind == "balance_value", line.value * of_one, line.kind == "usage_percentage"


def unwanted(rule: Rule, record: Billed, previous: str | None, *, is_late: bool) -> str:
    short = record.state.split(".")[0]
    enters = previous is None or previous.split(".")[0] != short
    is_wanted = not rule.statuses or record.state in rule.statuses - {short} or (enters and short in rule.statuses)
    reasons = {"gathering": short == "gathering", "late": is_late and record.previous is None}
    reasons |= {"same_state": record.state == previous, "status_not_wanted": not is_wanted}
    return next((reason for reason, is_so in reasons.items() if is_so), "")
