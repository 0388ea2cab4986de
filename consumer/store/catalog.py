"""Rules as all replicas see them: loaded once, then kept current by what has changed since."""

import datetime as dt
import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from operator import is_
from typing import Any, Final

import asyncpg
from pydantic import ValidationError

from consumer import clock
from consumer.decide.rules import features_named, is_about_invoices
from consumer.errors import MadeByNewer
from consumer.store.database import Database
from consumer.store.shared_map import SharedMap
from schemas.rules import Rule, RuleId, Since, Spec, read_spec
from schemas.sources import Invoice, SourceEvent

# Distinct features and the rules found for each, together: neither hostile ids nor many rules about all features may
# fill the memory. Some 10 MB; a rule that is found again costs nothing.
REMEMBERED: Final = 100_000
_decode: Final = json.JSONDecoder(parse_float=Decimal).decode  # made once: `json.loads` makes one for each text
CHANNEL: Final = "tollbell_catalog"  # of LISTEN and NOTIFY
SLICE: Final = 100  # rules that are read in one go: 3 to 9 ms, then the event loop turns


class _Group(Enum):
    """What a rule is about other than a single feature."""

    ALL_FEATURES = auto()
    INVOICES = auto()

    __hash__ = object.__hash__  # Enum's own is ten times as slow, and each record asks


_GroupKey = tuple[str, str | _Group]  # the namespace, and a feature's id or key
_Rules = tuple[Rule, ...]  # in id order


class Catalog:
    """Enabled rules, immutable, indexed by namespace and what they are about: a feature, all of them, or invoices.

    The next one is made of this one and what has changed, at a cost that does not grow with the rules, and shares the
    rest: what `about` and `matching` have returned stays the same object as long as none of its rules changes.

    Attributes:
        revision: of the configuration it shows; grows with every change.
        server: the Postgres it was loaded from, by its start; None where it was not loaded.
        unreadable: ids of rules that a newer release made and this one can't judge, in order.
    """

    def __init__(self, revision: int, rules: Iterable[Rule] = (), *, server: dt.datetime | None = None) -> None:
        self.revision = revision
        self.server = server
        self.unreadable: tuple[str, ...] = ()
        self._rules: SharedMap[str, Rule] = SharedMap()
        self._groups: SharedMap[_GroupKey, _Rules] = SharedMap()
        self._merged = _Merged()
        self._change({rule.id: rule for rule in rules})

    @property
    def size(self) -> int:
        """How many rules there are."""
        return len(self._rules)

    def changed(
        self, revision: int, rules: Mapping[str, Rule | None], *, unreadable: Collection[str] = ()
    ) -> "Catalog":
        """Return the catalog of a later *revision*.

        Args:
            revision: what it then shows.
            rules: what has changed, by id; None: it is not enabled any more, or can't be read.
            unreadable: those of *rules* that can't be read.
        """
        made = Catalog(revision, server=self.server)
        made.unreadable = tuple(sorted({*self.unreadable} - rules.keys() | {*unreadable}))
        made._rules, made._groups, made._merged = self._rules, self._groups, self._merged
        made._change(rules)
        return made

    def about(self, source: SourceEvent) -> Sequence[Rule]:
        """Return the rules that want *source*, in id order, each once."""
        if isinstance(source, Invoice):
            return self._groups.get((source.namespace, _Group.INVOICES)) or ()
        return self.matching(source.namespace, source.feature_id, source.feature_key)

    def matching(self, namespace: str, feature_id: str, feature_key: str) -> Sequence[Rule]:
        """Return the rules about a feature, by id or key, and those about all, in id order, each once."""
        about = self._groups.get
        every, by_id = about((namespace, _Group.ALL_FEATURES)), about((namespace, feature_id))
        by_key = None if feature_key == feature_id else about((namespace, feature_key))
        if every is None and (by_id is None or by_key is None):
            return by_id or by_key or ()
        parts = tuple([part for part in (every, by_id, by_key) if part])
        return parts[0] if len(parts) == 1 else self._merged.of((namespace, feature_id, feature_key), parts)

    def _change(self, rules: Mapping[str, Rule | None]) -> None:
        changed: dict[_GroupKey, dict[str, Rule | None]] = {}
        for rule_id, rule in rules.items():
            if before := self._rules.get(rule_id):
                for key in _groups(before):
                    changed.setdefault(key, {})[rule_id] = None
            if rule is not None:
                for key in _groups(rule):
                    changed.setdefault(key, {})[rule_id] = rule
        self._rules = self._rules.updated(rules)
        self._groups = self._groups.updated(
            {key: _regrouped(self._groups.get(key) or (), members) or None for key, members in changed.items()}
        )


