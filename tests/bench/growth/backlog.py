"""Catching up: a whole `tollbell run` is started on a topic that is full."""

import asyncio
from dataclasses import replace

from consumer import clock
from tests.bench.delivering import Receivers, receivers
from tests.bench.growth.axes import prepared
from tests.bench.growth.costs import Reading, connected
from tests.bench.growth.figures import MEMORY, Figure, Step, step
from tests.bench.growth.sizes import BACKLOG, World, scaled
from tests.bench.growth.world import QUIET, Records, record_maker
from tests.bench.place import Place, Process, service

LOOK = 0.1  # seconds
FIRE, USAGE = 1000, 60
LIMIT = 900  # seconds
WORLD = replace(World(), entitlements=scaled(100_000, 1_000))


def records() -> Records:
    """Return a backlog: each entitlement in turn, one record in a thousand firing, none of them twice."""
    make = record_maker(WORLD)
    for n in range(BACKLOG):
        turn, one = divmod(n, WORLD.entitlements)
        yield one, make(one, turn, USAGE if _fires(one, turn) else QUIET)


def expected() -> int:
    return sum(_fires(n % WORLD.entitlements, n // WORLD.entitlements) for n in range(BACKLOG))


def _fires(one: int, turn: int) -> bool:
    return (one + turn) % FIRE == 0


async def backlog(place: Place) -> tuple[list[Step], list[Figure]]:
    """Return the rate, the most memory held, and when the first and the last webhook came, from the start on."""
    async with receivers() as to, prepared(place, WORLD, to.url) as (deployment, topic):
        topic.send(records())
        began = clock.monotonic()
        with service(deployment) as process:
            await process.logged("partitions.assigned")
            peak = await _caught_up(topic, process)
            read = clock.monotonic()
            arrivals, most = await _all_arrived(to, process, expected())
        async with connected(deployment) as connection:
            assert await connection.fetchval("SELECT count(*) FROM event") == expected() == len(arrivals)
    row = {
        "rate": round(BACKLOG / (read - began)),
        "seconds": round(read - began, 1),
        "peak_mib": round(max(peak, most)),
        "first_webhook_s": round(min(arrivals.values()) - began, 2),
        "last_webhook_s": round(max(arrivals.values()) - began, 2),
        "webhooks": len(arrivals),
    }
    shown = [Figure(f"backlog: {name}", row[name]) for name in ("rate", "first_webhook_s", "last_webhook_s")]
    return [step("backlog", BACKLOG, row)], [*shown, Figure("backlog: peak_mib", row["peak_mib"], MEMORY)]


async def _caught_up(topic: Reading, process: Process) -> float:
    """Return the most memory that *process* has held, once all is committed."""
    peak = 0.0
    async with asyncio.timeout(LIMIT):
        while await topic.committed() < topic.position:
            peak = max(peak, process.memory)
            await clock.wait(asyncio.Event(), LOOK)
    return peak


async def _all_arrived(to: Receivers, process: Process, count: int) -> tuple[dict[str, float], float]:
    """Return when each webhook came first, once there are *count*; and the most memory held meanwhile."""
    arrivals: dict[str, float] = {}
    peak = 0.0
    async with asyncio.timeout(LIMIT):
        while len(arrivals) < count:
            for event, at in await to.arrivals():
                arrivals.setdefault(event, at)
            peak = max(peak, process.memory)
            await clock.wait(asyncio.Event(), LOOK)
    return arrivals, peak
