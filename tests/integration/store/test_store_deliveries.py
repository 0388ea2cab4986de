"""Leases, attempts and ends of deliveries, on a real Postgres: each beside the races that it is made for."""

import asyncio
import datetime as dt

import pytest

from consumer.decide.verdict import Delivered, GiveUp, RetryIn
from consumer.store import deliveries, outbox, sweeps
from consumer.store.database import Database
from consumer.store.memory import EntitlementKey
from consumer.store.sweeps import Ends
from tests.support.one_rule import LEASE, Expire, configure, ended, make_change, scalar, state
from tests.support.stores import ENDS, STEPS


async def test_a_lease_is_held_by_one_claimer(store: Database, one_delivery: str) -> None:
    claims = await asyncio.gather(*(deliveries.claim(store, {one_delivery: 8}, LEASE, steps=STEPS) for _ in range(6)))

    assert sum(len(claimed) for claimed in claims) == 1


async def test_six_claimers_share_many_deliveries_without_sharing_one(store: Database) -> None:
    rule = await configure(store, "a", "b", "c")
    changes = [
        make_change(rule, key=EntitlementKey("default", f"e{n}"), identity=n.to_bytes(32, "big")) for n in range(500)
    ]
    await outbox.write(store, changes)
    channels = [channel.id for channel in await deliveries.due_channels(store)]

    async def claimer() -> list[int]:
        mine: list[int] = []
        while batch := await deliveries.claim(store, dict.fromkeys(channels, 10), LEASE, steps=STEPS):
            mine += [one.id for one in batch]
        return mine

    taken = [one for mine in await asyncio.gather(*(claimer() for _ in range(6))) for one in mine]

    assert len(taken) == len(set(taken)) == 1500


async def test_a_success_ends_the_delivery_and_keeps_the_attempt(
    store: Database, database: str, one_delivery: str
) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)

    await deliveries.record(store, [ended(claimed, 204, Delivered())])

    assert await state(database) == {
        "state": "SUCCESS", "attempts": 1, "step": 1, "interrupted": 0, "reason": None, "free": True,
        "tried": [(1, "status", 204)],
    }  # fmt: skip


async def test_a_retry_is_due_after_its_delay_and_spends_a_step(
    store: Database, database: str, one_delivery: str
) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)

    await deliveries.record(store, [ended(claimed, 503, RetryIn(dt.timedelta(minutes=5)))])

    (channel,) = await deliveries.due_channels(store)
    assert 295 < channel.due_in <= 300
    assert await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS) == []
    assert (await state(database))["step"] == 1


async def test_recording_twice_changes_nothing(store: Database, database: str, one_delivery: str) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)
    done = ended(claimed, 503, GiveUp())

    await deliveries.record(store, [done])
    once = await state(database)
    await deliveries.record(store, [done])

    assert await state(database) == once
    assert once["state"] == "FAILED"


async def test_an_expired_lease_is_due_again_and_interrupted(
    store: Database, database: str, one_delivery: str, lease_runs_out: Expire
) -> None:
    await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)
    await lease_runs_out()

    (again,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)

    assert (again.was_lost, again.number, again.step, again.interrupted) == (True, 2, 0, 1)
    assert (await state(database))["tried"] == [(1, "interrupted", None)]


async def test_five_interruptions_spend_no_step_of_the_schedule(
    store: Database, one_delivery: str, lease_runs_out: Expire
) -> None:
    await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)
    steps = []
    for _ in range(7):
        await lease_runs_out()
        (again,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)
        steps.append(again.step)

    assert steps == [0, 0, 0, 0, 0, 1, 2]


async def test_a_zombies_2xx_counts_and_its_other_answers_do_not(
    store: Database, database: str, one_delivery: str, lease_runs_out: Expire
) -> None:
    (zombie,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)
    await lease_runs_out()
    (owner,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)

    await deliveries.record(store, [ended(zombie, 500, GiveUp())])
    refused = await state(database)
    await deliveries.record(store, [ended(zombie, 200, Delivered())])
    await deliveries.record(store, [ended(owner, 500, RetryIn(dt.timedelta(0)))])

    # The answer is kept in place of `interrupted`; the delivery is the owner's, until a process has a 2xx.
    assert (refused["state"], refused["tried"]) == ("SENDING", [(1, "status", 500)])
    last = await state(database)
    assert last["state"] == "SUCCESS"
    assert last["tried"][1] == (2, "status", 500)


