"""The drain's deadline, wherever it meets a delivery: what was not sent is handed back, and waits for no lease."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from consumer import clock
from consumer.deliver import dispatch as dispatches
from consumer.deliver.dispatch import Dispatch
from consumer.store import outbox
from tests.conftest import MakeDeployment, Produce
from tests.integration.consume.test_kept import deliverer
from tests.integration.deliver.test_bodies_kept import FAILING, WAITING, keeping_waits
from tests.integration.deliver.test_deliverers import holding, until
from tests.support.factories import native_record
from tests.support.fakes import Receiver
from tests.support.stores import KEY, Store

HANDED_BACK = ("PENDING", None, 0)
CHANNELS = "LOCK TABLE channel IN ACCESS EXCLUSIVE MODE"  # to read one waits
EVENTS = "LOCK TABLE event IN EXCLUSIVE MODE"  # to make one waits
OTHERS = "SELECT 1 FROM delivery WHERE channel_id <> $1 FOR UPDATE"
NOT_YET = "SELECT state, token, attempts FROM delivery"


@contextlib.asynccontextmanager
async def locked(stored: Store, statement: str, *arguments: object) -> AsyncIterator[None]:
    """Hold the locks that *statement* takes, so that who wants them waits."""
    connection = await asyncpg.connect(stored.url)
    try:
        async with connection.transaction():
            await connection.execute(statement, *arguments)
            yield
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def waiting_for_bodies(stored: Store, dispatch: Dispatch) -> AsyncIterator[None]:
    """Have what is due claimed; all of it waits for its body."""
    async with keeping_waits(stored):
        await dispatch.once(asyncio.Event())
        await until(stored, WAITING)
        yield


async def three_due(stored: Store) -> Dispatch:
    """Make three deliveries whose bodies are made for them, and who is to send them."""
    await stored.configure({"hook": {"format": "flat"}})
    await stored.events(3)
    return deliverer(stored).dispatch


async def stopped(dispatch: Dispatch) -> asyncio.Task[None]:
    """Let the drain's deadline come; return the drain once nothing is attempted any more."""
    drain = asyncio.create_task(dispatch.drain(clock.monotonic()), name="drain")
    while attempting := {task for task in asyncio.all_tasks() if task.get_name() == "deliver"}:
        await asyncio.wait(attempting)
    return drain


async def test_what_waits_for_its_body_is_handed_back(stored: Store) -> None:
    dispatch = await three_due(stored)

    async with waiting_for_bodies(stored, dispatch):
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
        async with waiting_for_bodies(stored, dispatch):
            await hold.enter_async_context(holding(stored, event))
        await until(stored, WAITING + " AND query LIKE '%slot_until%'")
        drain = await stopped(dispatch)
    await drain

    assert await stored.sql(NOT_YET) == [HANDED_BACK]


async def test_what_waits_for_a_look_at_its_channel_is_handed_back(stored: Store) -> None:
    dispatch = await three_due(stored)

    async with contextlib.AsyncExitStack() as hold:
        async with waiting_for_bodies(stored, dispatch):
            dispatch.looks.set()
            await hold.enter_async_context(locked(stored, CHANNELS))
        await until(stored, WAITING)
        drain = await stopped(dispatch)
    await drain

    assert await stored.sql(NOT_YET) == [HANDED_BACK] * 3


async def test_what_is_written_before_the_deadline_is_sent(stored: Store) -> None:
    await stored.configure({"hook": {}})
    dispatch, stop = deliverer(stored).dispatch, asyncio.Event()
    stop.set()
    await dispatch.run(stop, clock.monotonic)

    with dispatch.reserve({("default", stored.ids["hook"]): 1}) as kept:
        drain = asyncio.create_task(dispatch.drain(clock.monotonic() + 20))
        # Meanwhile a drain that waits for no writer asks Postgres nothing, and comes to where nothing is started.
        (written,) = await outbox.write(stored.database, [stored.change(1)], kept.reserved)
        kept.start(written.leased)
        sending = [task for task in asyncio.all_tasks() if task.get_name() == "deliver"]
    for task in (drain, *sending):
        task.cancel()
    await asyncio.wait({drain, *sending})

    assert (len(written.leased), len(sending)) == (1, 1)


