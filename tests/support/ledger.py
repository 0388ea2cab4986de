"""What was expected beside what came of it: events lost, events made twice, deliveries that did not end or arrive."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from tests.property.words import Event, Rule
from tests.support.fakes import Received
from tests.support.verification import verified_then
from tests.support.workload import LIVES_ON, Workload, event_of, minutes_of, seen


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a run came to. All but the first three should be empty.

    Attributes:
        lost: events that the oracle expects and the service did not make.
        strange: made, and not expected by the oracle.
        twice: made more than once.
        unfinished: events with a delivery that has not ended, or has none.
        failed: events of which a delivery ended FAILED.
        unreceived: ended SUCCESS, and no webhook came.
        unequal: webhooks of one event with other bytes than its payload.
        uncounted: of which more webhooks came than there are attempts, or whose attempts are not numbered 1, 2, 3.
        unclosed: alarms of a period that is over that nothing has closed, though nothing deletes the entitlement.
    """

    records: int
    expected: int
    made: int
    lost: list[Event]
    strange: list[Event]
    twice: list[Event]
    unfinished: list[str]
    failed: list[str]
    unreceived: list[str]
    unequal: list[str]
    uncounted: list[str]
    unclosed: list[Event]

    def wrong(self) -> dict[str, list[object]]:
        """Return what should be empty and is not, the start of each."""
        names = (
            "lost", "strange", "twice", "unfinished", "failed", "unreceived", "unequal", "uncounted", "unclosed",
        )  # fmt: skip
        return {name: list(found[:3]) for name in names if (found := getattr(self, name))}


def balance(workloads: Sequence[Workload], rows: Sequence[asyncpg.Record], received: Iterable[Received]) -> Ledger:
    """Compare *rows* and what was *received* with the oracle.

    Of a row it takes id, namespace and key of the rule, payload, state, and the numbers of its attempts.
    """
    lost: Counter[Event] = Counter()
    strange: Counter[Event] = Counter()
    twice: list[Event] = []
    expected = 0
    for one in workloads:
        made = [
            event_of(row["namespace"], row["key"], row["payload"]) for row in rows if row["namespace"] == one.namespace
        ]
        wanted = seen(one.story().events)
        plain = {name for name, rule in one.rules.items() if not rule.looks_back}
        found = Counter(event for event in made if event.rule in plain)
        due = Counter(event for event in wanted if event.rule in plain)
        expected += due.total()
        lost += due - found
        again = [event for event in found - due if due[event] or found[event] > 1]
        strange += Counter({event: n for event, n in (found - due).items() if event not in again})
        twice += again
        for name in one.rules.keys() - plain:
            first_ones = first(event for event in wanted if event.rule == name)
            expected += len(first_ones)
            of_it = _following(one.rules[name], [event for event in made if event.rule == name], first_ones)
            lost += Counter(of_it[0])
            strange += Counter(of_it[1])
            twice += of_it[2]
    bodies: dict[str, set[bytes]] = {}
    requests: Counter[str] = Counter()
    for request in received:
        event = verified_then(request)["id"]
        requests[event] += 1
        bodies.setdefault(event, set()).add(request.body)
    return Ledger(
        records=sum(len(one.records) for one in workloads),
        expected=expected,
        made=len(rows),
        lost=list(lost),
        strange=list(strange),
        twice=twice,
        unfinished=[row["id"] for row in rows if row["state"] not in {"SUCCESS", "FAILED"}],
        failed=[row["id"] for row in rows if row["state"] == "FAILED"],
        unreceived=[row["id"] for row in rows if row["state"] == "SUCCESS" and row["id"] not in bodies],
        unclosed=[event for one in workloads for event in _unclosed(one, rows)],
        uncounted=[row["id"] for row in rows if not _is_counted(row["attempts"], requests[row["id"]])],
        unequal=[row["id"] for row in rows if bodies.get(row["id"], {row["payload"]}) != {row["payload"]}],
    )


def _is_counted(attempts: Sequence[int], requests: int) -> bool:
    """Whether *attempts* are numbered without a gap or a double, and none of so many requests lacks its own."""
    return attempts == list(range(1, len(attempts) + 1)) and len(attempts) >= requests


def _unclosed(workload: Workload, rows: Sequence[asyncpg.Record]) -> list[Event]:
    """Return the alarms that are open, though their period is over: each has one event that closes it.

    That none has two says `twice`. Of an entitlement that is deleted, alarms stay open.
    """
    alarms = {name for name, rule in workload.rules.items() if rule.notifies_recovered}
    of_them = [row for row in rows if row["namespace"] == workload.namespace and row["key"] in alarms]
    made = [(row, event_of(workload.namespace, row["key"], row["payload"])) for row in of_them]
    closed = {(event.rule, event.about, event.identity) for _, event in made}
    return [
        event
        for row, event in made
        for period, line, action, episode in [event.identity]
        if action == "triggered"
        and event.about[1] == LIVES_ON
        and (row["ended"] or minutes_of(row["current_from"]) != period)
        and (event.rule, event.about, (period, line, "recovered", episode)) not in closed
    ]


def _following(rule: Rule, made: Sequence[Event], expected: set[Event]) -> tuple[list[Event], list[Event], list[Event]]:
    """Return what was lost, strange and twice of a rule that looks back.

    When records are read again the contract promises of these: none twice, no recovery without its first. Which
    episodes there are is a matter of the order in which records come, again ones too. That a threshold was reached in
    a period is not.
    """
    identities = Counter((event.about, event.identity) for event in made)
    strange = [
        event
        for event in made
        for period, line, action, episode in [event.identity]
        if action != "triggered" and (event.about, (period, line, "triggered", episode)) not in identities
    ]
    twice = [event for event in set(made) if identities[event.about, event.identity] > 1]
    if rule.on_create != "evaluate":
        return [], strange, twice
    begun = first(made)
    return list(expected - begun), [*strange, *(begun - expected)], twice


def first(events: Iterable[Event]) -> set[Event]:
    """Return those of a threshold's first crossing in a period."""
    return {event for event in events if event.identity[2:] == ("triggered", 1)}
