"""How channels fare: what follows from a run of failed attempts, written if that is still as it was judged."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from consumer.decide.breaker import Run
from consumer.store.database import Database

SHOWN: Final = 100  # a series each: an outage of ours, in which all channels fail, must not make thousands


async def open_breakers(database: Database, pauses: Sequence[tuple[Run, dt.timedelta]]) -> frozenset[str]:
    """Let each run's channel send nothing for its pause, then one probe; return those of which that was yet to be done.

    Raises:
        StoreUnavailable: no answer came; the next failure is judged again.
        StoreFailed, DataRefused: for one of them, perhaps; none was opened.
    """
    rows = await database.rows(
        "paces/open",
        channels=[run.channel_id for run, _ in pauses],
        opened=[run.opened for run, _ in pauses],
        downs=[run.downs for run, _ in pauses],
        pauses=[pause for _, pause in pauses],
    )
    return frozenset(row["channel_id"] for row in rows)


async def disable(database: Database, run: Run, reason: str) -> bool:
    """Disable *run*'s channel for Tollbell, with *reason*; return whether that was still to be done.

    Raises:
        StoreUnavailable: Postgres did not answer; the next failure is judged again.
    """
    rows = await database.rows(
        "paces/disable", channel_id=run.channel_id, failing_since=run.failing_since, reason=reason
    )
    return bool(rows)


async def failing(database: Database) -> list[str]:
    """Return the channels that may send and whose last attempts have failed: at most `SHOWN`, those that do longest.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    return [row["channel_id"] for row in await database.rows("paces/failing", limit=SHOWN)]
