"""The drain's deadline, wherever it meets a delivery: what was not sent is handed back, and waits for no lease."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from consumer import clock
from consumer.deliver.dispatch import Dispatch
from consumer.store import outbox
from tests.integration.consume.test_kept import deliverer
from tests.integration.deliver.test_bodies_kept import FAILING, WAITING, keeping_waits
from tests.integration.deliver.test_deliverers import holding, until
from tests.support.stores import Store

HANDED_BACK = ("PENDING", None, 0)
NOT_YET = "SELECT state, token, attempts FROM delivery"


@contextlib.asynccontextmanager
async def channels_wait(stored: Store) -> AsyncIterator[None]:
    """Let each statement that would read a channel wait."""
    connection = await asyncpg.connect(stored.url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE channel IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def stopped(dispatch: Dispatch) -> asyncio.Task[None]:
    """Let the drain's deadline come; return the drain once nothing is attempted any more."""
    drain = asyncio.create_task(dispatch.drain(clock.monotonic()), name="drain")
    while attempting := {task for task in asyncio.all_tasks() if task.get_name() == "deliver"}:
        await asyncio.wait(attempting)
    return drain


async def test_what_waits_for_its_body_is_handed_back(stored: Store) -> None:
    await stored.configure({"hook": {"format": "flat"}})
    await stored.events(3)
    dispatch = deliverer(stored).dispatch

    async with keeping_waits(stored):
        await dispatch.once(asyncio.Event())
        await until(stored, WAITING)
        drain = await stopped(dispatch)
    await drain

    assert await stored.sql(NOT_YET) == [HANDED_BACK] * 3


async def test_what_is_being_handed_back_is_so(stored: Store) -> None:
    await stored.configure({"hook": {"format": "flat"}})
    (event,) = await stored.events(1)
    await stored.sql(FAILING % event)
    await stored.sql("CREATE TRIGGER fails BEFORE INSERT ON rendered FOR EACH ROW EXECUTE FUNCTION fail()")
    dispatch = deliverer(stored).dispatch

    async with contextlib.AsyncExitStack() as hold:
        async with keeping_waits(stored):
            await dispatch.once(asyncio.Event())
            await until(stored, WAITING)
            await hold.enter_async_context(holding(stored, event))
        await until(stored, WAITING + " AND query LIKE '%slot_until%'")
        drain = await stopped(dispatch)
    await drain

    assert await stored.sql(NOT_YET) == [HANDED_BACK]


async def test_what_waits_for_a_look_at_its_channel_is_handed_back(stored: Store) -> None:
    await stored.configure({"hook": {"format": "flat"}})
    await stored.events(3)
    dispatch = deliverer(stored).dispatch

    async with contextlib.AsyncExitStack() as hold:
        async with keeping_waits(stored):
            await dispatch.once(asyncio.Event())
            await until(stored, WAITING)
            dispatch.looks.set()
            await hold.enter_async_context(channels_wait(stored))
        await until(stored, WAITING)
        drain = await stopped(dispatch)
    await drain

    assert await stored.sql(NOT_YET) == [HANDED_BACK] * 3


async def test_what_is_written_after_the_deadline_is_handed_back(stored: Store) -> None:
    await stored.configure({"hook": {}})
    dispatch, stop = deliverer(stored).dispatch, asyncio.Event()
    stop.set()
    await dispatch.run(stop)

    with dispatch.reserve({("default", stored.ids["hook"]): 1}) as kept:
        drain = asyncio.create_task(dispatch.drain(clock.monotonic()))
        await asyncio.wait({drain}, timeout=0.2)
        (written,) = await outbox.write(stored.database, [stored.change(1)], kept.reserved)
        leased = await stored.one("SELECT count(*) FROM delivery WHERE token IS NOT NULL")
        kept.start(written.leased)
    await drain

    assert leased == 1
    assert await stored.sql("SELECT token, attempts FROM delivery") == [(None, 0)]


async def test_leases_that_run_out_are_said(stored: Store, caplog: pytest.LogCaptureFixture) -> None:
    await stored.configure({"hook": {"format": "flat"}})
    await stored.events(3)
    dispatch = deliverer(stored).dispatch

    async with keeping_waits(stored):
        await dispatch.once(asyncio.Event())
        await until(stored, WAITING)
        async with channels_wait(stored):
            await (await stopped(dispatch))

    said = [vars(one)["fields"] for one in caplog.records if one.getMessage() == "deliver.not_handed_back"]
    assert [one["deliveries"] for one in said] == [3]
