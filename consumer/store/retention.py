"""What grows, and how it goes: partitions are made ahead and dropped as tables, other rows are removed in small steps.

Everything here may be done by any number of processes at once: making and dropping take a turn (an advisory lock), a
step finds nothing where another one has been.
"""

import contextlib
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import asyncpg

from consumer import clock, pauses
from consumer.errors import Refused, StoreBusy
from consumer.store.database import Database, columns
from consumer.store.intervals import LENGTH, Interval, containing

TABLES: Final = ("event", "attempt", "rendered")
"""The tables that are partitioned by an event's id, the event itself first: dropped before what belongs to it.

A further one (its key is `event_id`, it has a default partition) is one more name here.
"""
AHEAD: Final = 2  # intervals after this one: where the next can't be made, there is a week to mend it
LOCK_TIMEOUT: Final = "200ms"  # how long readers and writers may have to queue behind a lock that we do not get
STATEMENT_TIMEOUT: Final = "2s"  # and behind one that we have; dropping a partition takes milliseconds
TRIES: Final = 3  # of making or dropping one partition; after that, in minutes
MOST_MOVED: Final = 10_000  # rows out of the default partition in one go: claims wait 0.35 s (measured, 1.5 KB)
STEP: Final = 1_000  # rows of one removal: short locks
KEEPER_STEP: Final = 10_000  # events of one look for what must be kept


class PartitionOutcome(StrEnum):
    """What became of a partition."""

    MADE = "made"
    TOO_MANY = (
        "too_many"  # more rows wait in the default partition than may be moved: they are removed one by one later
    )
    DROPPED = "dropped"
    KEPT = "kept"  # an event in it is open, or not long enough over
    BUSY = "busy"  # another process has the turn, or holds the table: try again later


@dataclass(frozen=True, slots=True)
class TablePartition:
    """What became of one table's partition.

    Attributes:
        rows: MADE: those that had waited in the default partition; DROPPED, of events: the deliveries that went before.
    """

    table: str
    interval: Interval
    outcome: PartitionOutcome
    rows: int = 0


class Removable(StrEnum):
    """What is removed row by row."""

    EVENTS = "event"  # of the default partition, with what is theirs
    ENTITLEMENTS = "entitlement"
    INVOICES = "invoice"
    IDENTITIES = "identity"
    JOBS = "job"
    REPLICAS = "replica"
    TEMPLATES = "template"


_REMOVALS: Final = {
    Removable.ENTITLEMENTS: "retention/remove_entitlements",
    Removable.INVOICES: "retention/remove_invoices",
    Removable.IDENTITIES: "retention/remove_identities",
    Removable.JOBS: "retention/remove_jobs",
    Removable.REPLICAS: "retention/remove_replicas",
    Removable.TEMPLATES: "retention/remove_templates",
}


@dataclass(frozen=True, slots=True)
class Removal:
    """How many rows one step removed, whether it was the last one, and where the next one begins."""

    removed: int
    is_last: bool
    after: dt.datetime | None


async def check(database: Database) -> None:
    """See that this user may make and drop partitions: now, not on the Monday when the next one is due.

    Raises:
        Refused: the tables are another one's.
        StoreUnavailable: Postgres cannot be reached.
    """
    if foreign := await database.row("retention/foreign_tables", parents=list(TABLES)):
        raise Refused(
            f"Postgres: table {foreign['name']} is {foreign['owner']}'s, and this user may make no partitions of it:"
            " run as the user that migrated, or make this one a member of it (GRANT … TO …)"
        )


