"""The memory of entitlements: documents loaded, and remembered as committed statements left them."""

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

import asyncpg

from consumer.decide.model import NO_MARKS, UNSEEN, Document, Mark, Marks
from consumer.store.database import Database, columns
from schemas import times
from schemas.rules import RuleId


class EntitlementKey(NamedTuple):
    """What a document is found by."""

    namespace: str
    id: str


class Memory:
    """A bounded cache of documents. An optimisation: an empty one makes the same events.

    A document enters only as a committed statement left it, or as Postgres has it.
    """

    def __init__(self, database: Database, *, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._documents: OrderedDict[EntitlementKey, Document] = OrderedDict()

    def __len__(self) -> int:
        return len(self._documents)

    async def load(self, keys: Iterable[EntitlementKey]) -> dict[EntitlementKey, Document]:
        """Return the documents of *keys*; those not known are read in one query.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        found: dict[EntitlementKey, Document] = {}
        unknown: list[EntitlementKey] = []
        for key in dict.fromkeys(keys):
            if (document := self._documents.get(key)) is not None:
                self._documents.move_to_end(key)
                found[key] = document
            else:
                unknown.append(key)
        if unknown:
            found.update(dict.fromkeys(unknown, UNSEEN))
            namespaces, ids = columns(unknown, 2)
            for row in await self._database.rows("memory/load", namespaces=namespaces, ids=ids):
                found[EntitlementKey(row["namespace"], row["id"])] = _document(row)
        return found

    def remember(self, documents: Mapping[EntitlementKey, Document]) -> None:
        """Keep *documents* as committed; the longest unused go where there are too many."""
        for key, document in documents.items():
            self._documents[key] = document
            self._documents.move_to_end(key)
        while len(self._documents) > self._limit:
            self._documents.popitem(last=False)

    def forget(self, keys: Iterable[EntitlementKey] | None = None) -> None:
        """Drop the documents of *keys*; all of them for None: partitions moved, or an outcome is unknown."""
        if keys is None:
            self._documents.clear()
            return
        for key in keys:
            self._documents.pop(key, None)


def marks_json(marks: Marks) -> str:
    """Return *marks* as they are stored."""
    return json.dumps(
        {rule: {threshold: _mark_json(mark) for threshold, mark in of_rule.items()} for rule, of_rule in marks.items()},
        separators=(",", ":"),
    )


def _mark_json(mark: Mark) -> dict[str, object]:
    stored: dict[str, object] = {
        "state": mark.state,
        "episode": mark.episode,
        "at": times.text(mark.at),
        "level": str(mark.level),
    }
    return stored if mark.is_told else stored | {"told": False}


def _document(row: asyncpg.Record) -> Document:
    return Document(
        version=row["version"],
        period_from=row["period_from"],
        period_to=row["period_to"],
        as_of=row["as_of"],
        marks=_marks(row["marks"]),
    )


def _marks(text: str) -> Marks:
    if text == "{}":
        return NO_MARKS
    return {
        RuleId(rule): {
            threshold: Mark(m["state"], m["episode"], times.parse(m["at"]), Decimal(m["level"]), m.get("told", True))
            for threshold, m in of_rule.items()
        }
        for rule, of_rule in json.loads(text).items()
    }
