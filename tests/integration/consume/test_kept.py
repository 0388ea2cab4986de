"""Deliveries leased as they are made, in slots that were kept for them: on a real Postgres, and by the service."""

import asyncio
import contextlib
import datetime as dt
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from consumer import clock
from consumer.decide.breaker import Breaker, Endurance
from consumer.deliver.role import Deliver, Terms
from consumer.deliver.slots import Limits
from consumer.errors import StoreUnavailable
from consumer.metrics import Metrics
from consumer.store import deliveries, outbox
from consumer.store.deliveries import Claimed
from consumer.store.outbox import Reserved, ReservedSlots, Written
from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.one_rule import scalar
from tests.support.plans import Explained, ExplainedDatabase
from tests.support.progress import statement_waits
from tests.support.stores import CIPHER, DAYS, LEASE, Store, ended, identity
from tests.support.verification import SECRET, verify

STATES = "SELECT state, token IS NOT NULL FROM delivery ORDER BY event_id, id"
OLD_SECRETS = """
    INSERT INTO channel_old_secret (channel_id, secret, valid_until, replaced_at)
    VALUES ($1, 'old', now() + interval '1 h', now()), ($1, 'gone', now(), now() - interval '1 h')
"""
WELL = ReservedSlots(free=8, in_flight=0)
MANY = """
    INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
    SELECT 'm' || n, 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1/', 'openmeter', 's' FROM generate_series(1, 300) n;
    INSERT INTO channel_pace (channel_id) SELECT 'm' || n FROM generate_series(1, 300) n;
    INSERT INTO rule_channel SELECT r.id, 'm' || n, n FROM rule r, generate_series(1, 300) n
"""


def leased(written: list[Written]) -> list[Claimed]:
    return [one for of_change in written for one in of_change.leased]


async def test_a_write_leases_the_first_ones_as_a_claim_would(stored: Store) -> None:
    own = {"retrySchedule": ["0s", "5s"], "customHeaders": {"X-A": "a"}, "format": "flat"}
    await stored.configure({"hook": own, "other": {}})
    await stored.sql(OLD_SECRETS, stored.ids["hook"])

    written = await stored.write(3, hook=ReservedSlots(free=2, in_flight=6))

    assert [(len(one.leased), one.deliveries) for one in written] == [(1, 2), (1, 2), (0, 2)]
    assert await stored.sql(STATES) == [("SENDING", True), ("PENDING", False)] * 2 + [("PENDING", False)] * 2
    assert len(await stored.claim("hook")) == 1
    now = leased(written)
    assert now[0].old_secrets == [b"old"]
    await deliveries.hand_back(stored.database, now)
    then = sorted(await stored.claim("hook"), key=lambda one: one.id)
    assert [replace(one, token=now[0].token) for one in now] == [replace(one, token=now[0].token) for one in then]


async def test_a_delivery_leased_by_a_write_is_recorded_or_reclaimed(
    stored: Store,
) -> None:
    """It is reclaimed once its lease has run out."""
    await stored.configure({"hook": {}})
    sent, lost = leased(await stored.write(2, hook=WELL))
    before = await stored.claim("hook")

    await stored.record(ended(sent, 200))
    await stored.sql("UPDATE delivery SET due_at = now() - interval '1 s' WHERE token IS NOT NULL")
    (again,) = await stored.claim("hook")

    assert before == []
    assert (again.id, again.number, again.was_lost) == (lost.id, 2, True)
    assert await stored.sql("SELECT state, attempts FROM delivery ORDER BY id") == [("SUCCESS", 1), ("SENDING", 1)]


@pytest.mark.parametrize(
    ("channel", "pace", "slots"),
    [
        ({"rateLimit": 100}, "", WELL),
        ({}, "paused_until = now() + interval '1 h'", WELL),
        ({}, "opened = 1, open_until = now() - interval '1 s'", WELL),
        ({"concurrency": 3}, "", ReservedSlots(free=5, in_flight=3)),
        ({}, "", ReservedSlots(free=0, in_flight=0)),
    ],
)
async def test_none_is_leased_of_a_channel_that_must_be_asked_first(
    stored: Store, channel: dict[str, Any], pace: str, slots: ReservedSlots
) -> None:
    await stored.configure({"hook": channel})
    if pace:
        await stored.sql(f"UPDATE channel_pace SET {pace}")  # noqa: S608 - the test's own

    written = await stored.write(2, hook=slots)

    assert leased(written) == []
    assert await stored.sql(STATES) == [("PENDING", False)] * 2


async def test_a_write_fails_those_of_a_disabled_channel(
    stored: Store,
) -> None:
    """A pause that is over and a concurrency that is not used up hold nothing."""
    await stored.configure({"down": {}, "paused": {}, "narrow": {"concurrency": 2}})
    await stored.sql("UPDATE channel SET disabled_by = 'tollbell' WHERE key = 'down'")
    await stored.sql("UPDATE channel_pace SET paused_until = now() - interval '1 s'")

    written = await stored.write(3, down=WELL, paused=WELL, narrow=ReservedSlots(free=8, in_flight=1))

    keys = {id_: key for key, id_ in stored.ids.items()}
    assert sorted(keys[one.channel_id] for one in leased(written)) == ["narrow"] + ["paused"] * 3
    assert await stored.one("SELECT count(*) FROM delivery WHERE state = 'FAILED' AND token IS NULL") == 3


