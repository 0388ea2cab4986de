"""Resends and recoveries, worked off here and now."""

import datetime as dt

from consumer.decide.verdict import GiveUp
from consumer.store import jobs
from consumer.store.jobs import JobRotation, StoredJob
from tests.support.stores import Store, ended

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


async def work_off(stored: Store, batch: int = jobs.BATCH) -> list[StoredJob]:
    """Work until nothing is left; return each step's job."""
    steps, rotation = [], JobRotation()
    while job := await jobs.work(stored.database, batch=batch, rotation=rotation):
        steps.append(job)
    return steps


async def fail_all(stored: Store, key: str = "hook") -> None:
    claimed = await stored.claim(key, 10_000)
    await stored.record(*(ended(one, 500, GiveUp()) for one in claimed))


async def state(stored: Store, event_id: str, key: str = "hook") -> tuple[object, ...]:
    columns = "state, round, attempts, step, reason, never_expires, resend_asked"
    (row,) = await stored.sql(
        f"SELECT {columns} FROM delivery WHERE event_id = $1 AND channel_id = $2",  # noqa: S608 - our own names
        event_id,
        stored.ids[key],
    )
    return row
