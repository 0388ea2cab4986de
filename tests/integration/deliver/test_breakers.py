"""A channel's breaker and run of failures, on a real Postgres: beside other claimers, by the database's clock."""

import asyncio
import datetime as dt

import pytest

from consumer.decide.breaker import Breaker, Endurance, Open, Run, StopSending, judge
from consumer.decide.outcome import OutcomeClass
from consumer.decide.verdict import GiveUp, RetryIn
from consumer.store import deliveries, paces, sweeps
from tests.support.factories import NOW
from tests.support.stores import ENDS, Store, ended

BREAKER = Breaker(failures=3, pause=dt.timedelta(minutes=1), longest=dt.timedelta(hours=1))
ENDURANCE = Endurance(lasting=dt.timedelta(days=5), attempts=10, events=2)


async def fail(stored: Store, count: int, key: str = "hook") -> Run:
    """Let *count* deliveries fail, one after the other; return the run that the last one leaves."""
    for _ in range(count):
        (claimed,) = await stored.claim(key, 1)
        (run,) = (await stored.record(ended(claimed))).runs
    return run


async def open_breaker(stored: Store, run: Run, pause: dt.timedelta = BREAKER.pause) -> bool:
    return bool(await paces.open_breakers(stored.database, [(run, pause)]))


async def pause_is_over(stored: Store) -> None:
    await stored.sql("UPDATE channel_pace SET open_until = clock_timestamp() - interval '1 s'")


