"""Resends and recoveries: asked for by people, durable, worked off by any deliverer, none of it twice."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, assert_never, get_args

import asyncpg

from consumer import ids
from consumer.errors import Refused
from consumer.store.database import Database
from consumer.store.history import EventFilter
from consumer.store.intervals import lowest_id

CHANNEL: Final = "tollbell_jobs"  # of LISTEN and NOTIFY
BATCH: Final = 500  # deliveries of one statement: short locks, and little to do again
MOST_AT_ONCE: Final = 100_000  # deliveries of a resend by a filter: found and named in one statement
MOST_OPEN: Final = 10  # resends by a filter of a namespace that are not done: each has a row for each delivery
RESENDS_IN_A_ROW: Final = 20  # of single events, each a few rows, before a part of five hundred of another kind
JobKind = Literal["resend", "resend_many", "recover"]
KINDS: Final[tuple[JobKind, ...]] = get_args(JobKind)
_COUNT_ALONE: Final = -1  # expected: nothing is asked for


class NoneLeft(Refused):
    """No channel is left to send an event to."""


class OtherCount(Refused):
    """Not as many deliveries as were expected."""


class TooManyOpen(Refused):
    """A namespace has as many resends by a filter under way as it may."""


class JobState(StrEnum):
    """How far a job is."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job as it stands.

    Attributes:
        id: its own.
        kind: what is done: an event sent again, many by a filter, or a channel recovered.
        state: WAITING, RUNNING, DONE, or STOPPED for *reason*.
        reason: why it was stopped: `channel_disabled` or `channel_deleted`.
        event_id: of a resend.
        channel_id: of a recovery.
        total: deliveries there were to send again when it was asked for.
        done: deliveries that have begun a new round. Fewer than *total* in the end where some needed none any more.
        created_at: when it was asked for.
        started_at: when a deliverer first worked on it.
        ended_at: when it was done or stopped. The deliveries themselves may still be under way.
        filter: of a resend of many, what was asked for, as JSON.
    """

    id: str
    kind: JobKind
    state: JobState
    reason: str | None
    event_id: str | None
    channel_id: str | None
    total: int
    done: int
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    filter: str | None = None


async def resend(
    database: Database,
    namespace: str,
    event_id: str,
    *,
    channels: Sequence[str] | None = None,
    job_id: str | None = None,
) -> str:
    """Ask that an event be sent again; return the job's id.

    Each delivery begins a new round, exempt from its channel's `expireAfter`; one in flight when its attempt has ended.

    Args:
        database: where to.
        namespace: of the event.
        event_id: the event.
        channels: ids, each of those that the event's rule has now or that got it; None: all of them that are enabled.
        job_id: the job's; None: a new one.

    Raises:
        Refused: the event is not there, or a channel named is none of these, deleted or disabled. Nothing was asked.
        NoneLeft: none of its channels is there any more and enabled. Nothing was asked.
        DataRefused: there is a job of this id. Nothing was asked.
        StoreUnavailable: Postgres did not answer; whether it was asked is unknown.
    """
    named = None if channels is None else sorted(set(channels))
    row = await database.row(
        "jobs/ask_resend", id=job_id or ids.new(), namespace=namespace, event_id=event_id, channels=named
    )
    assert row is not None  # noqa: S101 - a SELECT of values has one row
    if not row["is_known"]:
        raise Refused(f"event {event_id}: is not there")
    if row["wrong"]:
        raise Refused("; ".join(f"channel {wrong}" for wrong in row["wrong"]))
    if row["id"] is None:
        raise NoneLeft(f"event {event_id}: none of its channels is there any more, or enabled")
    made: str = row["id"]
    return made


@dataclass(frozen=True, slots=True)
class BulkResend:
    """A resend of many: the job's id, and how many deliveries it sends again."""

    job_id: str
    total: int