async def test_a_delivery_waiting_for_another_takes_no_reserved_slot(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)

    waiting = await stored.write(1, after=identity(1), hook=WELL)

    assert leased(waiting) == []
    assert await stored.one("SELECT count(*) FROM delivery WHERE waits_for IS NOT NULL AND token IS NULL") == 1


async def test_one_rule_with_many_channels_costs_each_as_much_as_one(stored: Store) -> None:
    await stored.configure({"hook": {}})
    async with stored.database.transaction() as connection:
        await connection.script(MANY)
    database = await ExplainedDatabase.connect(stored.url, size=1)
    database.seen = Explained(frozenset({"outbox/write"}))
    kept = Reserved({f"m{n}": WELL for n in range(1, 301)}, LEASE)

    async with database.transaction() as explaining:
        await outbox.write(explaining, [stored.change(n) for n in range(8)], kept)
    await database.close()

    (plan,) = database.seen.plans
    assert await stored.one("SELECT count(*) FROM delivery WHERE token IS NOT NULL") == 8 * 300
    assert plan.rows_read < 20 * 8 * 300


def deliverer(stored: Store) -> Deliver:
    """A deliverer that does not run."""
    terms = Terms(
        timeout=dt.timedelta(seconds=15),
        allow=(),
        ca_file=None,
        connections=100,
        limits=Limits(total=16, channel=4),
        schedule=(),
        longest_round=DAYS,
        breaker=Breaker(failures=3, pause=LEASE, longest=LEASE),
        endurance=Endurance(lasting=DAYS, attempts=10, events=2),
    )
    return Deliver(stored.database, CIPHER, Metrics(), terms, due=asyncio.Event(), announce=lambda: None)


async def test_an_unused_reserved_slot_is_free_after_any_write(stored: Store) -> None:
    """Also after one of which it is not known whether it succeeded."""
    dispatch, wanted, slots, stop = deliverer(stored).dispatch, {("default", "hook"): 3}, [], asyncio.Event()
    with dispatch.reserve(wanted) as too_early:
        pass
    stop.set()
    await dispatch.run(stop, clock.monotonic)

    for _ in range(3):
        with contextlib.suppress(StoreUnavailable), dispatch.reserve(wanted) as kept:
            slots.append(kept.reserved.slots)
            raise StoreUnavailable("whether it was written is not known")

    assert too_early.reserved.slots == {}
    assert slots == [{"hook": ReservedSlots(free=3, in_flight=0)}] * 3


async def test_the_drain_waits_for_reserved_slots_and_reserves_no_more(stored: Store) -> None:
    await stored.configure({"hook": {}})
    dispatch, wanted, stop = deliverer(stored).dispatch, {("default", stored.ids["hook"]): 1}, asyncio.Event()
    stop.set()
    await dispatch.run(stop, clock.monotonic)

    with dispatch.reserve(wanted) as kept:
        drain = asyncio.create_task(dispatch.drain(clock.monotonic() + 20))
        await stored.events(1)  # statements of a writer: a drain that waits for none runs none, and has ended by then
        is_waiting = not drain.done()
        with dispatch.reserve(wanted) as too_late:
            pass
    await drain

    assert (len(kept.reserved.slots), len(too_late.reserved.slots)) == (1, 0)
    assert is_waiting


async def test_a_delivery_in_a_reserved_slot_is_written_twice_only(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """With its event, already leased; and as it ended."""
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    release = receiver.hold()
    async with await deployment.replica() as replica:
        await replica.ready()

        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))

        verify((await receiver.wait_for(1))[0])
        row = "SELECT d.xmin = e.xmin AS is_of_one_write, d.state FROM delivery d JOIN event e ON e.id = d.event_id"
        assert tuple(await connection.fetchrow(row)) == (True, "SENDING")
        release.set()
        await replica.logged("delivery.attempted", verdict="Delivered")
        assert await replica.terminate() == 0
    await connection.close()


async def test_what_is_being_written_at_the_stop_is_sent_in_the_drain(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    database = deployment.environment["TOLLBELL_DATABASE_URL"]
    connection = await asyncpg.connect(database)
    async with await deployment.replica() as replica:
        await replica.ready()
        async with connection.transaction():
            await connection.execute("SELECT FROM rule FOR UPDATE")
            await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))
            await statement_waits(database)
            replica.process.terminate()
            await replica.logged("app.stopping")
        assert await replica.process.wait() == 0
    await connection.close()

    assert await scalar(database, "SELECT state FROM delivery") == "SUCCESS"
    assert len(receiver.requests) == 1
