"""What a record, a claim and a page of a list cost in a world as it is.

Beside each, in turn with it, something that does not grow: the bare loop on the same records, a series that Postgres
counts. The machine is not the same from minute to minute, and growth is a ratio over minutes.
"""

import contextlib
import datetime as dt
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import islice
from statistics import median

import aiohttp
import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer import clock
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.verdict import Delivered
from consumer.store import deliveries
from consumer.store.database import Database
from consumer.store.deliveries import Ended
from tests.bench.growth import fills
from tests.bench.growth.sizes import SLICE, World
from tests.bench.growth.world import Records, known, produce, sights
from tests.bench.judging import read
from tests.bench.place import PARTITIONS, bare, service
from tests.support.service import Deployment

REMEMBERED = "TOLLBELL_CONSUME_MEMORY_ENTITLEMENTS"
SLICES = 4  # the first warms up
CLAIMED, ROUNDS, WARM_UP = 100, 40, 5
LEASE = dt.timedelta(seconds=30)
STEPS = 8
REQUESTS = 40
SERIES = "SELECT count(*) FROM generate_series(1, 20000) n"
LISTS = {"events_ms": "/events", "rules_ms": "/rules?pageSize=1", "channels_ms": "/channels?pageSize=1"}
Row = dict[str, float]


@dataclass(slots=True)
class Reading:
    """A topic that is filled, and how far its group has come."""

    bootstrap: str
    topic: str
    consumer: AIOKafkaConsumer
    position: int = 0

    def send(self, records: Records) -> int:
        """Send *records*; return the position after them."""
        self.position += produce(self.bootstrap, self.topic, records)
        return self.position

    async def committed(self) -> int:
        partitions = [TopicPartition(self.topic, n) for n in range(PARTITIONS)]
        return sum([await self.consumer.committed(tp) or 0 for tp in partitions])


@contextlib.asynccontextmanager
async def reading(deployment: Deployment) -> AsyncIterator[Reading]:
    bootstrap = deployment.environment["TOLLBELL_KAFKA_BOOTSTRAP_SERVERS"]
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=topic, enable_auto_commit=False) as consumer:
        yield Reading(bootstrap, topic, consumer)


@contextlib.asynccontextmanager
async def connected(deployment: Deployment) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    try:
        yield connection
    finally:
        await connection.close()


async def of_records(
    deployment: Deployment, topic: Reading, world: World, turn: int = 0, *, only: str = "consume"
) -> Row:
    """Return what a record of an entitlement that is known costs a new process, and what that holds in the end.

    The process sees every entitlement first, which is not counted; it is paused while the bare loop reads.
    """
    begin = topic.position
    seen = topic.send(sights(world, turn))
    fires = 0

    def values() -> Records:
        nonlocal fires
        for one, value, is_firing in known(world, SLICES, SLICE, turn):
            fires += is_firing
            yield one, value

    until = topic.send(values())
    size = (until - seen) // SLICES
    events = await _events(deployment)
    with service(deployment, "--only", only) as process:
        await process.logged("partitions.assigned")
        first, position = await read(topic.consumer, topic.topic, [process], begin, seen)
        found: list[Row] = []
        floor: list[Row] = []
        for n in range(SLICES):
            row, position = await read(topic.consumer, topic.topic, [process], position, seen + (n + 1) * size)
            found.append(row)
            process.pause()
            floor.append(await beside(topic, seen + n * size, size))
            process.go_on()
        memory = process.memory
    assert await _events(deployment) - events == fires
    return {
        "record_us": round(median(one["cpu_us"] for one in found[1:]), 1),
        "bare_us": round(median(one["cpu_us"] for one in floor[1:]), 2),
        "rate": round(median(one["rate"] for one in found[1:])),
        "first_sight_us": round(first["cpu_us"], 1),
        "consume_mib": round(memory),
    }


