"""What product.md 3 says of records, edits of rules and the clock. Imports nothing of the project."""

from fractions import Fraction
from math import inf

from tests.property.words import CLOCK_DELAY, About, Billed, Event, Line, Mark, Memory, Rule, Shown, Told


class Story(Told):
    def edited(self, name: str, rule: Rule | None, now: float) -> None:
        """A rule is made, enabled or changed; or, None, disabled or deleted."""
        self.edits += 1
        before = self.rules.pop(name, Rule()).lines
        ignoring = rule.lines if rule and rule.on_create == "ignore" else set()
        stay = {at: since for at, since in self.ignoring.items() if at[0] != name or at[1] in before & ignoring}
        self.ignoring = stay | {(name, line): (self.edits, now) for line in ignoring - before}
        self.rules |= {name: rule} if rule else {}

    def shown(self, record: Shown, now: float) -> None:
        rules = self._covering({"balance", "reset"}, record.about, record.feature)
        begun = Memory(record.period, record.end, now < record.end, record.feature)
        memory = self.memories.get(record.about, begun)
        is_stale = record.period < memory.period or (record.period == memory.period and memory.ended > -inf)
        is_early = record.at < record.active_from
        reasons = {"not_metered": record.kind == "unmetered", "deleted": record.kind == "delete"}
        reasons |= {"inactive": is_early or record.at >= record.active_to, "stale_period": is_stale}
        why = next((reason for reason, is_so in reasons.items() if is_so), "")
        self.reasons += [why] * len(rules) if why else []
        if not rules or why == "not_metered" or (why == "inactive" and (is_early or is_stale)):
            return
        self.memories[record.about] = memory
        if why == "deleted" and record.at >= memory.as_of:
            memory.deleted_at = max(memory.deleted_at, record.at)
        memory.active_to = record.active_to if why in {"", "inactive"} else memory.active_to
        if not why:
            self._judge(rules, record, memory, begun)

    def period_ends(self, about: About, now: float) -> None:
        """The clock looks at an entitlement."""
        memory = self.memories[about]
        is_over = max(memory.ended, memory.deleted_at) > -inf or memory.active_to <= memory.end
        if memory.in_time and now >= memory.end + CLOCK_DELAY and not is_over:
            self._reset(self._covering({"reset"}, about, memory.feature), about, memory.end, "automatic")
            memory.ended, memory.marks, memory.as_of = memory.end, {}, -inf

    def billed(self, record: Billed) -> None:
        rules = self._covering({"created", "updated"}, record.about)
        newest, state = self.invoices.get(record.about, (-inf, None))
        is_update, previous = record.kind == "updated", record.previous or state
        identity = (record.state, *record.by) if is_update else ("created",)
        for name in (name for name, rule in rules.items() if rule.type == record.kind):
            event = Event(name, record.about, identity, previous if is_update else None)
            why = unwanted(rules[name], record, event.says, is_late=is_update and record.at < newest)
            why = why or ("duplicate" if event[:3] in self.identities else "")
            self.reasons.append(why or ("state_changed" if is_update else "invoice_created"))
            self.events += [] if why else [event]
        if rules and record.at >= newest:
            self.invoices[record.about] = (record.at, record.state)

    def _covering(self, types: set[str], about: About, feature: tuple[str, ...] = ()) -> dict[str, Rule]:
        return {n: r for n, r in sorted(self.rules.items()) if r.type in types and r.covers(about, feature)}

    def _judge(self, rules: dict[str, Rule], record: Shown, memory: Memory, begun: Memory) -> None:
        is_new, kind = record.period > memory.period, "automatic" if record.period >= memory.end else "manual"
        self._reset(rules, record.about, record.period, kind if is_new or record.kind == "reset" else "")
        if is_new or record.end != memory.end:
            memory.end, memory.in_time = record.end, begun.in_time
        if is_new:  # arms anew
            memory.period, memory.as_of, memory.ended, memory.marks = record.period, -inf, -inf, {}
        memory.deleted_at = memory.deleted_at if record.at <= memory.deleted_at else -inf
        before = dict(memory.marks)
        for name in (name for name, rule in rules.items() if rule.type == "balance"):
            self._cross(name, record, memory)
        looks_back = any(name in rules and rules[name].looks_back for name, _ in memory.marks)
        memory.as_of = max(memory.as_of, record.at) if looks_back or memory.marks != before else memory.as_of

    def _reset(self, rules: dict[str, Rule], about: About, start: float, kind: str) -> None:
        memory = self.memories[about]
        for name in (name for name, rule in rules.items() if rule.type == "reset"):
            is_known = start == memory.ended or (name, start) in memory.resets
            self.reasons.append("same_period" if not kind else "already_reset" if is_known else f"reset_{kind}")
            self.events += [Event(name, about, (start,), kind)] if kind and not is_known else []
            memory.resets |= {(name, start)} if kind else set()

    def _cross(self, name: str, record: Shown, memory: Memory) -> None:
        rule, why, also = self.rules[name], dict[Line, str](), dict[Line, tuple[Line, ...]]()
        for line in sorted(rule.lines, key=lambda line: rank(line, record)):  # the order in which they are told
            at, (edit, since) = (name, line), self.ignoring.get((name, line), (0, -inf))
            ignores = record.period < since and memory.seen.get(at) != edit
            mark, is_late = memory.marks.get(at, Mark("new", 0)), record.at <= memory.as_of
            why[line], mark = crossed(rule, mark, is_reached(line, record), is_late=is_late, ignores=ignores)
            triggered = (name, record.about, (record.period, line, "triggered", mark.episode))
            why[line] = "below" if why[line] == "recovered" and triggered not in self.identities else why[line]
            memory.marks |= {at: mark} if mark.state != "new" else {}
            memory.seen |= {at: edit} if why[line] else {}
            why[line] = why[line] or ("no_allowance" if line.kind == "usage_percentage" else "no_balance")
        firing = [line for line in why if why[line] in {"first_crossing", "rearmed"}]
        for kind in (True, False) if rule.emit == "highest" else ():
            of_kind = [line for line in firing if (line.kind == "balance_value") is kind]
            also |= {line: tuple(of_kind[:-1]) for line in of_kind[-1:]}
            why |= dict.fromkeys(of_kind[:-1], "also_crossed")
        self.reasons += why.values()
        told = [(line, "triggered") for line in firing if why[line] != "also_crossed"]
        told += [(line, "recovered") for line in reversed(why) if why[line] == "recovered"]
        for line, action in told:
            identity = (record.period, line, action, memory.marks[name, line].episode)
            self.events.append(Event(name, record.about, identity, also.get(line, ())))


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
    return "recovered" if rule.tells_recovered and state == "fired" else "below", Mark("clear", episode)


