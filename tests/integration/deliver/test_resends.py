"""Resend, on a real Postgres: durable, none of it twice, and the rounds that it begins."""

import asyncio
import datetime as dt
from collections import Counter

import pytest

from consumer.decide.outcome import OutcomeClass
from consumer.decide.verdict import Delivered, GiveUp, RetryIn
from consumer.errors import Refused
from consumer.store import deliveries, jobs, rendered, sweeps
from tests.support.jobs import fail_all, state, work_off
from tests.support.stores import ENDS, Store, ended, identity


async def test_a_resend_begins_a_new_round_with_a_whole_schedule(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    await fail_all(stored)

    job_id = await jobs.resend(stored.database, "default", event)
    waiting = await jobs.get(stored.database, "default", job_id)
    (done,) = await work_off(stored)

    assert waiting is not None
    assert (waiting.kind, waiting.state, waiting.total, waiting.done, waiting.ended_at) == (
        "resend",
        "WAITING",
        1,
        0,
        None,
    )
    assert (done.id, done.state, done.done, done.event_id) == (job_id, "DONE", 1, event)
    assert await state(stored, event) == ("RESENDING", 2, 1, 0, None, True, False)
    (claimed,) = await stored.claim("hook")
    assert (claimed.number, claimed.step, claimed.interrupted) == (2, 0, 0)
    assert (await state(stored, event))[0] == "SENDING"
    await stored.record(ended(claimed, 200))
    assert await state(stored, event) == ("SUCCESS", 2, 2, 1, None, True, False)
    assert await stored.sql("SELECT number, status FROM attempt ORDER BY number") == [(1, 500), (2, 200)]


async def test_what_was_received_is_sent_again_too(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    (claimed,) = await stored.claim("hook")
    await stored.record(ended(claimed, 200))

    await jobs.resend(stored.database, "default", event)
    await work_off(stored)

    assert (await state(stored, event))[0] == "RESENDING"
    assert len(await stored.claim("hook")) == 1


async def test_a_hand_back_leaves_a_resend_as_it_was(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    before = await state(stored, event)

    await deliveries.hand_back(stored.database, await stored.claim("hook"))

    assert await state(stored, event) == before
    assert before[0] == "RESENDING"


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, Delivered()), (500, GiveUp()), (503, RetryIn(dt.timedelta(hours=1)))]
)
async def test_a_resend_in_flight_begins_when_its_attempt_has_ended(
    stored: Store, status: int, verdict: Delivered | GiveUp | RetryIn
) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    (claimed,) = await stored.claim("hook")

    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    in_flight = await state(stored, event)
    recorded = await stored.record(ended(claimed, status, verdict))

    assert in_flight == ("SENDING", 1, 0, 0, None, False, True)
    assert recorded.is_freeing
    assert await state(stored, event) == ("RESENDING", 2, 1, 0, None, True, False)
    (again,) = await stored.claim("hook")
    assert (again.number, again.step) == (2, 0)


async def test_a_resend_of_a_dead_sender_begins_after_its_lease(stored: Store) -> None:
    await stored.configure({"hook": {"expireAfter": "1h"}})
    (event,) = await stored.events(1)
    (zombie,) = await stored.claim("hook")
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    moved = "due_at = now() - interval '1 s', created_at = now() - interval '2 h', round_from = now() - interval '80 h'"
    await stored.sql(f"UPDATE delivery SET {moved}")  # noqa: S608 - our own text

    swept = await sweeps.sweep(stored.database, ENDS)
    (again,) = await stored.claim("hook")

    assert swept == 0
    assert (again.number, again.step, again.interrupted, again.round, again.was_lost) == (2, 0, 0, 2, True)
    assert await state(stored, event) == ("SENDING", 2, 1, 0, None, True, False)
    # The 2xx of the round before is kept; the round that a person asked for goes on.
    await stored.record(ended(zombie, 200))
    assert (await state(stored, event))[0] == "SENDING"
    assert await stored.sql("SELECT number, outcome, status FROM attempt") == [(1, "status", 200)]


async def test_a_resend_waits_for_the_running_attempt(stored: Store) -> None:
    """Though an earlier one is answered."""
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    (zombie,) = await stored.claim("hook")
    await stored.sql("UPDATE delivery SET due_at = now() - interval '1 s'")
    (owner,) = await stored.claim("hook")
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)

    await stored.record(ended(zombie, 200))
    beside = await stored.claim("hook")
    await stored.record(ended(owner, 503))
    (again,) = await stored.claim("hook")

    assert beside == []
    assert (again.number, again.round) == (3, 2)
    assert await stored.sql("SELECT number, status FROM attempt ORDER BY number") == [(1, 200), (2, 503)]


