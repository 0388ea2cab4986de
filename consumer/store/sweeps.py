"""What happens to deliveries without an attempt: they end, or become due, as their channel changes or time passes."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from consumer.decide.verdict import FREE_INTERRUPTIONS
from consumer.store.database import Database

SWEEP_LIMIT: Final = 1000  # rows of one statement of the sweep: short locks
HOLD_LIMIT: Final = 500  # of those that wait for another, looked at in a second: 2 ms
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


class Place(Struct, frozen=True):
    """How far `hold` has come: the event and the channel of the last one it looked at."""

    event: str = ""
    channel: str = ""


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
    counted: Counter[tuple[str, str]] | None = None,
) -> int:
    """End what no attempt will end, of *ids* or of some of all but *but*; return how many; count them in *counted*.

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
    if counted is not None:
        counted.update((row["state"], _reason(row["state"], row["reason"])) for row in rows)
    return len(rows)


def _reason(state: str, reason: str | None) -> str:
    """Return why it ended, as it is counted: the row says it only where no attempt does."""
    return "answered" if state == "SUCCESS" else reason or "attempts"


async def hold(database: Database, after: Place) -> tuple[Place, bool]:
    """Look at the deliveries that wait for another, some after *after*: whether each is rightly due, or not.

    Returns where to go on, and whether something is due now that was not.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    row = await database.row("sweeps/hold", event=after.event, channel=after.channel, limit=HOLD_LIMIT)
    assert row is not None  # noqa: S101 - an aggregate has one row
    return Place(row["event"] or "", row["channel"] or ""), row["is_freeing"]


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