async def resend_many(
    database: Database,
    namespace: str,
    wanted: EventFilter,
    *,
    written: str,
    expected: int | None = None,
    job_id: str | None = None,
) -> BulkResend:
    """Ask that every delivery be sent again that has ended in one of `wanted.states`, and fits the rest of *wanted*.

    Of channels that are there and enabled; at most `MOST_AT_ONCE`. Each begins a new round, exempt from its channel's
    `expireAfter`. Which ones is settled now: what ends later is not among them.

    Args:
        database: where to.
        namespace: of the events.
        wanted: the filter; its page is not looked at.
        written: the filter as it was asked for, as JSON: for people.
        expected: how many there must be; None: however many.
        job_id: the job's; None: a new one.

    Raises:
        NoneLeft: there is none. Nothing was asked.
        OtherCount: there are not as many as *expected*, or more than `MOST_AT_ONCE`. Nothing was asked.
        TooManyOpen: `MOST_OPEN` of the namespace are not done. Nothing was asked.
        DataRefused: there is a job of this id. Nothing was asked.
        StoreUnavailable: Postgres did not answer; whether it was asked is unknown.
    """
    row = await _ask_many(database, namespace, wanted, written, expected, job_id)
    if row["total"] == 0:
        raise NoneLeft("no delivery matches, of a channel that is there and enabled")
    if row["total"] > MOST_AT_ONCE:
        raise OtherCount(f"more than {MOST_AT_ONCE} deliveries match: ask for fewer, such as those of a shorter time")
    if row["undone"] >= MOST_OPEN:
        raise TooManyOpen(f"{row['undone']} resends by a filter are not done yet: try again when one is")
    if row["id"] is None:
        raise OtherCount(f"{row['total']} deliveries match now, not {expected}")
    return BulkResend(row["id"], row["total"])


async def count_many(database: Database, namespace: str, wanted: EventFilter) -> int:
    """Return how many deliveries `resend_many` would send again, up to one more than `MOST_AT_ONCE`.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    total: int = (await _ask_many(database, namespace, wanted, "{}", _COUNT_ALONE))["total"]
    return total


async def _ask_many(
    database: Database,
    namespace: str,
    wanted: EventFilter,
    written: str,
    expected: int | None,
    job_id: str | None = None,
) -> asyncpg.Record:
    async with database.transaction() as connection:
        await connection.rows("history/own_plan")
        row = await connection.row(
            "jobs/ask_resend_many",
            id=job_id or ids.new(),
            namespace=namespace,
            filter=written,
            expected=expected,
            most=MOST_AT_ONCE,
            most_open=MOST_OPEN,
            states=list(wanted.states),
            channels=list(wanted.channels) or None,
            from_id=lowest_id(wanted.since) if wanted.since else None,
            to_id=lowest_id(wanted.until) if wanted.until else None,
            rules=list(wanted.rules) or None,
            types=list(wanted.types) or None,
            subjects=list(wanted.subjects) or None,
            features=list(wanted.features) or None,
            customer=wanted.customer,
        )
    assert row is not None  # noqa: S101 - a SELECT of values has one row
    return row


async def recover(
    database: Database,
    namespace: str,
    channel_id: str,
    *,
    since: dt.datetime,
    until: dt.datetime | None = None,
    job_id: str | None = None,
) -> str:
    """Ask that what a channel has not got be sent again: of events created since a time, and before *until*, if given.

    That is what has FAILED, in the order of events, and then what waits for its next attempt; not what is in flight, or
    waits for another delivery. It is not exempt from the channel's `expireAfter`. What fails after the asking is not
    among them. Returns the job's id: *job_id*, where it is given.

    Raises:
        Refused: the channel is not there, deleted or disabled. Nothing was asked.
        DataRefused: there is a job of this id. Nothing was asked.
        StoreUnavailable: Postgres did not answer; whether it was asked is unknown.
    """
    row = await database.row(
        "jobs/ask_recover",
        id=job_id or ids.new(),
        namespace=namespace,
        channel_id=channel_id,
        since=since,
        since_id=lowest_id(since),
        until=until,
        until_id=None if until is None else lowest_id(until),
    )
    assert row is not None  # noqa: S101 - a SELECT of values has one row
    if row["id"] is None:
        raise Refused(f"channel {channel_id}: {row['wrong']}")
    made: str = row["id"]
    return made


async def get(database: Database, namespace: str, job_id: str) -> StoredJob | None:
    """Return a job of *namespace*, or None.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    row = await database.row("jobs/get", id=job_id, namespace=namespace)
    return None if row is None else _job(row)


