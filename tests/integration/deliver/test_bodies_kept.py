"""Bodies that are made for a format are kept before they are sent: of many in one statement, the first one for all."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import asyncpg

from consumer import clock
from consumer.deliver.bodies import Bodies
from consumer.deliver.keeping import MOST_BYTES, Keeper
from consumer.errors import StoreFailed, StoreUnavailable
from consumer.formats.template import read_template
from consumer.store import rendered
from consumer.store.database import Database
from consumer.store.rendered import Body
from tests.conftest import MakeDeployment
from tests.integration.deliver.test_deliverers import ALL_ARRIVED, deliverer, hook, until
from tests.support.fakes import Receiver
from tests.support.stores import KEY, Store

KEEP = "rendered/keep"
WAITING = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
END_WAITING = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
COSTLY = {"format": "template", "template": ["{{ ('Σ' * 1500)|lower|length }}"] * 200}  # 15 ms
FAILING = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.event_id = '%s' THEN RAISE EXCEPTION 'no'; END IF;
        RETURN NEW;
    END $$
"""


@contextlib.asynccontextmanager
async def counted(stored: Store) -> AsyncIterator[tuple[Database, list[str]]]:
    """A pool of its own, and the statements that it has run."""
    ran: list[str] = []
    database = await Database.connect(stored.url, size=4, took=lambda name, _: ran.append(name))
    yield database, ran
    await database.close()


