"""Latency: from a record's making to its webhook's arrival, at a steady pace; and what black holes do to others."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

import asyncpg

from consumer import clock
from tests.bench.delivering import Receivers, receivers
from tests.bench.place import LOOK, Place, postgres_cpu, service
from tests.bench.rules import hook, quota
from tests.support.service import ROOT, Deployment

CHANNELS = 50  # each with a rule for a feature of its own
WARM_UP = 3.0  # seconds that are not counted
HOLES = 10


@dataclass(frozen=True, slots=True)
class Load:
    """*rate* records a second for *seconds*, one in *one_in* of them firing."""

    rate: int
    seconds: int
    one_in: int = 1
    holes: int = 0
    delay: float = 0
    replicas: int = 1

    @property
    def name(self) -> str:
        firing = "all firing" if self.one_in == 1 else f"{100 / self.one_in:g} % firing"
        holes = f", {self.holes} of {CHANNELS} channels black holes" if self.holes else ""
        replicas = f", {self.replicas} replicas" if self.replicas > 1 else ""
        return f"record to webhook at {self.rate}/s, {firing}{holes}{replicas}"


LOADS = [
    Load(50, 20),
    Load(200, 20),
    Load(500, 20),
    Load(2_000, 20, replicas=2),
    Load(10_000, 20, one_in=50, replicas=2),
]
FAIR = [Load(500, 25, delay=0.02), Load(500, 25, delay=0.02, holes=HOLES)]


async def measure(place: Place, load: Load) -> dict[str, object]:
    """Measure *load* on replicas that have both roles."""
    async with receivers(load.delay) as to, place.deployment() as deployment:
        await configured(deployment, to, load.holes)
        with contextlib.ExitStack() as stack:
            replicas = [
                stack.enter_context(service(deployment, "--only", "consume,deliver")) for _ in range(load.replicas)
            ]
            for process in replicas:
                await process.logged("partitions.assigned")
            cpu, of_postgres = sum(process.cpu for process in replicas), postgres_cpu()
            topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
            said = await produced(place.bootstrap, topic, load)
            until = clock.monotonic() + 20
            healthy = await expected(deployment, load)
            arrivals: list[tuple[str, float]] = []
            while len({event for event, _ in arrivals} & healthy.keys()) < len(healthy) and clock.monotonic() < until:
                await clock.wait(asyncio.Event(), LOOK * 10)
                arrivals += await to.arrivals()
                healthy = await expected(deployment, load)
            costs = {
                "cpu_us": round((sum(process.cpu for process in replicas) - cpu) / len(healthy) * 1e6),
                "postgres_us": round((postgres_cpu() - of_postgres) / len(healthy) * 1e6),
                "memory_mib": round(max(process.memory for process in replicas)),
            }
            return row(load, healthy, arrivals, said) | costs


def row(load: Load, made: dict[str, float], arrivals: Sequence[tuple[str, float]], said: float) -> dict[str, object]:
    to_wall = clock.now().timestamp() - clock.monotonic()
    first: dict[str, float] = {}
    for event, at in arrivals:
        first.setdefault(event, at + to_wall)
    taken = [first[event] - at for event, at in made.items() if event in first and at > said + WARM_UP]
    cuts = quantiles(taken, n=1000)
    return {
        "what": load.name,
        "events": len(made),
        "received": len(first.keys() & made.keys()),
        "p50_ms": round(cuts[499] * 1000, 1),
        "p99_ms": round(cuts[989] * 1000, 1),
        "max_ms": round(max(taken) * 1000, 1),
    }


async def expected(deployment: Deployment, load: Load) -> dict[str, float]:
    """Return the events of channels that answer, and when their records were made (wall clock)."""
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    try:
        rows = await connection.fetch("SELECT id, feature_key, occurred_at FROM event")
    finally:
        await connection.close()
    return {row["id"]: row["occurred_at"].timestamp() for row in rows if int(row["feature_key"][1:]) >= load.holes}


async def configured(deployment: Deployment, to: Receivers, holes: int) -> None:
    """Apply a channel and a rule for each feature; the first *holes* are never answered."""
    channels = [hook(f"hook-{n}", to.url(n, "/hole" if n < holes else "/hook")) for n in range(CHANNELS)]
    rules = [quota(f"quota-{n}", f"hook-{n}", f"f{n}", [80]) for n in range(CHANNELS)]
    applied = await deployment.apply(json.dumps({"namespace": "default", "channels": channels, "rules": rules}))
    assert applied.status == 0, applied.err


async def produced(bootstrap: str, topic: str, load: Load) -> float:
    """Produce in a process of its own; return when it began, by the wall clock."""
    arguments = ["-m", "tests.bench.producing", bootstrap, topic, *map(str, (load.rate, load.seconds, load.one_in))]
    began = clock.now().timestamp()
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT)
    assert await process.wait() == 0
    return began
