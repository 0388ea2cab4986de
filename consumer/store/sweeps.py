"""What happens to deliveries without an attempt: they end, or become due, as their channel changes or time passes."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
from msgspec import Struct

from consumer.decide.verdict import FREE_INTERRUPTIONS
from consumer.store.database import Database
from consumer.store.deliveries import read_record
from schemas.tracing import Traced

SWEEP_LIMIT: Final = 1000  # rows of one statement of the sweep: short locks
HOLD_LIMIT: Final = 500  # of those that wait for another, looked at by one statement: 2 ms
HELD_SETTLED_AFTER: Final = dt.timedelta(
    seconds=2
)  # what is held, and what ends as it is written, is committed by then
SETTLED_AFTER: Final = dt.timedelta(minutes=1)  # what is written while its channel is disabled is committed by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """When a delivery ends without an answer.

    Attributes:
        longest_round: none lives longer than that of a round.
        steps: of the service's schedule, for channels without one: as often may its senders die, and
            `FREE_INTERRUPTIONS` times more.
    """

    longest_round: dt.timedelta
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A channel that was disabled, or has a new URL, not long ago.

    Attributes:
        is_hurried: what waits for its next attempt is to be due now.
        may_be_settled: it is enabled again, and long enough that no delivery of before is still to come.
    """

    id: str
    revision: int
    is_hurried: bool
    may_be_settled: bool


class Swept(Struct, frozen=True):
    """A delivery that was ended.

    Attributes:
        reason: why, as it is counted: the row says it only where no attempt does.
    """

    event_id: str
    rule_id: str
    rule_key: str | None
    rule_name: str
    channel_id: str
    channel_key: str | None
    channel_name: str
    state: str
    reason: str
    record: Traced | None


class HoldCursor(Struct, frozen=True):
    """How far `hold` has come.

    Attributes:
        event: of the last one that its walk looked at; empty: the walk begins.
        channel: likewise.
        since: when the newest one was held that was looked at as new; None: none yet.
        since_id: its id.
    """

    event: str = ""
    channel: str = ""
    since: dt.datetime | None = None
    since_id: int = 0


async def over(database: Database, ends: Ends, *, but: Sequence[int] = ()) -> list[int]:
    """Return ids of some deliveries that no attempt will end, without *but*: at most `SWEEP_LIMIT`.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows(
        "sweeps/over",
        longest_round=ends.longest_round,
        steps=ends.steps,
        free_interruptions=FREE_INTERRUPTIONS,
        limit=SWEEP_LIMIT,
        but=but,
    )
    return [row["id"] for row in rows]


async def sweep(
    database: Database,
    ends: Ends,
    *,
    ids: Sequence[int] | None = None,
    but: Sequence[int] = (),
    swept: list[Swept] | None = None,
) -> int:
    """End what no attempt will end, of *ids* or of some of all but *but*; return how many; add them to *swept*.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
        StoreFailed, DataRefused: for one of them, perhaps; none was ended.
    """
    found = await over(database, ends, but=but) if ids is None else ids
    if not found:
        return 0
    rows = await database.rows(
        "sweeps/sweep",
        ids=found,
        longest_round=ends.longest_round,
        steps=ends.steps,
        free_interruptions=FREE_INTERRUPTIONS,
    )
    if swept is not None:
        swept += [_swept(row) for row in rows]
    return len(rows)


def _swept(row: asyncpg.Record) -> Swept:
    reason = "answered" if row["state"] == "SUCCESS" else row["reason"] or "attempts"
    rule = {name: row[name] or "" for name in ("rule_id", "rule_name")}
    return Swept(**dict(row) | rule | {"reason": reason, "record": read_record(row["record"])})


async def hold(database: Database, after: HoldCursor) -> tuple[HoldCursor, bool]:
    """Look at the deliveries that wait for another, some after *after*: whether each is rightly due, or not.

    And at what has come to wait since, each once, `HELD_SETTLED_AFTER` later. Returns where to go on, and whether
    something is due now that was not.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    row = await database.row(
        "sweeps/hold",
        event=after.event,
        channel=after.channel,
        since=after.since,
        since_id=after.since_id,
        settled=HELD_SETTLED_AFTER,
        limit=HOLD_LIMIT,
    )
    assert row is not None  # noqa: S101 - an aggregate has one row
    return HoldCursor(row["event"] or "", row["channel"] or "", row["since"], row["since_id"]), row["is_freeing"]


async def changed_channels(database: Database) -> list[Changed]:
    """Return the channels that may have deliveries of before a change: none, mostly.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows("sweeps/changed_channels", settled_after=SETTLED_AFTER, limit=SWEEP_LIMIT)
    return [Changed(**dict(row)) for row in rows]


async def hurry(database: Database, channel: Changed) -> int:
    """Make due now what waits for its next attempt there, at most `SWEEP_LIMIT`; return how many.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    row = await database.row("sweeps/hurry", channel=channel.id, revision=channel.revision, limit=SWEEP_LIMIT)
    return 0 if row is None else int(row["hurried"])


async def settle(database: Database, channel: Changed) -> None:
    """Forget when *channel* was disabled, if no round of before is open there any more.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    await database.rows("sweeps/settle", channel=channel.id, revision=channel.revision)