@contextlib.asynccontextmanager
async def keeping_waits(stored: Store) -> AsyncIterator[None]:
    """Let each statement that would keep a body wait."""
    connection = await asyncpg.connect(stored.url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE rendered IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def test_a_large_template_is_parsed_once_and_in_a_thread(stored: Store) -> None:
    text = "{{ " + " ~ ".join(["data.a"] * 32) + " }}"  # long to read; and never rendered, as no event has this
    template = {"a": {"when": "data.nothing is defined", "value": [text] * 199}}
    await stored.configure({"hook": {"format": "template", "template": template}})
    await stored.events(8)
    claimed = await stored.claim("hook", 8)
    began = time.process_time()
    read_template(template)
    once = time.process_time() - began

    bodies, by_thread, by_process = Bodies(stored.database), time.thread_time(), time.process_time()
    prepared = await asyncio.gather(*(bodies.prepared(one) for one in claimed))
    here, all_of_it = time.thread_time() - by_thread, time.process_time() - by_process

    assert [one.rendered for one in prepared if one is not None] == [b"{}"] * 8
    assert here < once / 2
    assert all_of_it < once * 4


async def test_bodies_of_one_claim_are_kept_by_one_statement(stored: Store) -> None:
    await stored.configure({"hook": {"format": "flat"}, "other": {"format": "flat"}})
    await stored.events(20)
    claimed = [*await stored.claim("hook", 20), *await stored.claim("other", 20)]

    async with counted(stored) as (database, ran):
        bodies = Bodies(database)
        prepared = await asyncio.gather(*(bodies.prepared(one) for one in claimed))

    assert ran.count(KEEP) == 1
    kept = dict(await stored.sql("SELECT event_id, body FROM rendered"))
    assert len(kept) == 20
    assert {(one.event_id, one.rendered) for one in prepared if one is not None} == set(kept.items())


async def test_large_bodies_are_kept_by_statements_of_their_own(stored: Store) -> None:
    body = b"x" * (MOST_BYTES // 2)

    async with counted(stored) as (database, ran):
        keeper = Keeper(database)
        kept = await asyncio.gather(*(keeper.kept((f"event-{n}", "flat"), (body, ())) for n in range(5)))

    assert kept == [(body, ())] * 5
    assert ran.count(KEEP) == 3


async def test_replicas_that_render_at_once_send_the_same_body(stored: Store) -> None:
    keys = [(f"event-{n}", fmt) for n in range(100) for fmt in ("flat", "slack")]

    async with counted(stored) as (one, _), counted(stored) as (other, _):

        async def made(database: Database, by: bytes, step: int) -> dict[tuple[str, str], Body]:
            keeper = Keeper(database)
            kept = await asyncio.gather(*(keeper.kept(key, (by, ((1, "key"),))) for key in keys[::step]))
            return dict(zip(keys[::step], kept, strict=True))

        first, second = await asyncio.gather(made(one, b"first", 1), made(other, b"second", -1))

    assert first == second
    stands = await stored.sql("SELECT event_id, format, body FROM rendered")
    assert {(event, fmt): (body, ((1, "key"),)) for event, fmt, body in stands} == first


async def test_one_body_that_postgres_fails_holds_up_no_other(stored: Store) -> None:
    await stored.sql(FAILING % "event-3")
    await stored.sql("CREATE TRIGGER fails BEFORE INSERT ON rendered FOR EACH ROW EXECUTE FUNCTION fail()")
    keeper = Keeper(stored.database)

    kept = await asyncio.gather(
        *(keeper.kept((f"event-{n}", "flat"), (b"%d" % n, ())) for n in range(6)), return_exceptions=True
    )

    assert [type(one) for one in kept] == [tuple, tuple, tuple, StoreFailed, tuple, tuple]
    assert await stored.one("SELECT count(*) FROM rendered") == 5


async def test_while_postgres_is_away_all_of_a_batch_give_up_at_once(stored: Store) -> None:
    async with counted(stored) as (database, ran), keeping_waits(stored):
        keeper = Keeper(database)
        asked = [asyncio.create_task(keeper.kept((f"event-{n}", "flat"), (b"1", ()))) for n in range(6)]
        await until(stored, WAITING)
        await stored.sql(END_WAITING)
        answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(one) for one in answers] == [StoreUnavailable] * 6
    assert ran.count(KEEP) == 1


async def test_who_is_cancelled_leaves_the_statement_to_the_others(stored: Store) -> None:
    keeper = Keeper(stored.database)
    async with keeping_waits(stored):
        asked = [asyncio.create_task(keeper.kept((f"event-{n}", "flat"), (b"1", ()))) for n in range(3)]
        await until(stored, WAITING)
        asked[0].cancel()
        await clock.sleep(0)
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [(b"1", ())] * 2


async def test_a_sender_killed_before_keeping_a_body_sent_nothing(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_RETRY_SCHEDULE="0s," + ",".join(["200ms"] * 20))
    await stored.configure({"hook": hook(receiver, format="flat")})
    await stored.events(3)
    receiver.answer(503, 503, 503)
    async with keeping_waits(stored), await deliverer(deployment) as killed:
        await until(stored, WAITING)
        killed.process.kill()
        await killed.process.wait()
    assert receiver.requests == []
    await stored.sql("UPDATE delivery SET due_at = now()")  # as when the leases have run out

    async with await deliverer(deployment):
        await receiver.wait_for(6, timeout=60)
        await until(stored, ALL_ARRIVED)

    kept = dict(await stored.sql("SELECT event_id, body FROM rendered"))
    assert len(kept) == 3
    assert {(one.headers["webhook-id"], one.body) for one in receiver.requests} == set(kept.items())
    assert len(receiver.requests) == 6


async def test_what_is_kept_already_stays_as_it_is(stored: Store) -> None:
    key = ("event-1", "flat")
    await rendered.keep(stored.database, {key: (b"first", ((0, "key"),))})

    assert await rendered.keep(stored.database, {key: (b"second", ())}) == {key: (b"first", ((0, "key"),))}


async def test_costly_bodies_leave_most_of_the_time_to_other_channels(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    count = 40
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY)
    good = hook(receiver, url=receiver.url("/good"))
    await stored.configure({"costly": hook(receiver, url=receiver.url("/costly"), **COSTLY), "good": good})
    async with await deliverer(deployment) as replica:
        await replica.logged("role.ready", role="deliver")
        await stored.events(count)

        await receiver.wait_for(count, path="/good")
        meanwhile = len(receiver.at("/costly"))
        await until(stored, ALL_ARRIVED)

    assert meanwhile < count / 4
    assert len(receiver.at("/costly")) == count


async def test_a_stop_hands_back_what_waits_for_its_body(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_DRAIN_TIMEOUT="100ms")
    await stored.configure({"costly": hook(receiver, **COSTLY)})
    await stored.events(60)
    async with await deliverer(deployment) as replica:
        await receiver.wait_for(2)

        assert await replica.terminate() == 0

    assert await stored.one("SELECT count(*) FROM delivery WHERE token IS NOT NULL") == 0
    assert await stored.one("SELECT count(*) FROM attempt WHERE outcome = 'interrupted'") <= 1, "the one being sent"