async def test_the_breaker_opens_once_however_many_judge_the_failures(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(6)
    run = await fail(stored, 3)

    opened = await asyncio.gather(*(open_breaker(stored, run) for _ in range(6)))

    assert (run.downs, run.failures, run.events, run.opened) == (3, 3, 3, 0)
    assert judge(run, breaker=BREAKER, endurance=ENDURANCE, jitter=0) == Open(BREAKER.pause)
    assert sorted(opened) == [False] * 5 + [True]
    assert 50 < await stored.due_in("hook") <= 60
    assert await stored.claim("hook") == []
    # Nothing has moved but the three that were sent: no step of a schedule is spent by a pause.
    assert (
        await stored.sql("SELECT state, step FROM delivery ORDER BY id") == [("SENDING", 1)] * 3 + [("PENDING", 0)] * 3
    )
    assert (await deliveries.gauges(stored.database)).channels["paused"] == 1


async def test_a_paused_channel_hides_nothing_that_may_be_sent(stored: Store) -> None:
    await stored.configure({"hook": {}, "other": {}})
    await stored.events(6)
    await open_breaker(stored, await fail(stored, 3))
    late = "UPDATE delivery SET due_at = now() - interval '{}' FROM channel c WHERE c.id = channel_id AND c.key = '{}'"
    await stored.sql(late.format("2 h", "hook"))
    await stored.sql(late.format("5 min", "other"))

    seen = await deliveries.gauges(stored.database)

    assert (round(seen.oldest_seconds / 60), round(seen.oldest_sendable_seconds / 60)) == (120, 5)
    assert (seen.due, sum(seen.states.values())) == (12, 12)
    await stored.sql("DELETE FROM delivery")
    nothing = await deliveries.gauges(stored.database)
    assert (nothing.due, nothing.oldest_seconds, nothing.oldest_sendable_seconds) == (0, 0, 0)


async def test_one_of_many_claimers_gets_the_probe_after_a_pause(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(20)
    await open_breaker(stored, await fail(stored, 3))
    for _ in range(12):  # races, most of them with all connections warm
        await pause_is_over(stored)
        await stored.sql("UPDATE channel_pace SET probe = NULL, probe_until = NULL")

        claims = await asyncio.gather(*(stored.claim("hook", 8) for _ in range(24)))
        late = await stored.claim("hook", 8)

        assert sum(len(claimed) for claimed in claims) == 1
        assert late == []
    assert 25 < await stored.due_in("hook") <= 30  # when the probe's lease runs out


async def test_a_successful_probe_closes_the_breaker(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(8)
    await open_breaker(stored, await fail(stored, 3))
    await pause_is_over(stored)
    (probe,) = await stored.claim("hook")

    recorded = await stored.record(ended(probe, 200))

    assert recorded.closed == (stored.ids["hook"],)
    assert recorded.runs == ()
    assert len(await stored.claim("hook", 20)) == 7


async def test_a_4xx_of_the_probe_closes_it_as_the_receiver_answers(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(4)
    await open_breaker(stored, await fail(stored, 3))
    await pause_is_over(stored)
    (probe,) = await stored.claim("hook")

    recorded = await stored.record(ended(probe, 404))

    assert recorded.closed == (stored.ids["hook"],)
    (run,) = recorded.runs
    assert (run.downs, run.failures) == (0, 4)


async def test_a_failing_probe_opens_it_for_longer_and_strays_do_not(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(8)
    (stray,) = await stored.claim("hook", 1)
    await open_breaker(stored, await fail(stored, 3))
    await pause_is_over(stored)
    (probe,) = await stored.claim("hook")

    (of_stray,) = (await stored.record(ended(stray))).runs
    (of_probe,) = (await stored.record(ended(probe))).runs

    assert judge(of_stray, breaker=BREAKER, endurance=ENDURANCE, jitter=0) is None
    assert judge(of_probe, breaker=BREAKER, endurance=ENDURANCE, jitter=0) == Open(2 * BREAKER.pause)
    assert await open_breaker(stored, of_probe, 2 * BREAKER.pause)
    assert 110 < await stored.due_in("hook") <= 120


@pytest.mark.parametrize("how", ["interrupted", "handed back", "its sender died"])
async def test_a_probe_that_shows_nothing_leaves_the_next_one_free(stored: Store, how: str) -> None:
    await stored.configure({"hook": {}})
    await stored.events(8)
    await open_breaker(stored, await fail(stored, 3))
    await pause_is_over(stored)
    (probe,) = await stored.claim("hook")

    match how:
        case "interrupted":
            retry = RetryIn(dt.timedelta(0), spends_step=False)
            await stored.record(ended(probe, None, retry, kind=OutcomeClass.INTERRUPTED))
        case "handed back":
            await deliveries.hand_back(stored.database, [probe])
        case _:
            await stored.sql("UPDATE channel_pace SET probe_until = clock_timestamp() - interval '1 s'")

    assert len(await stored.claim("hook")) == 1
    assert await stored.claim("hook") == []


async def test_an_answer_before_the_pause_is_written_keeps_it_closed(stored: Store) -> None:
    """The breaker is judged first and written later: an answer may come in between."""
    await stored.configure({"hook": {}})
    await stored.events(8)
    (other,) = await stored.claim("hook", 1)
    run = await fail(stored, 3)
    await stored.record(ended(other, 200))

    assert not await open_breaker(stored, run)
    assert not await paces.disable(stored.database, run, "too late")


async def test_in_one_batch_the_order_in_which_attempts_ended_decides(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(4)
    first, second, third, fourth = await stored.claim("hook")
    at = [NOW + dt.timedelta(seconds=n) for n in range(4)]

    recorded = await stored.record(
        ended(first, 503, started_at=at[0]),
        ended(second, 503, started_at=at[3]),  # the only one after the success
        ended(third, 200, started_at=at[2]),
        ended(fourth, 503, started_at=at[1]),
    )

    (run,) = recorded.runs
    assert (run.downs, run.failures, run.events) == (1, 1, 1)


async def test_recording_again_counts_nothing_twice(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    (claimed,) = await stored.claim("hook")
    done = ended(claimed, 503, RetryIn(dt.timedelta(minutes=5)))

    await stored.record(done)
    await stored.record(done)

    assert await stored.sql("SELECT downs, failures FROM channel_pace") == [(1, 1)]


async def test_of_a_retry_after_and_the_breaker_the_later_one_counts(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(8)
    run = await fail(stored, 2)
    (claimed,) = await stored.claim("hook", 1)
    asked = RetryIn(dt.timedelta(minutes=10), pause=dt.timedelta(minutes=10))
    (run,) = (await stored.record(ended(claimed, 503, asked))).runs

    await open_breaker(stored, run)  # a minute

    assert 590 < await stored.due_in("hook") <= 600


async def test_a_channel_failing_five_days_is_disabled_until_enabled(
    stored: Store,
) -> None:
    await stored.configure({"hook": {}})
    await stored.events(2)
    for _ in range(9):
        await fail(stored, 1)
    await stored.sql("UPDATE channel_pace SET failing_since = failing_since - interval '5 days'")
    run = await fail(stored, 1)

    decided = judge(run, breaker=BREAKER, endurance=ENDURANCE, jitter=0)
    assert isinstance(decided, StopSending)
    disabled = await asyncio.gather(*(paces.disable(stored.database, run, decided.reason) for _ in range(4)))
    await sweeps.sweep(stored.database, ENDS)
    await stored.events(1)

    assert sorted(disabled) == [False, False, False, True]
    by = "no success for 5.0 days: 10 attempts failed since the last one"
    assert await stored.sql("SELECT disabled_by, disabled_reason FROM channel") == [("tollbell", by)]
    assert await stored.sql("SELECT DISTINCT state, reason FROM delivery") == [("FAILED", "channel_disabled")]
    await stored.configure({"hook": {"disabled": False}})
    forgotten = "SELECT downs, opened, failures, failing_since, paused_until, failing_events FROM channel_pace"
    assert await stored.sql(forgotten) == [(0, 0, 0, None, None, [])]
    assert await stored.sql("SELECT disabled_by, disabled_reason FROM channel") == [(None, None)]


async def test_a_success_ends_the_run_of_failures(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(3)
    await fail(stored, 2)
    (claimed,) = await stored.claim("hook", 1)

    await stored.record(ended(claimed, 200))
    run = await fail(stored, 1)

    assert (run.failures, run.events, run.downs) == (1, 1, 1)


async def test_what_is_our_fault_is_no_failure_of_the_receiver(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(2)
    first, second = await stored.claim("hook")

    recorded = await stored.record(
        ended(first, None, GiveUp(), kind=OutcomeClass.RENDERING), ended(second, None, kind=OutcomeClass.REQUEST)
    )

    assert recorded.runs == ()


async def test_a_recorded_end_says_whether_it_frees_a_waiting_one(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    await stored.events(1, after=b"\x00" * 31 + b"\x01")
    (claimed,) = await stored.claim("hook")

    retried = await stored.record(ended(claimed, 503))
    (claimed,) = await stored.claim("hook")
    done = await stored.record(ended(claimed, 200))

    assert (retried.is_freeing, done.is_freeing) == (False, True)
    assert len(await stored.claim("hook")) == 1