async def test_what_is_written_after_the_deadline_is_handed_back(stored: Store) -> None:
    await stored.configure({"hook": {"format": "flat"}})
    await stored.events(1)
    dispatch, stop = deliverer(stored).dispatch, asyncio.Event()
    stop.set()
    await dispatch.run(stop, clock.monotonic)

    with dispatch.reserve({("default", stored.ids["hook"]): 1}) as kept:
        async with waiting_for_bodies(stored, dispatch):
            drain = await stopped(dispatch)
        (written,) = await outbox.write(stored.database, [stored.change(2)], kept.reserved)
        kept.start(written.leased)
    await drain

    assert len(written.leased) == 1
    assert await stored.sql(NOT_YET) == [HANDED_BACK] * 2


async def test_a_stop_does_not_wait_for_a_claim_that_hangs(
    stored: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver gives it up after 30 s, and Kubernetes kills before that."""
    monkeypatch.setattr(dispatches, "ANSWER_TIMEOUT", 0.1)
    await stored.configure({"hook": {}})
    await stored.events(1)
    dispatch, stop = deliverer(stored).dispatch, asyncio.Event()

    async with locked(stored, CHANNELS):
        running = asyncio.create_task(dispatch.run(stop, clock.monotonic))
        await until(stored, WAITING)
        stop.set()
        async with asyncio.timeout(10):
            await running
            await dispatch.drain(clock.monotonic())

    assert "deliver.claim_given_up" in [one.getMessage() for one in caplog.records]


async def test_a_record_that_waits_keeps_no_lease(stored: Store, deploy: MakeDeployment, receiver: Receiver) -> None:
    """Nor does a connection that hangs: what is known to be unsent is handed back before all is recorded."""
    hook, flat = {"url": receiver.url()}, {"url": receiver.url(), "format": "flat"}
    await stored.configure({"hook": hook, "flat": flat})
    receiver.hold()
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_DRAIN_TIMEOUT="0s")

    async with keeping_waits(stored), await deployment.replica("--only", "deliver") as replica:
        await stored.events(1)
        await receiver.wait_for(1)
        await until(stored, WAITING)
        async with locked(stored, OTHERS, stored.ids["flat"]):
            stopping = asyncio.create_task(replica.terminate())
            await until(stored, "SELECT count(*) = 1 FROM delivery WHERE token IS NULL", seconds=20)
        assert await stopping == 0

    assert await stored.sql("SELECT outcome FROM attempt") == [("interrupted",)]


async def test_a_batch_is_written_before_a_drain_of_no_time_ends(
    stored: Store, deploy: MakeDeployment, produce: Produce
) -> None:
    """Cancelled while Postgres commits it, it would leave leases of which no one knows."""
    await stored.configure({"hook": {}})
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_DRAIN_TIMEOUT="0s")

    async with await deployment.replica("--only", "consume,deliver") as replica:
        await replica.ready()
        await replica.serves(1)
        async with locked(stored, EVENTS):
            await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))
            await until(stored, WAITING)
            stopping = asyncio.create_task(replica.terminate())
            await replica.logged("app.stopping")
        assert await stopping == 0

    assert await stored.sql("SELECT token, attempts FROM delivery") == [(None, 0)]


async def test_leases_that_run_out_are_said(stored: Store, caplog: pytest.LogCaptureFixture) -> None:
    dispatch = await three_due(stored)

    async with waiting_for_bodies(stored, dispatch), locked(stored, CHANNELS):
        await (await stopped(dispatch))

    said = [vars(one)["fields"] for one in caplog.records if one.getMessage() == "deliver.not_handed_back"]
    assert [one["deliveries"] for one in said] == [3]
