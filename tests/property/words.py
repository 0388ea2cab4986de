"""The words in which the oracle and the tests speak of rules, records, memory and events. Times are minutes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf
from typing import NamedTuple

About = tuple[str, str]  # the namespace and the id of an entitlement or invoice
CLOCK_DELAY = 1  # minutes after a period's end, or its last firing
TOLERANCE = 5  # minutes: how far clocks may be apart
CANONICAL = {"PERCENT": "usage_percentage", "NUMBER": "usage_value"}


class Line(NamedTuple):
    """A threshold of a rule, as written; in an event, its canonical kind and exact value."""

    kind: str
    value: str | Fraction


class Rule(NamedTuple):
    """A rule that is enabled. What does not belong to its type stays as it is here."""

    type: str = "balance"  # or reset, created, updated
    written: Sequence[Line] = ()
    emit: str = "each"
    rearm: str = "period"
    notifies_recovered: bool = False
    on_create: str = "evaluate"
    features: frozenset[str] = frozenset()  # ids or keys; none: all
    statuses: frozenset[str] = frozenset()  # none: all
    namespace: str = "default"

    @property
    def lines(self) -> set[Line]:
        """An alias and its new name are the same threshold, the same one twice is one."""
        return {Line(CANONICAL.get(kind, kind), Fraction(value)) for kind, value in self.written}

    def covers(self, about: About, feature: Sequence[str]) -> bool:
        """A feature matches by its id or its key."""
        return self.namespace == about[0] and (not self.features or not self.features.isdisjoint(feature))

    @property
    def looks_back(self) -> bool:
        return self.rearm == "recovery" or self.notifies_recovered


class Shown(NamedTuple):
    """A record of an entitlement: what it shows, amounts as text; None for what it does not say."""

    about: About
    at: float
    usage: str | None = None
    allowance: str | None = None
    balance: str | None = None
    period: float = 0
    end: float = 1000
    kind: str = "usage"  # or reset, delete, unmetered
    active_from: float = -inf
    active_to: float = inf
    feature: tuple[str, str] = ("f-1", "llm_tokens")


class Billed(NamedTuple):
    """A record of an invoice."""

    about: About
    at: float
    state: str
    previous: str | None
    by: tuple[str, str]  # source and id of its CloudEvent
    kind: str = "updated"  # or created


class Event(NamedTuple):
    """A notification event: `identity` distinguishes it from others of its rule, `says` is what else is in it."""

    rule: str
    about: About
    identity: tuple[object, ...]
    says: object = None


def is_closing(event: Event) -> bool:
    """Whether *event* recovers since its threshold's period has ended, not since the level fell."""
    return isinstance(event.says, tuple) and event.says[:1] == ("period_end",)


class Mark(NamedTuple):
    """What a threshold did in its period."""

    state: str  # new, fired, clear, ignored
    episode: int  # 0: none fired


@dataclass
class Memory:
    """What is remembered of an entitlement. -inf: never, or none; an end of inf: none."""

    period: float  # the start as it is shown
    end: float
    begins: float  # the start that counts
    shown_at: float  # when a record first showed the period
    feature: tuple[str, str]  # its id, where known, and its key
    known: float = -inf  # the newest record of the period that changed anything here
    newest: float = -inf  # the same of the entitlement
    as_of: float = -inf
    deleted_at: float = -inf
    active_to: float = inf
    ended: bool = False  # by the clock
    reset_until: float = -inf  # the latest start that a reset was made of, where the period begins before it
    fired_at: float = -inf  # when a threshold last fired in the period
    marks: dict[tuple[str, Line], Mark] = field(default_factory=dict)
    seen: dict[tuple[str, Line], int] = field(default_factory=dict)  # and the edit since which the threshold ignored
    resets: set[tuple[object, ...]] = field(default_factory=set)  # rules, and the resets that they know of


@dataclass
class State:
    """The events so far, a reason for each judgement, and what they follow from."""

    events: list[Event] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    rules: dict[str, Rule] = field(default_factory=dict)
    edits: int = 0
    ignoring: dict[tuple[str, Line], tuple[int, float]] = field(default_factory=dict)  # since which edit, and when
    memories: dict[About, Memory] = field(default_factory=dict)
    invoices: dict[About, tuple[float, str | None]] = field(default_factory=dict)  # the newest time, and the state then
    identities: set[tuple[object, ...]] = field(default_factory=set)  # of the events: a soak makes a hundred thousand

    def covering(self, types: set[str], about: About, feature: Sequence[str] = ()) -> dict[str, Rule]:
        return {n: r for n, r in sorted(self.rules.items()) if r.type in types and r.covers(about, feature)}

    def make(self, event: Event) -> bool:
        """Return whether the event is made: once for its identity, also where an earlier start comes back."""
        is_new = event[:3] not in self.identities
        self.add(*[event] if is_new else [])
        return is_new

    def add(self, *events: Event) -> None:
        self.identities |= {event[:3] for event in events}
        self.events += events