async def of_strangers(deployment: Deployment, topic: Reading, world: World, turn: int) -> float:
    """Return what a record costs whose entitlement Postgres knows and the process does not: few are remembered."""
    environment = deployment.environment | {REMEMBERED: str(SLICE // 20)}
    records = sights(world, turn)
    begin, middle = topic.position, topic.send(islice(records, SLICE // 4))
    until = topic.send(islice(records, SLICE // 4))
    with service(replace(deployment, environment=environment), "--only", "consume") as process:
        await process.logged("partitions.assigned")
        _, position = await read(topic.consumer, topic.topic, [process], begin, middle)
        row, _ = await read(topic.consumer, topic.topic, [process], position, until)
    return round(row["cpu_us"], 1)


async def beside(topic: Reading, begin: int, size: int) -> Row:
    """Return what the bare loop does with the *size* records from *begin* on, or nearly all of them."""
    first, last = (position // PARTITIONS for position in (begin, begin + size))
    return await bare("consume", topic.bootstrap, topic.topic, first, last - (last - first) // 20, PARTITIONS)


async def _events(deployment: Deployment) -> int:
    async with connected(deployment) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM event WHERE namespace <> 'default'"))


@contextlib.asynccontextmanager
async def due(deployment: Deployment, on: int) -> AsyncIterator[None]:
    """Have something due on so many channels; it is removed at the end."""
    async with connected(deployment) as connection:
        every = await channels(connection)
        chosen = every[:: max(len(every) // on, 1)][:on]
        count = CLAIMED * (ROUNDS + WARM_UP) + on
        ids = await fills.due(connection, chosen, count, (await rules(connection))[0])
        yield
        await fills.remove(connection, ids)


async def of_claims(deployment: Deployment) -> Row:
    """Return what it takes to claim a hundred deliveries of what is due, and to record them."""
    names = ("look", "leased", "recorded", "claims_beside")
    taken: dict[str, list[float]] = {name: [] for name in names}
    database = await Database.connect(deployment.environment["TOLLBELL_DATABASE_URL"], size=2)
    async with connected(deployment) as connection:
        for _ in range(ROUNDS + WARM_UP):
            at = [clock.monotonic()]
            found = [one.id for one in await deliveries.due_channels(database) if one.due_in <= 0]
            at.append(clock.monotonic())
            chosen = random.sample(found, min(len(found), CLAIMED))
            claimed = await deliveries.claim(
                database, dict.fromkeys(chosen, CLAIMED // len(chosen)), LEASE, steps=STEPS
            )
            at.append(clock.monotonic())
            assert len(claimed) == CLAIMED
            outcome = Outcome(kind=OutcomeClass.STATUS, started_at=clock.now(), duration_ms=12, status=200, body="ok")
            await deliveries.record(database, [Ended(one, outcome, Delivered()) for one in claimed])
            at.append(clock.monotonic())
            await connection.execute(SERIES)
            at.append(clock.monotonic())
            for name, before, after in zip(names, at, at[1:], strict=False):
                taken[name].append((after - before) * 1000)
    await database.close()
    row = {f"{name}_ms": round(median(ms[WARM_UP:]), 2) for name, ms in taken.items()}
    return row | {"claim_ms": round(row["look_ms"] + row["leased_ms"], 2)}


async def of_pages(deployment: Deployment) -> Row:
    """Return what the first pages of lists take over HTTP: of events, of a rule's, of rules and of channels."""
    with service(deployment, "--only", "serve") as process:
        await process.logged("role.ready")
        port = (await process.logged("http.listening"))["port"]
        async with (
            connected(deployment) as connection,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        ):
            paths = LISTS | {"of_rule_ms": f"/events?rule={(await rules(connection))[0]}"}
            taken: dict[str, list[float]] = {name: [] for name in (*paths, "pages_beside_ms")}
            for _ in range(REQUESTS + WARM_UP):
                for name, path in paths.items():
                    at = clock.monotonic()
                    async with session.get(f"/api/v1/notification{path}") as answered:
                        said = await answered.text()
                    assert answered.status == 200, (path, said)
                    taken[name].append((clock.monotonic() - at) * 1000)
                at = clock.monotonic()
                await connection.execute(SERIES)
                taken["pages_beside_ms"].append((clock.monotonic() - at) * 1000)
        medians = {name: round(median(ms[WARM_UP:]), 2) for name, ms in taken.items()}
        return medians | {"serve_mib": round(process.memory)}


async def channels(connection: asyncpg.Connection) -> list[str]:
    """Return the ids of all channels."""
    return [row["id"] for row in await connection.fetch("SELECT id FROM channel ORDER BY namespace, id")]


async def rules(connection: asyncpg.Connection) -> list[str]:
    """Return the ids of the rules of `default`."""
    return [row["id"] for row in await connection.fetch("SELECT id FROM rule WHERE namespace = 'default' ORDER BY id")]
