"""Resends and recoveries go a retention after they ended, and not before."""

import asyncio
import datetime as dt

import asyncpg
import pytest

from consumer import ids
from consumer.metrics import Metrics
from consumer.store import jobs, retention
from consumer.store.retention import Removable
from tests.support.partitions import DAY, KEEP, duty
from tests.support.stores import Store


async def job(stored: Store, state: str, *, asked: dt.datetime, ended: dt.datetime | None = None) -> str:
    """Make a recovery that was asked for then, and ended then or is open."""
    made = ids.new()
    await stored.sql(
        "INSERT INTO job (id, namespace, kind, channel_id, since, state, total, created_at, ended_at)"
        " VALUES ($1, 'default', 'recover', 'c', $3, $2, 1, $3, $4)",
        made,
        state,
        asked,
        ended,
    )
    return made


async def left(stored: Store) -> set[str]:
    return {row[0] for row in await stored.sql("SELECT id FROM job")}


async def test_a_job_goes_a_retention_after_its_end_however_it_ended(stored: Store) -> None:
    now = await stored.database.now()
    long_ago, then = now - KEEP - DAY, now - KEEP + DAY
    over = [await job(stored, state, asked=long_ago, ended=long_ago) for state in ("DONE", "STOPPED")]
    kept = {
        await job(stored, "DONE", asked=long_ago, ended=then),
        await job(stored, "WAITING", asked=long_ago),
        await job(stored, "RUNNING", asked=long_ago),
    }
    metrics = Metrics()

    await duty(stored.database, metrics).once()

    assert await left(stored) == kept
    assert [await jobs.get(stored.database, "default", one) for one in over] == [None, None]
    assert metrics.registry.get_sample_value("tollbell_retention_removed_total", {"what": "job"}) == 2


async def test_jobs_go_in_steps_the_oldest_first(stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP", 3)
    now = await stored.database.now()
    made = [await job(stored, "DONE", asked=now - 200 * DAY, ended=now - (100 - n) * DAY) for n in range(7)]

    after, steps = None, []
    for _ in range(3):
        step = await retention.remove(stored.database, Removable.JOBS, over_by=now - KEEP, after=after)
        steps.append((step.removed, step.is_last, await left(stored)))
        after = step.after

    assert steps == [(3, False, set(made[3:])), (3, False, set(made[6:])), (1, True, set())]


async def test_a_held_job_is_skipped_by_retention(stored: Store) -> None:
    now = await stored.database.now()
    over = await job(stored, "DONE", asked=now - 200 * DAY, ended=now - 200 * DAY)
    holder = await asyncpg.connect(stored.url)
    async with holder.transaction(), asyncio.timeout(20):
        await holder.execute("SELECT FROM job FOR UPDATE")
        await duty(stored.database).once()
        held = await left(stored)
    await holder.close()

    await duty(stored.database).once()

    assert held == {over}
    assert await left(stored) == set()
