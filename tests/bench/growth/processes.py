"""One, two and four processes of a role with the same to do: what each record and each delivery costs all of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

import asyncpg

from consumer import clock
from tests.bench.delivering import OF_A_CHANNEL, receivers
from tests.bench.growth import costs, fills
from tests.bench.growth.axes import prepared
from tests.bench.growth.costs import Reading, Row, connected
from tests.bench.growth.figures import Figure, Step, growth, step
from tests.bench.growth.sizes import DELIVERIES, SLICE, World
from tests.bench.growth.world import Records, known, sights
from tests.bench.place import LOOK, PARTITIONS, Place, Process, bare, service
from tests.support.service import Deployment

COUNTS = (1, 2, 4)
SLICES = 3
CHANNELS = 50
SAMPLE = 0.05  # seconds
LIMIT = 300
LOCKS = """
    SELECT count(*) FILTER (WHERE wait_event_type = 'Lock')
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


class Sampled:
    """How often a statement waited for a lock, of so many looks."""

    def __init__(self) -> None:
        self.looks = self.waits = 0

    @property
    def share(self) -> float:
        """In percent."""
        return round(100 * self.waits / max(self.looks, 1), 2)

    async def run(self, connection: asyncpg.Connection) -> None:
        while True:
            self.waits += bool(await connection.fetchval(LOCKS))
            self.looks += 1
            await clock.wait(asyncio.Event(), SAMPLE)


@contextlib.asynccontextmanager
async def sampled(deployment: Deployment) -> AsyncIterator[Sampled]:
    """Look at the locks meanwhile."""
    found = Sampled()
    async with connected(deployment) as connection:
        looking = asyncio.create_task(found.run(connection), name="locks")
        try:
            yield found
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking


@contextlib.contextmanager
def started(deployment: Deployment, role: str, count: int) -> Iterator[list[Process]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(service(deployment, "--only", role)) for _ in range(count)]


def used(processes: Sequence[Process]) -> float:
    return sum(process.cpu for process in processes)


async def processes(place: Place) -> tuple[list[Step], list[Figure]]:
    """Both roles."""
    consumed, delivered = await _consume(place), await _deliver(place)
    figures = growth("4 processes beside 1", consumed[0], consumed[-1], ["record_us"])
    figures += growth("4 processes beside 1", delivered[0], delivered[-1], ["delivery_us"])
    steps = consumed + delivered
    figures += [
        Figure(f"{one.axis} {one.size}: % of looks with a lock wait", one.row["waits_percent"]) for one in steps
    ]
    return steps, [*figures, Figure("deadlocks", sum(one.row["deadlocks"] for one in steps), "0")]


async def _consume(place: Place) -> list[Step]:
    """Entitlements that are known: every process has seen those of its partitions first."""
    steps: list[Step] = []
    for count in COUNTS:
        async with prepared(place, world := World()) as (deployment, topic):
            with started(deployment, "consume", count) as running:
                await _shared(running)
                await _read(topic, topic.send(sights(world)))
                for process in running:
                    process.pause()
                begin, target = topic.position, topic.send(_values(world))
                floor = await costs.beside(topic, begin, target - begin)
                for process in running:
                    process.go_on()
                async with sampled(deployment) as locks:
                    cpu, began = used(running), clock.monotonic()
                    await _read(topic, target)
                    cpu, seconds = used(running) - cpu, clock.monotonic() - began
            made = target - world.entitlements
            row = await _row(
                deployment, locks, {"record_us": cpu / made * 1e6, "bare_us": floor["cpu_us"], "rate": made / seconds}
            )
            steps.append(step("consume", count, row))
    return steps


def _values(world: World) -> Records:
    return ((one, value) for one, value, _ in known(world, SLICES, SLICE))


async def _shared(running: Sequence[Process]) -> None:
    """Return once each has the same number of partitions, so that no member is about to join."""

    def last(process: Process) -> int:
        return int((process.lines("partitions.assigned") or [{"partitions": 0}])[-1]["partitions"])

    async with asyncio.timeout(LIMIT):
        while any(last(process) != PARTITIONS // len(running) for process in running):
            await clock.wait(asyncio.Event(), LOOK)


async def _read(topic: Reading, until: int) -> None:
    async with asyncio.timeout(LIMIT):
        while await topic.committed() < until:
            await clock.wait(asyncio.Event(), LOOK)


async def _deliver(place: Place) -> list[Step]:
    """What is due appears at once, when all are there and wait."""
    steps: list[Step] = []
    async with receivers() as to, prepared(place, World(channels=CHANNELS), to.url) as (deployment, _):
        urls = [to.url(n) for n in range(CHANNELS)]
        for count in COUNTS:
            floor = await bare("post", DELIVERIES // 2, CHANNELS * OF_A_CHANNEL, "-", *urls)
            await to.arrivals()
            with started(deployment, "deliver", count) as running:
                for process in running:
                    await process.logged("app.started")
                async with connected(deployment) as connection, sampled(deployment) as locks:
                    every, of = await costs.channels(connection), await costs.rules(connection)
                    cpu = used(running)
                    await fills.due(connection, every, DELIVERIES, of[0])
                    async with asyncio.timeout(LIMIT):
                        while await connection.fetchval("SELECT count(*) FROM delivery WHERE due_at IS NOT NULL"):
                            await clock.wait(asyncio.Event(), LOOK * 5)
                    cpu = used(running) - cpu
            arrivals = dict(await to.arrivals())
            assert len(arrivals) == DELIVERIES
            seconds = max(arrivals.values()) - min(arrivals.values())
            figures = {"delivery_us": cpu / DELIVERIES * 1e6, "bare_us": floor["cpu_us"], "rate": DELIVERIES / seconds}
            steps.append(step("deliver", count, await _row(deployment, locks, figures)))
    return steps


async def _row(deployment: Deployment, locks: Sampled, figures: Row) -> Row:
    async with connected(deployment) as connection:
        deadlocks = await connection.fetchval(DEADLOCKS)
    assert deadlocks == 0
    shown = {name: round(value, 1) for name, value in figures.items()}
    return {**shown, "waits_percent": locks.share, "deadlocks": deadlocks}