async def test_dying_senders_spend_the_schedule_after_five(
    store: Database, database: str, one_delivery: str, lease_runs_out: Expire
) -> None:
    claimed = 0
    for _ in range(12):
        claimed += len(await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=2))
        await sweeps.sweep(store, Ends(longest_round=ENDS.longest_round, steps=2))
        if (await state(database))["state"] == "FAILED":
            break
        await lease_runs_out()

    last = await state(database)
    assert (claimed, last["attempts"], last["reason"]) == (7, 7, None)
    assert last["tried"] == [(n, "interrupted", None) for n in range(1, 8)]


async def test_who_answers_last_counts_though_another_has_the_lease(
    store: Database, database: str, one_delivery: str, lease_runs_out: Expire
) -> None:
    (zombie,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)
    await lease_runs_out()
    (owner,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)

    await deliveries.record(store, [ended(zombie, 200, Delivered())])
    known = await state(database)
    await deliveries.record(store, [ended(owner, 500, GiveUp())])

    assert (known["state"], known["attempts"]) == ("SUCCESS", 2)
    assert known["tried"] == [(1, "status", 200), (2, "interrupted", None)]
    last = await state(database)
    assert (last["state"], last["tried"]) == ("SUCCESS", [(1, "status", 200), (2, "status", 500)])


async def test_both_answers_in_one_batch_count_each(
    store: Database, database: str, one_delivery: str, lease_runs_out: Expire
) -> None:
    (zombie,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)
    await lease_runs_out()
    (owner,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)

    both = [ended(owner, 503, RetryIn(dt.timedelta(hours=1))), ended(zombie, 200, Delivered())]
    await deliveries.record(store, both)

    last = await state(database)
    assert (last["state"], last["attempts"]) == ("SUCCESS", 2)
    assert last["tried"] == [(1, "status", 200), (2, "status", 503)]


async def test_a_claim_handed_back_leaves_no_trace(store: Database, database: str, one_delivery: str) -> None:
    before = await state(database)
    claimed = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)

    await deliveries.hand_back(store, claimed)

    assert await state(database) == before
    assert len(await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)) == 1


@pytest.mark.usefixtures("one_delivery")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE channel SET disabled_by = 'person' RETURNING 1", "channel_disabled"),
        ("UPDATE channel SET deleted_at = now() RETURNING 1", "channel_deleted"),
        ("UPDATE delivery SET round_from = now() - interval '73 h' RETURNING 1", "too_old"),
    ],
)
async def test_the_sweep_ends_what_no_attempt_will_end(
    store: Database, database: str, change: str, reason: str
) -> None:
    assert await sweeps.sweep(store, ENDS) == 0
    await scalar(database, change)

    assert await sweeps.sweep(store, ENDS) == 1

    assert (await state(database))["reason"] == reason
    assert await deliveries.due_channels(store) == []


@pytest.mark.usefixtures("one_delivery")
async def test_the_sweep_finds_nothing_that_is_set_aside(store: Database, database: str) -> None:
    found = []
    for change in (
        "UPDATE delivery SET round_from = now() - interval '73 h' RETURNING 1",
        "UPDATE channel SET disabled_by = 'person' RETURNING 1",
    ):
        await scalar(database, change)
        (one,) = await sweeps.over(store, ENDS)
        found += await sweeps.over(store, ENDS, but=[one])
        found.append(await sweeps.sweep(store, ENDS, but=[one]))

    assert found == [0, 0]


async def test_a_disabled_channels_delivery_in_flight_ends_later(
    store: Database, database: str, one_delivery: str
) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)
    await scalar(database, "UPDATE channel SET disabled_by = 'person' RETURNING 1")

    swept = await sweeps.sweep(store, ENDS)
    await deliveries.record(store, [ended(claimed, 503, RetryIn(dt.timedelta(seconds=5)))])

    assert swept == 0
    last = await state(database)
    assert (last["state"], last["reason"], last["tried"]) == ("FAILED", "channel_disabled", [(1, "status", 503)])