async def partitions(database: Database) -> dict[str, list[Interval]]:
    """Return the intervals that each of the tables has a partition for, oldest first.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    found: dict[str, list[Interval]] = {table: [] for table in TABLES}
    for row in await database.rows("retention/partitions", parents=list(TABLES)):
        start = dt.datetime.strptime(row["suffix"], "%Y%m%d").replace(tzinfo=dt.UTC)
        found[row["parent"]].append(Interval(start))
    return found


async def make(database: Database, *, now: dt.datetime, kept_from: dt.datetime) -> list[TablePartition]:
    """Make what is missing: for this interval and the next two, and, since *kept_from*, for what waits in the default.

    Rows that wait in the default partition move to theirs. Returns what was missing.

    Raises:
        Refused: the tables are not this user's to change.
        StoreUnavailable: Postgres cannot be reached; what was made is made.
    """
    existing = await partitions(database)
    current = containing(now)
    wanted = [current.next(n) for n in range(AHEAD + 1)]
    past = [current.next(-n) for n in range(1, (current.start - containing(kept_from).start) // LENGTH + 1)]
    made = [
        await _make(database, table, interval, only_for_rows=interval < current)
        for interval in (*wanted, *past)
        for table in TABLES
        if interval not in existing[table]
    ]
    return [one for one in made if one is not None]


async def _make(database: Database, table: str, interval: Interval, *, only_for_rows: bool) -> TablePartition | None:
    row = await _in_turn(
        database,
        "retention/make_partition",
        parent=table,
        suffix=interval.name,
        from_id=interval.from_id,
        to_id=interval.to_id,
        most=MOST_MOVED,
        only_for_rows=only_for_rows,
    )
    if row is None:
        return TablePartition(table, interval, PartitionOutcome.BUSY)
    if row["result"] in {"not_needed", "exists"}:
        return None
    return TablePartition(table, interval, PartitionOutcome(row["result"]), row["moved"])


async def drop(database: Database, interval: Interval, *, over_by: dt.datetime) -> list[TablePartition]:
    """Drop the partitions of *interval* with its deliveries, if every event in it was over by *over_by*.

    Readers and writers wait a moment at most: where a table is held, the rest is left for another time.

    Raises:
        Refused: the tables are not this user's to change.
        StoreUnavailable: Postgres cannot be reached; call again.
    """
    if await _has_keeper(database, interval, over_by):
        return [TablePartition(TABLES[0], interval, PartitionOutcome.KEPT)]
    deliveries = await _remove_deliveries(database, interval, over_by)
    dropped = []
    for table in TABLES:
        one = await _drop(database, table, interval, deliveries if table == TABLES[0] else 0)
        if one is None:
            continue
        dropped.append(one)
        if one.outcome is not PartitionOutcome.DROPPED:
            break
    return dropped


async def _drop(database: Database, table: str, interval: Interval, deliveries: int) -> TablePartition | None:
    row = await _in_turn(
        database,
        "retention/drop_partition",
        parent=table,
        suffix=interval.name,
        from_id=interval.from_id,
        to_id=interval.to_id,
    )
    if row is None:
        return TablePartition(table, interval, PartitionOutcome.BUSY)
    return (
        None
        if row["result"] == "gone"
        else TablePartition(table, interval, PartitionOutcome(row["result"]), deliveries)
    )


async def _in_turn(database: Database, statement: str, **arguments: object) -> asyncpg.Record | None:
    """Return what *statement* says, or None where another process has the turn or the table, several times."""
    for attempt in range(TRIES):
        if attempt:
            await clock.sleep(pauses.PARTITION * (1 + clock.jitter() / 2))
        with contextlib.suppress(StoreBusy):
            async with database.transaction() as connection:
                await connection.row(
                    "retention/impatient", lock_timeout=LOCK_TIMEOUT, statement_timeout=STATEMENT_TIMEOUT
                )
                row = await connection.row(statement, **arguments)
            if row is not None and row["result"] != "busy":
                return row
    return None


async def _has_keeper(database: Database, interval: Interval, over_by: dt.datetime) -> bool:
    from_id = interval.from_id
    while True:
        row = await database.row(
            "retention/keeper", from_id=from_id, to_id=interval.to_id, over_by=over_by, limit=KEEPER_STEP
        )
        assert row is not None  # noqa: S101 - an aggregate has one row
        if row["is_kept"] or row["seen"] < KEEPER_STEP:
            is_kept: bool = row["is_kept"]
            return is_kept
        from_id = row["last"]


async def _remove_deliveries(database: Database, interval: Interval, over_by: dt.datetime) -> int:
    from_id = interval.from_id
    removed: int = 0
    while True:
        row = await database.row(
            "retention/remove_deliveries", from_id=from_id, to_id=interval.to_id, over_by=over_by, limit=STEP
        )
        assert row is not None  # noqa: S101 - an aggregate has one row
        removed += row["removed"]
        if row["seen"] < STEP:
            return removed
        from_id = row["last"]


async def remove(database: Database, what: Removable, *, over_by: dt.datetime, after: dt.datetime | None) -> Removal:
    """Remove some rows of *what* that were over by *over_by*, the oldest first, beginning at *after*.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    if what is Removable.EVENTS:
        row = await database.row("retention/remove_strays", parents=list(TABLES), over_by=over_by, limit=STEP)
    else:
        row = await database.row(_REMOVALS[what], over_by=over_by, after=after, limit=STEP)
    assert row is not None  # noqa: S101 - an aggregate has one row
    return Removal(row["removed"], row["removed"] < STEP, row.get("last"))


async def guards_over_by(database: Database, over_by: dt.datetime, now: dt.datetime) -> dt.datetime | None:
    """Return by when a guard was over that may go: by *over_by*, and no record that it guards against can come again.

    Guards are rows of entitlements and invoices, and identities of events. Each covers for the others, so there is
    one time for all. None: it is not known yet how long topics keep their records, or one keeps them for ever.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    await database.rows("retention/forget_topics", over_by=over_by)
    row = await database.row("retention/topics")
    assert row is not None  # noqa: S101 - an aggregate has one row
    if not row["known"] or row["for_ever"]:
        return None
    longest: dt.timedelta = row["longest"]
    return min(over_by, now - longest)


async def remember_topics(database: Database, kept_for: Mapping[str, dt.timedelta | None]) -> None:
    """Remember for how long a record of each topic may be read again; None: for ever.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    topics, kept = columns(sorted(kept_for.items()), 2)
    await database.rows("retention/remember_topics", topics=topics, kept_for=kept)
