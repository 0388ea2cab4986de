"""The part of `make faults` that every run of the tests has: two steps at which most could go wrong, and hostile
receivers, each kind of them, for a few seconds."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from consumer import clock
from consumer.demo.servers import choose
from consumer.errors import Unavailable
from tests.faults import receivers
from tests.faults.cases import CASES
from tests.faults.run import Servers, ended, running
from tests.faults.servers import serving
from tests.support.workload import workloads

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        try:
            started = await stack.enter_async_context(serving())
        except Unavailable as exc:
            if choose.in_ci():
                raise
            pytest.skip(f"needs an Apache Kafka and a Postgres of its own to stop: {exc}")
        yield started


@pytest.mark.parametrize("case", ["killed at record.before", "stopped at write.before"])
async def test_nothing_is_lost_and_nothing_made_twice(servers: Servers, tmp_path: Path, case: str) -> None:
    since = clock.monotonic()
    async with running(servers, tmp_path, workloads(2, 1), seed=1) as run:
        await CASES[case](run)
        outcome = await ended(run, since)

    assert outcome.ledger.wrong() == {}
    assert outcome.ledger.made > 50
    assert outcome.recovery is not None


async def test_hostile_receivers_of_every_kind_delay_no_other_channel(servers: Servers, tmp_path: Path) -> None:
    async with running(servers, tmp_path, [], seed=1) as run:
        await receivers.hostile_receivers(run, receivers.SHORT)
