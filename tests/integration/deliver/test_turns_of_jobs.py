"""Resends and recoveries of one namespace, however many, do not hold up those of the others."""

from itertools import groupby

import pytest

from consumer.store import jobs
from consumer.store.history import EventFilter
from consumer.store.jobs import TooManyOpen
from tests.support.jobs import LONG_AGO, fail_all, work_off
from tests.support.stores import Store

FAILED = EventFilter(states=("FAILED",))
BATCH = 4


async def ask_many(stored: Store, namespace: str) -> str:
    """Ask for a resend of all that has failed; it is then one of *namespace*."""
    asked = await jobs.resend_many(stored.database, "default", FAILED, written="{}")
    await owned(stored, asked.job_id, namespace)
    return asked.job_id


async def owned(stored: Store, job_id: str, namespace: str) -> None:
    await stored.sql("UPDATE job SET namespace = $2 WHERE id = $1", job_id, namespace)


async def failed(stored: Store, count: int) -> list[str]:
    await stored.configure({"hook": {}, "other": {}})
    made = await stored.events(count)
    await fail_all(stored)
    await fail_all(stored, "other")
    return made


async def test_a_recovery_runs_next_to_another_namespaces_resends(stored: Store) -> None:
    await failed(stored, 12)
    for _ in range(3):
        await ask_many(stored, "busy")
    recovery = await jobs.recover(stored.database, "default", stored.ids["other"], since=LONG_AGO)

    steps = [job.id == recovery for job in await work_off(stored, BATCH)]

    assert steps[:4] == [False, True, False, True]


async def test_bulk_resends_of_namespaces_take_turns(stored: Store) -> None:
    await failed(stored, 12)
    for _ in range(3):
        await ask_many(stored, "busy")
    late = await ask_many(stored, "quiet")

    steps = [job.id == late for job in await work_off(stored, BATCH)]

    assert steps[:8] == [False, True] * 4


async def test_recoveries_of_namespaces_take_turns(stored: Store) -> None:
    await failed(stored, 12)
    for _ in range(3):
        await owned(stored, await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO), "busy")
    late = await jobs.recover(stored.database, "default", stored.ids["other"], since=LONG_AGO)
    await owned(stored, late, "quiet")

    steps = [job.id == late for job in await work_off(stored, BATCH)]

    assert steps[:4] == [False, True, False, True]


async def test_single_resends_take_turns_and_leave_some_to_the_others(stored: Store) -> None:
    events = await failed(stored, 1)
    recovery = await jobs.recover(stored.database, "default", stored.ids["other"], since=LONG_AGO)
    for _ in range(jobs.RESENDS_IN_A_ROW + 5):
        await owned(stored, await jobs.resend(stored.database, "default", events[0]), "busy")
    late = await jobs.resend(stored.database, "default", events[0])
    await owned(stored, late, "quiet")

    steps = await work_off(stored)

    assert [job.id == late for job in steps][:3] == [False, True, False]
    runs = [(is_single, len(list(run))) for is_single, run in groupby(job.id != recovery for job in steps)]
    assert runs == [(True, jobs.RESENDS_IN_A_ROW), (False, 1), (True, 6)]


async def test_bulk_resends_under_way_of_a_namespace_are_limited(stored: Store) -> None:
    await failed(stored, 1)
    for _ in range(jobs.MOST_OPEN):
        await ask_many(stored, "default")

    with pytest.raises(TooManyOpen, match=r"^10 resends by a filter are not done yet"):
        await ask_many(stored, "default")
    counted = await jobs.count_many(stored.database, "default", FAILED)
    names = await stored.one("SELECT count(*) FROM job_delivery")
    await jobs.work(stored.database)
    await stored.sql("UPDATE delivery SET state = 'FAILED', due_at = NULL, ended_at = now()")
    await ask_many(stored, "default")

    assert (counted, names) == (2, 2 * jobs.MOST_OPEN)
