"""Disturbing: how late new deliveries are while a thousand channels refuse at once, or a whole recovery is sent."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

import asyncpg

from consumer import clock
from consumer.demo.servers import network
from consumer.store.intervals import lowest_id
from tests.bench.bare import BODY
from tests.bench.delivering import EVENTS, Receivers, configured, receivers
from tests.bench.place import LOOK, Place, postgres_cpu, service
from tests.support.service import Deployment

PACE, STEP = 100, 0.05  # new deliveries a second, in steps of so many seconds
BEFORE, SECONDS = 4.0, 10.0  # of the pace: undisturbed, and disturbed
HEALTHY, REFUSING, EACH = 50, 1_000, 8
BACKLOG, RATE = 20_000, 500  # deliveries of a recovery; a second
NEW = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
    SELECT e, c, 'default', 'PENDING', clock_timestamp() FROM unnest($1::text[], $2::text[]) AS n (e, c)
"""
AGAIN = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at, round, recovered)
    SELECT $1::text || lpad(n::text, 16, '0'), ($3::text[])[n % cardinality($3::text[]) + 1], 'default',
           'RESENDING', clock_timestamp(), 2, $4
    FROM generate_series(1, $2) n
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What disturbs new events: *refusing* channels, or a recovery of the very channel that new events are for."""

    refusing: int = 0
    rate: int | None = None  # of the channel that is recovered

    @property
    def name(self) -> str:
        if self.refusing:
            return f"{HEALTHY} channels at {PACE}/s while {self.refusing} refuse at once"
        limit = f", its rate is {self.rate}/s" if self.rate else ""
        return f"new events at {PACE // 5}/s while {BACKLOG} of their channel are recovered{limit}"


LOADS = [Load(refusing=REFUSING), Load(), Load(rate=RATE)]


async def measure(place: Place, load: Load) -> dict[str, object]:
    """Measure *load*: from being due to arrival, before the disturbance and during it."""
    closed = network.free_ports(1)[0]
    async with receivers() as to, place.deployment(partitions=1) as deployment:
        urls = [to.url(n) for n in range(HEALTHY if load.refusing else 1)]
        others = [f"http://127.1.{n // 250}.{n % 250 + 1}:{closed}/hook" for n in range(load.refusing)]
        more = {"rateLimit": load.rate} if load.rate else {}
        ids = await configured(deployment, [*urls, *others], **more)
        with service(deployment, "--only", "deliver") as process:
            await process.logged("app.started")
            cpu, of_postgres = process.cpu, postgres_cpu()
            due, disturbed_at = await paced(deployment, load, ids[: len(urls)], ids[len(urls) :])
            arrived = await all_of(to, due)
            cpu, of_postgres = process.cpu - cpu, postgres_cpu() - of_postgres
    taken = [(due[event] >= disturbed_at, at - due[event]) for event, at in arrived.items()]
    return {
        "what": load.name,
        "events": len(taken),
        **cuts("", [late for is_disturbed, late in taken if is_disturbed]),
        **cuts("undisturbed_", [late for is_disturbed, late in taken if not is_disturbed]),
        "cpu_s": round(cpu, 1),
        "postgres_s": round(of_postgres, 1),
    }


async def paced(
    deployment: Deployment, load: Load, healthy: Sequence[str], others: Sequence[str]
) -> tuple[dict[str, float], float]:
    """Make deliveries due at the pace, and all that disturbs them in the midst; return since when each was due."""
    pace, begin = PACE if load.refusing else PACE // 5, lowest_id(clock.now())[:9]
    count = int(pace * (BEFORE + SECONDS))
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    try:
        await connection.execute(EVENTS, f"{begin}0", BODY, count)
        backlog = (EACH * len(others), others, False) if others else (BACKLOG, healthy, True)
        await connection.execute(EVENTS, f"{begin}1", BODY, backlog[0])
        due, start, disturbed_at = dict[str, float](), clock.monotonic(), float("inf")
        while len(due) < count:
            now = clock.monotonic()
            if now - start >= BEFORE and disturbed_at == float("inf"):
                disturbed_at = now
                await connection.execute(AGAIN, f"{begin}1", *backlog)
            new = range(len(due), min(int((now - start) * pace), count))
            events = [f"{begin}0{n + 1:016}" for n in new]
            due |= dict.fromkeys(events, clock.monotonic())
            await connection.execute(NEW, events, [healthy[n % len(healthy)] for n in new])
            await connection.execute("SELECT pg_notify('tollbell_outbox', '')")
            await clock.wait(asyncio.Event(), STEP)
    finally:
        await connection.close()
    return due, disturbed_at


async def all_of(to: Receivers, due: dict[str, float]) -> dict[str, float]:
    """Return when each of *due* has arrived first, once all have."""
    arrived: dict[str, float] = {}
    async with asyncio.timeout(300):
        while len(arrived) < len(due):
            for event, at in await to.arrivals():
                if event in due:
                    arrived.setdefault(event, at)
            await clock.wait(asyncio.Event(), LOOK * 10)
    return arrived


def cuts(name: str, taken: Sequence[float]) -> dict[str, float]:
    of = quantiles(taken, n=100)
    return {f"{name}p50_ms": round(of[49] * 1000, 1), f"{name}p99_ms": round(of[98] * 1000, 1)}