def is_reached(line: Line, record: Shown) -> bool | None:
    """Reached, not passed. What is not known is not judged, nor a percentage of nothing."""
    usage, allowance, balance = (None if x is None else Fraction(x) for x in record[2:5])
    if line.kind == "balance_value":
        return None if balance is None else balance <= line.value
    if usage is None or (line.kind == "usage_percentage" and (allowance or 0) <= 0):
        return None
    return usage >= line.value if line.kind == "usage_value" else 100 * usage >= line.value * allowance


def rank(line: Line, record: Shown) -> tuple[bool, Fraction, bool]:
    """Usage kinds by absolute level, on a tie the percentage last; then balance from high to low."""
    of_one = {"balance_value": -1, "usage_value": 1}.get(line.kind, Fraction(record.allowance or 0) / 100)
    return line.kind == "balance_value", line.value * of_one, line.kind == "usage_percentage"


def unwanted(rule: Rule, record: Billed, previous: str | None, *, is_late: bool) -> str:
    short = record.state.split(".")[0]
    enters = previous is None or previous.split(".")[0] != short
    is_wanted = not rule.statuses or record.state in rule.statuses - {short} or (enters and short in rule.statuses)
    reasons = {"gathering": short == "gathering", "late": is_late and record.previous is None}
    reasons |= {"same_state": record.state == previous, "status_not_wanted": not is_wanted}
    return next((reason for reason, is_so in reasons.items() if is_so), "")