def _groups(rule: Rule) -> list[_GroupKey]:
    if is_about_invoices(rule.type):
        return [(rule.namespace, _Group.INVOICES)]
    features = features_named(rule.spec)
    if features is None:
        return [(rule.namespace, _Group.ALL_FEATURES)]
    return [(rule.namespace, feature) for feature in features]


def _regrouped(group: _Rules, members: Mapping[str, Rule | None]) -> _Rules:
    rules = list(group)
    for rule_id, rule in sorted(members.items()):
        at = bisect_left(rules, rule_id, key=lambda one: one.id)
        is_there = at < len(rules) and rules[at].id == rule_id
        rules[at : at + is_there] = [] if rule is None else [rule]
    return tuple(rules)


class _Merged:
    """What several groups together are, remembered for as long as they are the same objects."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], tuple[tuple[_Rules, ...], _Rules]] = {}
        self._remembered = 0

    def of(self, key: tuple[str, str, str], parts: tuple[_Rules, ...]) -> _Rules:
        """Return the rules of *parts* in id order, each once: the same object as long as the parts of *key* are."""
        known, found = self._found.get(key, ((), ()))
        if len(known) == len(parts) and all(map(is_, known, parts)):
            return found
        self._remembered -= len(found)
        rules = {rule.id: rule for part in parts for rule in part}
        found = tuple(rules[rule_id] for rule_id in sorted(rules))
        self._remembered += len(found)
        if self._remembered + len(self._found) >= REMEMBERED:
            self._found.clear()
            self._remembered = len(found)
        self._found[key] = (parts, found)
        return found


EMPTY: Final = Catalog(0)
# While a release rolls out, its processes and those of the one before work side by side.
NEWER: Final = (
    "a newer release of Tollbell made it, of a type that this one does not know: ask a process of that release"
)


@dataclass(frozen=True, slots=True)
class Revision:
    """The configuration's revision, the server that says it, and the database's clock, read together."""

    revision: int
    server: dt.datetime
    now: dt.datetime


async def revision(database: Database) -> Revision:
    """Return the current revision.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    row = await database.row("catalog/revision")
    assert row is not None  # noqa: S101 - the migration inserts the one row
    return Revision(row["revision"], row["server"], row["now"])


async def current(database: Database, known: Catalog) -> Catalog:
    """Return the catalog as it is now: *known* with what has changed since, or all of it where that can't be said.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    if known.server is None:
        return await load(database)
    rows = await database.rows("catalog/changes", since=known.revision)
    if rows[0]["server"] != known.server or rows[0]["revision"] < known.revision:
        # Another server, or the same one restarted: it may have lost commits that *known* shows, and have given their
        # revisions to other changes.
        return await load(database)
    return await _with(known, rows)


async def load(database: Database) -> Catalog:
    """Return the enabled rules as one consistent picture.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows("catalog/load")
    return await _with(Catalog(0, server=rows[0]["server"]), rows)


async def _with(base: Catalog, rows: Sequence[asyncpg.Record]) -> Catalog:
    """Return *base* with the rules of *rows*, a slice at a time: records go on meanwhile."""
    made = base.changed(rows[0]["revision"], {})
    for begin in range(0, len(rows), SLICE):
        rules: dict[str, Rule | None] = {}
        unreadable: list[str] = []
        for row in rows[begin : begin + SLICE]:
            if row["id"] is None:
                continue
            try:
                rules[row["id"]] = _rule(row) if row["is_enabled"] else None
            except ValidationError:
                # Each release runs on the next one's schema: a rule of a type that it adds must not stop the others.
                rules[row["id"]] = None
                unreadable.append(row["id"])
        made = made.changed(made.revision, rules, unreadable=unreadable)
        await clock.sleep(0)
    return made


def _rule(row: asyncpg.Record) -> Rule:
    return Rule.model_construct(
        id=RuleId(row["id"]),
        namespace=row["namespace"],
        key=row["key"],
        name=row["name"],
        spec=read_spec(exact(row["spec"])),
        channels=tuple(row["channels"] or ()),
        ignoring=read_ignoring(row["ignoring"]),
    )


def stored_spec(row: asyncpg.Record) -> Spec:
    """Return the spec of a rule's row, for those who can't go on without it.

    Raises:
        MadeByNewer: it is of a type that this release does not know.
    """
    try:
        return read_spec(exact(row["spec"]))
    except ValidationError:
        raise MadeByNewer(f"rule {row['id']}: {NEWER}") from None


def exact(text: str) -> dict[str, Any]:
    """Return a stored JSON object; numbers exact."""
    stored: dict[str, Any] = _decode(text)
    return stored


def read_ignoring(text: str) -> dict[str, Since]:
    """Return a stored `ignoring`: threshold → since when it ignores what is reached already."""
    return {identity: Since.model_validate(since) for identity, since in json.loads(text).items()}
