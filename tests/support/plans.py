"""What the statements of the store read: each explained as the service runs it, before it runs."""

import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from consumer.store import queries
from consumer.store.database import Database, DatabaseConnection, Took

EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
_PARTITION = re.compile(r"_(\d{8}|default)_")
_READ = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of a statement.

    Attributes:
        mode: the session's `plan_cache_mode`.
        root: the plan's uppermost node, as EXPLAIN says it.
    """

    statement: str
    mode: str
    root: dict[str, Any]
    milliseconds: float

    @property
    def ran(self) -> list[dict[str, Any]]:
        """The nodes that were run."""
        return [node for node in nodes(self.root) if node["Actual Loops"] > 0]

    @property
    def indexes(self) -> set[str]:
        """The indexes that were read: of partitions, those of the table that they are parts of."""
        return {_of_table(node["Index Name"]) for node in self.ran if "Index Name" in node}

    @property
    def read_whole(self) -> set[str]:
        """The tables that were read from end to end, by no index."""
        return {node["Relation Name"] for node in self.ran if node["Node Type"] == "Seq Scan"}

    @property
    def rows_read(self) -> int:
        """The rows that scans looked at, whether or not they were wanted."""
        scans = [node for node in self.ran if "Scan" in node["Node Type"] and _reads(node)]
        return round(sum(node["Actual Loops"] * sum(node.get(kind, 0) for kind in _READ) for node in scans))

    @property
    def buffers(self) -> int:
        """The pages of 8 KiB that were asked for."""
        return int(self.root["Shared Hit Blocks"] + self.root["Shared Read Blocks"])


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield *node* and all below it."""
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def _reads(scan: dict[str, Any]) -> bool:
    """Whether *scan* looks at rows itself: what is below it, if anything, answers a question for each of them."""
    return all(below["Parent Relationship"] in {"SubPlan", "InitPlan"} for below in scan.get("Plans", []))


def _of_table(index: str) -> str:
    """Return the name of a partition's index without the partition's: `event_20261123_namespace_id_idx`."""
    return _PARTITION.sub("_", index, count=1)


@dataclass(slots=True)
class Explained:
    """What was run: `statements` by name are explained, the others are not."""

    statements: frozenset[str]
    plans: list[Plan] = field(default_factory=list)

    def of(self, statement: str) -> list[Plan]:
        return [plan for plan in self.plans if plan.statement == statement]


class Explaining(DatabaseConnection):
    """A connection of the service's pool."""

    def __init__(self, raw: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", seen: Explained) -> None:
        super().__init__(raw)
        self._seen = seen

    async def rows(self, name: str, /, **arguments: object) -> list[asyncpg.Record]:
        if name in self._seen.statements:
            query = queries.load(name)
            text = await self._raw.fetchval(EXPLAIN + query.sql, *query.arguments(arguments))
            mode = await self._raw.fetchval("SHOW plan_cache_mode")
            (made,) = json.loads(text)
            self._seen.plans.append(Plan(name, mode, made["Plan"], made["Execution Time"]))
        return await super().rows(name, **arguments)


class ExplainedDatabase(Database):
    """The service's pool, whose transactions explain what they run; at first nothing: give it what to see, `seen`."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", took: Took) -> None:
        super().__init__(pool, took)
        self.seen = Explained(frozenset())

    @contextlib.asynccontextmanager
    async def transaction(self, *, is_snapshot: bool = False) -> AsyncIterator[DatabaseConnection]:  # noqa: ARG002
        async with self._pool.acquire() as raw, raw.transaction():
            yield Explaining(raw, self.seen)
