"""Rules as all replicas see them: loaded whole, with the revision that says whether to load again."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from consumer.store.database import Database
from schemas.rules import BalanceThresholdSpec, ResetSpec, Rule, RuleId, Since, read_spec
from schemas.sources import Invoice, SourceEvent

# Distinct features and the rules found for each, together: neither hostile ids nor many rules about all features may
# fill the memory. Some 10 MB; a rule that is found again costs nothing.
REMEMBERED: Final = 100_000
CHANNEL: Final = "tollbell_catalog"  # of LISTEN and NOTIFY


class Catalog:
    """Enabled rules, immutable, indexed by namespace and what they are about: a feature, all of them, or invoices.

    Attributes:
        revision: of the configuration it shows; grows with every change.
        unreadable: ids of rules that a newer release made and this one can't judge.
    """

    def __init__(self, revision: int, rules: Iterable[Rule], unreadable: Sequence[str] = ()) -> None:
        self.revision = revision
        self.unreadable = tuple(unreadable)
        self._for_all: dict[str, list[Rule]] = {}
        self._by_feature: dict[tuple[str, str], list[Rule]] = {}
        self._invoices: dict[str, list[Rule]] = {}
        self.size = 0
        for rule in sorted(rules, key=lambda rule: rule.id):
            self.size += 1
            if not isinstance(rule.spec, BalanceThresholdSpec | ResetSpec):
                self._invoices.setdefault(rule.namespace, []).append(rule)
                continue
            if rule.spec.features is None:
                self._for_all.setdefault(rule.namespace, []).append(rule)
            for feature in dict.fromkeys(rule.spec.features or ()):
                self._by_feature.setdefault((rule.namespace, feature), []).append(rule)
        self._found: dict[tuple[str, str, str], tuple[Rule, ...]] = {}
        self._remembered = 0

    def about(self, source: SourceEvent) -> Sequence[Rule]:
        """Return the rules that want *source*, in id order, each once."""
        if isinstance(source, Invoice):
            return self._invoices.get(source.namespace, ())
        return self.matching(source.namespace, source.feature_id, source.feature_key)

    def matching(self, namespace: str, feature_id: str, feature_key: str) -> Sequence[Rule]:
        """Return the rules about a feature, by id or key, and those about all, in id order, each once."""
        wanted = (namespace, feature_id, feature_key)
        if (found := self._found.get(wanted)) is None:
            names = {name for name in (feature_id, feature_key) if name}
            rules = {
                rule.id: rule
                for rule in (
                    *self._for_all.get(namespace, ()),
                    *(rule for name in names for rule in self._by_feature.get((namespace, name), ())),
                )
            }
            found = tuple(rules[key] for key in sorted(rules))
            self._remembered += 1 + len(found)
            if self._remembered > REMEMBERED:
                self._found.clear()
                self._remembered = 1 + len(found)
            self._found[wanted] = found
        return found


EMPTY: Final = Catalog(0, ())


@dataclass(frozen=True, slots=True)
class Revision:
    """The configuration's revision and the database's clock, read together."""

    revision: int
    now: dt.datetime


async def revision(database: Database) -> Revision:
    """Return the current revision.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    row = await database.row("catalog/revision")
    assert row is not None  # noqa: S101 - the migration inserts the one row
    return Revision(row["revision"], row["now"])


async def load(database: Database) -> Catalog:
    """Return the enabled rules as one consistent picture.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows("catalog/load")
    rules: list[Rule] = []
    unreadable: list[str] = []
    for row in rows:
        if row["id"] is None:
            continue
        try:
            spec = read_spec(exact(row["spec"]))
        except ValidationError:
            # Each release runs on the next one's schema: a rule of a type that it adds must not stop all the others.
            unreadable.append(row["id"])
            continue
        rules.append(
            Rule.model_construct(
                id=RuleId(row["id"]),
                namespace=row["namespace"],
                name=row["name"],
                spec=spec,
                channels=tuple(row["channels"] or ()),
                ignoring=read_ignoring(row["ignoring"]),
            )
        )
    return Catalog(rows[0]["revision"], rules, unreadable)


def exact(text: str) -> dict[str, Any]:
    """Return a stored JSON object; numbers exact."""
    stored: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return stored


def read_ignoring(text: str) -> dict[str, Since]:
    """Return a stored `ignoring`: threshold → since when it ignores what is reached already."""
    return {identity: Since.model_validate(since) for identity, since in json.loads(text).items()}
