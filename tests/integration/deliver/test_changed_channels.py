"""A channel that is changed, disabled or enabled while deliveries are under way: what was before stays before."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable, Coroutine

import asyncpg
import pytest
from aiohttp import web

from consumer import clock
from consumer.decide.verdict import Disable, GiveUp, RetryIn
from consumer.deliver.looks import Looks
from consumer.deliver.prefetched import Leased
from consumer.store import catalog, deliveries, jobs, sweeps
from consumer.store.deliveries import Claimed
from tests.conftest import MakeDeployment
from tests.integration.deliver.test_deliverers import hook, two, until
from tests.support.fakes import Receiver
from tests.support.jobs import LONG_AGO, fail_all, state, work_off
from tests.support.stores import ENDS, KEY, URL, Store, ended

NEW = {"url": f"{URL}/new"}
HOUR = dt.timedelta(hours=1)
Change = Callable[[Store], Coroutine[None, None, None]]
RATE = web.Response(status=429, headers={"Retry-After": "600"})


async def sent_elsewhere(stored: Store) -> None:
    await stored.configure({"hook": NEW})


async def disabled_and_enabled(stored: Store) -> None:
    await stored.configure({"hook": {"disabled": True}})
    await stored.configure({"hook": {"disabled": False}})


async def follow(stored: Store) -> int:
    """Do what the sweep does after a change; return how many deliveries it hurried."""
    return sum([await sweeps.hurry(stored.database, one) for one in await sweeps.changed_channels(stored.database)])


@pytest.mark.parametrize("change", [sent_elsewhere, disabled_and_enabled])
@pytest.mark.parametrize(
    ("status", "verdict"),
    [(410, Disable("gone")), (429, RetryIn(HOUR, pause=HOUR)), (503, RetryIn(HOUR)), (500, GiveUp())],
)
async def test_an_answer_from_before_a_change_does_not_count(
    stored: Store, change: Change, status: int, verdict: Disable | GiveUp | RetryIn
) -> None:
    await stored.configure({"hook": {}})
    await stored.events(8)
    before = await stored.claim("hook")
    await change(stored)

    recorded = await stored.record(*(ended(one, status, verdict) for one in before))

    assert recorded.runs == ()
    assert await stored.sql("SELECT disabled_by FROM channel") == [(None,)]
    assert await stored.sql("SELECT paused_until, downs, failures FROM channel_pace") == [(None, 0, 0)]
    assert await stored.one("SELECT count(*) FROM attempt WHERE status = $1", status) == 8


async def test_a_new_url_gets_at_once_what_the_old_one_refused(
    stored: Store,
) -> None:
    """With the whole schedule."""
    await stored.configure({"hook": {}})
    await stored.events(2)
    gone, taken = await stored.claim("hook")
    await sent_elsewhere(stored)

    recorded = await stored.record(ended(gone, 410, Disable("gone")), ended(taken, 200))
    (again,) = await stored.claim("hook")

    assert recorded.is_freeing
    assert (again.id, again.number, again.step, again.url) == (gone.id, 2, 0, NEW["url"])
    assert await stored.sql("SELECT state FROM delivery ORDER BY id") == [("SENDING",), ("SUCCESS",)]


async def test_a_new_url_alone_makes_what_waits_due_at_once(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(3)
    *waiting, in_flight = await stored.claim("hook")
    await stored.record(*(ended(one, 503, RetryIn(HOUR)) for one in waiting))
    await stored.configure({"hook": {"customHeaders": {"X-A": "a"}}})
    of_headers = await follow(stored)

    await sent_elsewhere(stored)
    of_url = await follow(stored)

    assert (of_headers, of_url) == (0, 2)
    assert {one.id for one in await stored.claim("hook")} == {one.id for one in waiting}
    assert await follow(stored) == 0
    assert in_flight.token == await stored.one("SELECT token FROM delivery WHERE id = $1", in_flight.id)


async def test_a_disabling_ends_even_the_shortest_round_before_it(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(5)
    (in_flight,) = await stored.claim("hook", 1)
    (waiting,) = await stored.claim("hook", 1)
    await stored.record(ended(waiting, 503, RetryIn(dt.timedelta())))

    await disabled_and_enabled(stored)
    new = await stored.events(2)
    claimed = await stored.claim("hook", 10)
    await sweeps.sweep(stored.database, ENDS)
    await stored.record(ended(in_flight, 503))

    assert [one.event_id for one in claimed] == new
    rows = await stored.sql("SELECT state, reason, count(*) FROM delivery GROUP BY 1, 2 ORDER BY 1")
    assert rows == [("FAILED", "channel_disabled", 5), ("SENDING", None, 2)]


async def test_a_clock_set_back_does_not_end_what_is_new(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.configure({"hook": {"disabled": True}})
    await stored.sql("UPDATE channel SET rounds_end_before = now() + interval '1 h'")  # by the clock of another host
    await stored.configure({"hook": {"disabled": False}})
    new = await stored.events(2)

    swept = await sweeps.sweep(stored.database, ENDS)

    assert swept == 0
    assert [one.event_id for one in await stored.claim("hook")] == new


async def test_it_is_forgotten_when_nothing_of_before_is_left(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    await disabled_and_enabled(stored)
    await stored.sql("UPDATE channel SET rounds_end_before = rounds_end_before - interval '2 min'")
    await stored.sql("UPDATE delivery SET round_from = round_from - interval '3 min'")

    marked = []
    for _ in range(2):
        for channel in await sweeps.changed_channels(stored.database):
            await sweeps.settle(stored.database, channel)
        marked.append(await stored.one("SELECT rounds_end_before IS NOT NULL FROM channel"))
        await sweeps.sweep(stored.database, ENDS)

    assert marked == [True, False]
    assert await sweeps.changed_channels(stored.database) == []


async def test_a_person_gets_what_a_disabling_has_yet_to_end(stored: Store) -> None:
    """A person who resends or recovers once the channel is enabled again."""
    await stored.configure({"hook": {}})
    resent, *recovered = await stored.events(3)
    await disabled_and_enabled(stored)

    await jobs.resend(stored.database, "default", resent)
    job_id = await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
    await work_off(stored)
    swept = await sweeps.sweep(stored.database, ENDS)

    job = await jobs.get(stored.database, "default", job_id)
    assert job is not None
    assert (job.total, job.done, swept) == (3, 2, 0)
    assert {one.event_id for one in await stored.claim("hook")} == {resent, *recovered}


async def test_one_look_serves_all_that_were_claimed_before_a_change(stored: Store) -> None:
    await stored.configure({"hook": {}, "off": {}, "stays": {}})
    await stored.events(1)
    looks = Looks(stored.database)
    leased = [Leased(one, clock.monotonic()) for key in stored.ids for one in await stored.claim(key)]
    undisturbed = [await looks.still(one) for one in leased]
    await stored.configure({"hook": NEW, "off": {"disabled": True}, "stays": {}})
    unnoticed = [await looks.still(one) for one in leased]

    looks.set()
    still = await asyncio.gather(*(looks.still(one) for one in leased))

    assert undisturbed == unnoticed == [True] * 3
    by_id = {one.delivery.channel_id: may for one, may in zip(leased, still, strict=True)}
    assert {key: by_id[id_] for key, id_ in stored.ids.items()} == {"hook": False, "off": False, "stays": True}
    (again,) = await stored.claim("stays") or [leased[-1].delivery]
    assert await looks.still(Leased(again, clock.monotonic()))


async def test_a_resend_with_no_channel_left_is_refused_as_such(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    await fail_all(stored)
    await stored.configure({"hook": {"disabled": True}})

    with pytest.raises(jobs.NoneLeft, match="none of its channels"):
        await jobs.resend(stored.database, "default", event)

    assert await stored.one("SELECT count(*) FROM job") == 0


async def test_a_disabling_leaves_a_resend_that_succeeded_a_success(stored: Store) -> None:
    await stored.configure({"hook": {}})
    in_flight, before = await stored.events(2)
    claimed = {one.event_id: one for one in await stored.claim("hook")}
    await stored.record(ended(claimed[before], 200))
    for event in (in_flight, before):
        await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    await stored.record(ended(claimed[in_flight], 200))
    resent = [(await state(stored, event))[0] for event in (in_flight, before)]

    await stored.configure({"hook": {"disabled": True}})
    await sweeps.sweep(stored.database, ENDS)

    assert resent == ["RESENDING", "RESENDING"]
    assert await stored.sql("SELECT state, reason FROM delivery") == [("SUCCESS", None)] * 2


async def answered(stored: Store, claimed: Claimed) -> None:
    await stored.record(ended(claimed, 200))


async def failed(stored: Store, claimed: Claimed) -> None:
    await stored.record(ended(claimed, 503))


async def handed_back(stored: Store, claimed: Claimed) -> None:
    await deliveries.hand_back(stored.database, [claimed])


async def sender_died(stored: Store, _: Claimed) -> None:
    await stored.sql("UPDATE delivery SET due_at = now() - interval '1 s'")


@pytest.mark.parametrize(
    ("end", "state_then"),
    [(answered, "SUCCESS"), (failed, "FAILED"), (handed_back, "FAILED"), (sender_died, "FAILED")],
)
async def test_a_disabling_ends_a_resend_that_waits_for_its_attempt(
    stored: Store, end: Callable[[Store, Claimed], Coroutine[None, None, None]], state_then: str
) -> None:
    await stored.configure({"hook": {}})
    before, after = await stored.events(2)
    claimed = {one.event_id: one for one in await stored.claim("hook")}
    await jobs.resend(stored.database, "default", before)
    await work_off(stored)
    await disabled_and_enabled(stored)
    await jobs.resend(stored.database, "default", after)
    await work_off(stored)

    for one in claimed.values():
        await end(stored, one)
    again = await stored.claim("hook")
    await sweeps.sweep(stored.database, ENDS)

    assert [one.event_id for one in again] == [after]
    assert (await state(stored, before))[0] == state_then


async def test_a_disabling_ends_a_resend_that_has_yet_to_be_worked_off(stored: Store) -> None:
    await stored.configure({"hook": {}, "other": {}})
    (event,) = await stored.events(1)
    await fail_all(stored, "hook")
    await fail_all(stored, "other")
    await jobs.resend(stored.database, "default", event)

    await disabled_and_enabled(stored)
    (job,) = await work_off(stored)

    assert (job.state, job.done, job.total) == ("DONE", 1, 2)
    assert await stored.claim("hook") == []
    assert len(await stored.claim("other")) == 1


async def test_a_recovery_takes_a_resend_that_a_disabling_ends(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    (in_flight,) = await stored.claim("hook")
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    await disabled_and_enabled(stored)

    await jobs.recover(stored.database, "default", stored.ids["hook"], since=LONG_AGO)
    (job,) = await work_off(stored)
    await stored.record(ended(in_flight, 503, RetryIn(dt.timedelta())))

    assert (job.total, job.done) == (1, 1)
    assert await state(stored, event) == ("SENDING", 1, 1, 0, None, False, False)


# --- the service -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [410, RATE, 503])
async def test_the_new_url_gets_what_the_old_one_refuses_late(
    reply: int | web.Response, deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    """The requests to the old one began before the change."""
    deployment = await deploy(
        TOLLBELL_ENCRYPTION_KEYS=KEY,
        TOLLBELL_DELIVERY_BREAKER_FAILURES="3",
        TOLLBELL_DELIVERY_BREAKER_PAUSE="1h",
        TOLLBELL_DELIVERY_BREAKER_LONGEST_PAUSE="1h",
    )
    await stored.configure({"hook": hook(receiver, url=receiver.url("/old"))})
    events = await stored.events(8)
    releases = [receiver.hold(path="/old", reply=reply) for _ in events]
    async with two(deployment):
        await receiver.wait_for(8, path="/old")
        await stored.configure({"hook": hook(receiver, url=receiver.url("/new"))})
        for release in releases:
            release.set()

        got = await receiver.wait_for(8, path="/new", timeout=60)
        await until(stored, "SELECT bool_and(state = 'SUCCESS') FROM delivery")

    assert {request.headers["webhook-id"] for request in got} == set(events)
    assert await stored.sql("SELECT number, count(*) FROM attempt GROUP BY 1 ORDER BY 1") == [(1, 8), (2, 8)]


async def test_no_claimed_request_begins_after_a_disabling(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="4")
    await stored.configure({"hook": hook(receiver)})
    async with two(deployment) as replicas:
        # It works, so deliveries are claimed ahead of it; in one go, as an idle look in between would forget that.
        sent = 40
        receiver.answer(*[200] * sent)
        releases = [receiver.hold() for _ in range(100)]
        await stored.events(sent + 100)
        await receiver.wait_for(sent + 8, timeout=60)
        await until(stored, "SELECT count(token) > 8 FROM delivery")

        await stored.configure({"hook": hook(receiver, disabled=True)})
        await until(stored, "SELECT pg_notification_queue_usage() = 0")  # every listener has been sent it
        for replica in replicas:
            await replica.http("/livez")  # and has had its turn to read it
        for release in releases:
            release.set()
        await until(stored, "SELECT bool_and(due_at IS NULL) FROM delivery")

    assert len(receiver.requests) == sent + 8
    rows = await stored.sql("SELECT state, reason, count(*) FROM delivery GROUP BY 1, 2 ORDER BY 1")
    assert rows == [("FAILED", "channel_disabled", 92), ("SUCCESS", None, 48)]


async def test_a_channel_enabled_again_gets_new_events_alone(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    """It was disabled and enabled between two sweeps."""
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY)
    await stored.configure({"hook": hook(receiver)})
    await stored.events(1500)
    await stored.configure({"hook": hook(receiver, disabled=True)})
    await stored.configure({"hook": hook(receiver, disabled=False)})
    new = await stored.events(3)
    async with two(deployment):
        await until(stored, "SELECT bool_and(due_at IS NULL) FROM delivery")

    assert sorted(request.headers["webhook-id"] for request in receiver.requests) == new
    assert await stored.one("SELECT count(*) FROM delivery WHERE reason = 'channel_disabled'") == 1500


@contextlib.asynccontextmanager
async def listening(stored: Store) -> "AsyncIterator[asyncio.Queue[str]]":
    """Give where the notifications of changes come, as they come to deliverers."""
    connection = await asyncpg.connect(stored.url)
    come: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener(catalog.CHANNEL, lambda *_: come.put_nowait(""))
    try:
        yield come
    finally:
        connection.terminate()
