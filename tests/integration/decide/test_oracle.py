"""The running service makes the oracle's events, whatever happens to its replicas: nothing lost, nothing twice.

All four rule types, several namespaces, records spread over three topics, one in five of them twice, late ones among
them. Every record of an entitlement or invoice is in one partition, so the order in which it arrives is known.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import pytest

from consumer import clock
from consumer.demo.servers.contracts import Broker
from tests.conftest import MakeDeployment, MakeTopic, Produce
from tests.support.fakes import Receiver
from tests.support.service import Replica
from tests.support.stage import PARTITIONS, SETTINGS, Stage, replicas, staged
from tests.support.workload import workloads

EXAMPLES = 5  # for each of the two tests
pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(300)]


@pytest.fixture
def seed() -> int:
    """The run's own; `TOLLBELL_TEST_SEED=…` repeats one."""
    chosen = int(os.environ.get("TOLLBELL_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"TOLLBELL_TEST_SEED={chosen}")  # noqa: T201 - shown where the test fails
    return chosen


@pytest.fixture
async def stage(
    seed: int, kafka: Broker, deploy: MakeDeployment, make_topic: MakeTopic, produce: Produce, receiver: Receiver
) -> Stage:
    resets, invoices = await make_topic(PARTITIONS), await make_topic(PARTITIONS)
    deployment = await deploy(
        PARTITIONS, **(SETTINGS | {"TOLLBELL_TOPICS_RESETS": resets, "TOLLBELL_TOPICS_INVOICES": invoices})
    )
    return await staged(deployment, kafka, receiver, produce, workloads(EXAMPLES, seed))


def check(stage: Stage, rows: Sequence[asyncpg.Record]) -> None:
    """Compare what is in the database, and what the receiver got, with what the oracle expects."""
    ledger = stage.ledger(rows)
    assert ledger.wrong() == {}
    assert ledger.made > 10 * EXAMPLES  # enough of them to mean something


async def first_to_write(one: Replica, other: Replica) -> tuple[Replica, Replica]:
    """Return the two, the one first that has just written a batch."""
    waiting = {asyncio.create_task(each.logged("batch.ingested")): each for each in (one, other)}
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return (one, other) if waiting[next(iter(done))] is one else (other, one)


async def after(seconds: float, act: Callable[[], Awaitable[object]]) -> None:
    """Do it at whatever moment that is for a replica."""
    await clock.wait(asyncio.Event(), seconds)
    await act()


async def test_kills_and_swapped_partitions_lose_and_double_nothing(stage: Stage, seed: int) -> None:
    dice = random.Random(seed)
    async with replicas(stage.deployment, {}, {}) as two:
        sending = asyncio.create_task(stage.send(0, 4))
        victim, other = await first_to_write(*two)  # written; its offsets perhaps not committed
        victim.kill()
        await sending
        async with replicas(stage.deployment, {}) as (joiner,):  # partitions move while records flow
            await asyncio.gather(stage.send(1, 4), after(dice.random(), other.terminate))
            async with replicas(stage.deployment, {}) as (last,):
                await asyncio.gather(stage.send(2, 4), after(dice.random(), joiner.dies))
                await stage.send(3, 4)
                await stage.settled()
                await stage.ends()
                rows = await stage.settled()
                assert await last.terminate() == 0

    check(stage, rows)


async def test_a_written_batch_read_again_adds_nothing(stage: Stage, seed: int) -> None:
    """Its offsets were not committed."""
    dice = random.Random(seed)
    async with replicas(stage.deployment, {}) as (one,):
        await stage.send(0, 2)
        before = await stage.settled()
        assert await one.terminate() == 0
    await stage.read_again_from(dice)

    async with replicas(stage.deployment, {}, {}) as (left, right):
        between = await stage.settled()
        await stage.send(1, 2)
        await stage.settled()
        await stage.ends()
        after = await stage.settled()
        assert [await left.terminate(), await right.terminate()] == [0, 0]

    following = {
        (one.namespace, name) for one in stage.workloads for name, rule in one.rules.items() if rule.looks_back
    }
    known = {row["id"] for row in before}
    assert {row["id"] for row in between} >= known
    assert {(row["namespace"], row["key"]) for row in between if row["id"] not in known} <= following
    check(stage, after)