async def test_a_resend_goes_to_old_and_new_channels_of_the_rule(stored: Store) -> None:
    await stored.configure({"old": {}, "off": {}})
    (event,) = await stored.events(1)
    await stored.configure({"new": {}, "off": {"disabled": True}})
    old_and_new = {stored.ids["old"], stored.ids["new"]}

    await jobs.resend(stored.database, "default", event)
    (done,) = await work_off(stored)

    assert (done.total, done.done) == (2, 2)
    rows = await stored.sql("SELECT channel_id FROM delivery WHERE state = 'RESENDING'")
    assert {channel for (channel,) in rows} == old_and_new


async def test_a_channel_named_alone_gets_it_alone(stored: Store) -> None:
    await stored.configure({"one": {}, "two": {}})
    (event,) = await stored.events(1)
    await fail_all(stored, "one")
    await fail_all(stored, "two")

    await jobs.resend(stored.database, "default", event, channels=[stored.ids["two"], stored.ids["two"]])
    await work_off(stored)

    assert (await state(stored, event, "one"))[0] == "FAILED"
    assert (await state(stored, event, "two"))[0] == "RESENDING"


async def test_a_resend_that_cannot_be_is_refused_and_nothing_asked(stored: Store) -> None:
    await stored.configure({"hook": {}, "off": {"disabled": True}})
    (event,) = await stored.events(1)
    off = stored.ids["off"]

    for namespace, event_id, channels, says in [
        ("default", "01K9ZBC3K9YJ4M2V7Q8R5T6W1X", None, "event 01K9ZBC3K9YJ4M2V7Q8R5T6W1X: is not there"),
        ("other", event, None, "is not there"),
        ("default", event, [stored.ids["hook"], off], f"channel {off} is disabled"),
        ("default", event, ["no-such"], "channel no-such is none of the event's"),
    ]:
        with pytest.raises(Refused, match=says):
            await jobs.resend(stored.database, namespace, event_id, channels=channels)

    assert await work_off(stored) == []
    assert await stored.one("SELECT count(*) FROM job") == 0


async def test_a_resend_waits_for_an_open_one_on_a_new_channel_too(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (first,) = await stored.events(1)
    (second,) = await stored.events(1, after=identity(1))
    await fail_all(stored)  # the first
    await fail_all(stored)  # the second, which waited for it
    await stored.configure({"hook": {}, "new": {}})

    for event in (second, first):
        await jobs.resend(stored.database, "default", event)
    await work_off(stored)

    for key in ("hook", "new"):
        (claimed,) = await stored.claim(key)
        assert claimed.event_id == first
        await stored.record(ended(claimed, 200))
        (claimed,) = await stored.claim(key)
        assert claimed.event_id == second


async def test_a_resend_ignores_expiry_but_not_the_longest_round(stored: Store) -> None:
    await stored.configure({"hook": {"expireAfter": "1h"}})
    (event,) = await stored.events(1)
    await stored.sql("UPDATE delivery SET created_at = now() - interval '2 h', round_from = now() - interval '2 h'")
    await sweeps.sweep(stored.database, ENDS)
    expired = await state(stored, event)

    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    kept = await sweeps.sweep(stored.database, ENDS)
    claimed = await stored.claim("hook")
    await deliveries.hand_back(stored.database, claimed)
    await stored.sql("UPDATE delivery SET round_from = now() - interval '73 h'")
    await sweeps.sweep(stored.database, ENDS)

    assert expired[4] == "expired"
    assert (kept, len(claimed)) == (0, 1)
    assert (await state(stored, event))[4] == "too_old"


async def test_a_lease_that_expired_before_a_sweep_is_interrupted(stored: Store) -> None:
    await stored.configure({"hook": {}})
    (event,) = await stored.events(1)
    await stored.claim("hook")
    await stored.sql("UPDATE delivery SET due_at = now() - interval '1 s'")
    await stored.sql("UPDATE channel SET disabled_by = 'person'")

    await sweeps.sweep(stored.database, ENDS)

    assert await state(stored, event) == ("FAILED", 1, 1, 0, "channel_disabled", False, False)
    rows = await stored.sql("SELECT number, outcome FROM attempt")
    assert rows == [(1, OutcomeClass.INTERRUPTED.value)]


async def test_a_flat_body_is_rendered_once_and_resent(stored: Store) -> None:
    await stored.configure({"hook": {"format": "flat"}, "own": {}})
    (event,) = await stored.events(1)
    (unrendered,) = await stored.claim("hook")

    keys = (event, "flat"), (event, "slack")
    answers = await asyncio.gather(
        *(rendered.keep(stored.database, dict.fromkeys(keys[:: (-1) ** n], (b"%d" % n, ()))) for n in range(6))
    )
    kept = [answer[keys[0]] for answer in answers]
    await stored.record(ended(unrendered, 500, GiveUp()))
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    (again,) = await stored.claim("hook")
    (own,) = await stored.claim("own")

    assert unrendered.rendered is None
    assert Counter(kept) == {kept[0]: 6}
    assert (again.rendered, again.holes) == kept[0]
    assert own.rendered is None