async def page(
    database: Database,
    namespace: str,
    *,
    states: Sequence[str] | None = None,
    channels: Sequence[str] | None = None,
    limit: int,
    offset: int,
) -> tuple[list[StoredJob], int]:
    """Return a page of the jobs of *namespace*, the newest first, and how many there are.

    Args:
        database: where.
        namespace: whose.
        states: in one of these; None: any.
        channels: recoveries of one of these channels, by id; None: all jobs.
        limit: of the page.
        offset: of the page.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    which = {"namespace": namespace, "states": states, "channels": channels}
    rows = await database.rows("jobs/page", **which, limit=limit, offset=offset)
    (count,) = await database.rows("jobs/count", **which)
    return [_job(row) for row in rows], count["total"]


class JobRotation:
    """Whose job is worked on next: kinds take turns, and of each kind the namespaces do. Each process has its own.

    So what one namespace asks for, however much, holds up no other one's for longer than a part of each. Of single
    events, some are sent again in a row: they are small, and a person waits for each.
    """

    def __init__(self) -> None:
        self._after: dict[JobKind, str] = dict.fromkeys(KINDS, "")  # in the order of their turns
        self._in_a_row = 0

    @property
    def turns(self) -> Mapping[JobKind, str]:
        """The kinds in the order of their turns, each with the namespace that had the last one."""
        return self._after

    def had(self, kind: JobKind, namespace: str) -> None:
        """Take note that a part of a job of *kind* of *namespace* was done."""
        self._after[kind] = namespace
        self._in_a_row = self._in_a_row + 1 if kind == "resend" else 0
        if kind != "resend" or self._in_a_row >= RESENDS_IN_A_ROW:
            self._after[kind] = self._after.pop(kind)  # to the end
            self._in_a_row = 0


async def work(
    database: Database, *, batch: int = BATCH, but: Sequence[str] = (), rotation: JobRotation | None = None
) -> StoredJob | None:
    """Do a part of the job whose turn it is by *rotation*, or nothing.

    Jobs that another process works on, and those of *but*, are passed over. Safe to call from any number of processes,
    and to be killed in.

    Raises:
        StoreUnavailable: Postgres did not answer; the part is done whole or not at all.
        StoreFailed, DataRefused: for the sake of `oldest`, perhaps; nothing was done.
    """
    rotation = rotation or JobRotation()
    for kind, after in rotation.turns.items():
        row = await _part(database, kind, batch, but=but, after=after)
        if row is None and after:  # once around
            row = await _part(database, kind, batch, but=but, after="")
        if row is not None:
            made: dict[str, Any] = dict(row)
            rotation.had(kind, made.pop("namespace"))
            return _job(made)
    return None


async def _part(
    database: Database, kind: JobKind, batch: int, *, but: Sequence[str], after: str
) -> asyncpg.Record | None:
    match kind:
        case "resend":
            return await database.row("jobs/resend", but=but, after=after)
        case "resend_many":
            return await database.row("jobs/resend_many", limit=batch, but=but, after=after)
        case "recover":
            return await database.row("jobs/recover", limit=batch, but=but, after=after)
        case _:
            assert_never(kind)


async def oldest(database: Database, *, but: Sequence[str] = (), rotation: JobRotation | None = None) -> str | None:
    """Return the id of the job that `work` takes first; None: there is none.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    turns = (rotation or JobRotation()).turns
    row = await database.row("jobs/oldest", but=but, kinds=list(turns), after=list(turns.values()))
    return None if row is None else row["id"]


def _job(row: Mapping[str, Any] | asyncpg.Record) -> StoredJob:
    return StoredJob(**{**dict(row), "state": JobState(row["state"])})
