"""Coarse levels of entitlements that a rule is about, as people look at them: who has used how much now."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from consumer.decide.model import Document, Marks
from consumer.store.database import Database, DatabaseConnection, columns
from consumer.store.history import MOST_COUNTED
from consumer.store.memory import EntitlementKey, marks_of

UNKNOWN: Final = -1  # sorted by, where no level is known: below all that are
_ABOVE_ALL: Final = 32_767


@dataclass(frozen=True, slots=True)
class LevelCursor:
    """Where an entitlement is in the list: the highest level first."""

    level: int = _ABOVE_ALL
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFilter:
    """Which entitlements. None: all of them.

    Attributes:
        at_least: per cent, a multiple of ten; of those whose level is known now.
        feature: its key.
        customer: id or key.
        after: only what comes behind it.
    """

    at_least: int | None = None
    feature: str | None = None
    customer: str | None = None
    after: LevelCursor = LevelCursor()
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Leveled:
    """An entitlement.

    Attributes:
        place: in the list.
        level: in its period, per cent, a multiple of ten; None where it is not known, or the period is over.
        level_at: calculatedAt of the record that changed it.
        feature, subject, customer: JSON as last written; None where there is none.
        marks: of the period.
    """

    id: str
    place: LevelCursor
    level: int | None
    level_at: dt.datetime | None
    period_from: dt.datetime
    period_to: dt.datetime | None
    feature: str | None
    subject: str | None
    customer: str | None
    marks: Marks


@dataclass(frozen=True, slots=True)
class Found:
    """A page of entitlements.

    Attributes:
        total: how many there are in all, counted up to 10,000.
        left_out: how many of the page had no room.
        bytes: that it takes.
    """

    entitlements: Sequence[Leveled]
    total: int
    left_out: int
    bytes: int


async def write(
    database: Database | DatabaseConnection, documents: Mapping[EntitlementKey, Document]
) -> frozenset[EntitlementKey]:
    """Write the levels of *documents* alone; return those whose rows have them now, at the version that they had.

    Safe to repeat, and to run beside any other writer: a row that is locked or of another version is left, and so is
    one whose level is of a newer record.

    Raises:
        StoreUnavailable: Postgres did not answer; whether they were written is unknown.
        StoreFailed: Postgres fails the statement; nothing was written.
    """
    rows = [(*key, one.version, one.level, one.level_at) for key, one in documents.items()]
    namespaces, ids, versions, levels, leveled_at = columns(rows, 5)
    written = await database.rows(
        "levels/write", namespaces=namespaces, ids=ids, versions=versions, levels=levels, leveled_at=leveled_at
    )
    return frozenset(EntitlementKey(row["namespace"], row["id"]) for row in written)


async def page(database: Database, namespace: str, wanted: LevelFilter, *, most_bytes: int) -> Found:
    """Return a page of the entitlements that an enabled rule is about now, as many as have room in *most_bytes*.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    # A row that is gone, or of another level, when it is read would end the walk, or have it go on somewhere else.
    async with database.transaction(is_snapshot=True) as connection:
        await connection.rows("history/own_plan")
        (covered,) = await connection.rows("levels/covered", namespace=namespace)
        ids = (await _find(connection, namespace, wanted, covered))["ids"]
        counted = replace(wanted, after=LevelCursor(), limit=MOST_COUNTED)
        total = (await _find(connection, namespace, counted, covered, only_count=True))["total"]
        rows = await connection.rows("levels/read", namespace=namespace, ids=ids, bytes=most_bytes)
    return Found([_leveled(row) for row in rows], total, len(ids) - len(rows), int(rows[-1]["bytes"]) if rows else 0)


async def _find(
    connection: DatabaseConnection,
    namespace: str,
    wanted: LevelFilter,
    covered: asyncpg.Record,
    *,
    only_count: bool = False,
) -> asyncpg.Record:
    (row,) = await connection.rows(
        "levels/find",
        namespace=namespace,
        at_least=UNKNOWN if wanted.at_least is None else wanted.at_least,
        feature=wanted.feature,
        customer=wanted.customer,
        below_level=wanted.after.level,
        below_id=wanted.after.id,
        every=covered["every"],
        names=covered["names"],
        only_count=only_count,
        limit=wanted.limit,
    )
    return row


def _leveled(row: asyncpg.Record) -> Leveled:
    return Leveled(
        id=row["id"],
        place=LevelCursor(row["sorted_by"], row["id"]),
        level=row["level"],
        level_at=row["level_at"] if row["level"] is not None else None,
        period_from=row["period_from"],
        period_to=row["period_to"],
        feature=row["feature"],
        subject=row["subject"],
        customer=row["customer"],
        marks=marks_of(row["marks"]),
    )
