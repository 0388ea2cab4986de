"""Judging: records a second beside a bare `getmany` loop on the same topic, and CPU for each.

The service reads a topic that is full, a slice at a time; between two slices it is paused, and the bare loop reads the
slice that comes next. The first slice warms up: documents are new then, and their cache empty.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer

from consumer import clock
from tests.bench.place import LOOK, PARTITIONS, Place, Process, bare, postgres_cpu, service
from tests.bench.rules import hook, quota
from tests.support.factories import OPENMETER_ENTITLEMENT, native_record, openmeter_record
from tests.support.service import Deployment

ENTITLEMENTS, NAMESPACES, RULES = 100_000, 20, 10  # rules of each namespace: one for each of ten features
SLICES = 6
UNREACHED = "http://127.0.0.1:1024/"  # nothing is sent
LINES = (50, 75, 90, 100)  # thresholds of each rule, in percent


@dataclass(frozen=True, slots=True)
class Load:
    """Which records: *fires* of a thousand cross a threshold."""

    of: str
    fires: int
    records: int

    @property
    def name(self) -> str:
        return f"{self.of}, {self.fires / 10:g} % firing"


ALL_FIRING = Load("native", 1000, 240_000)
LOADS = [
    Load("native", 1, 1_200_000),
    Load("native", 10, 1_200_000),
    ALL_FIRING,
    Load("openmeter", 1, 600_000),
    Load("openmeter", 10, 600_000),
    Load("openmeter", 1000, 240_000),
]


async def measure(place: Place, load: Load) -> dict[str, object]:
    """Measure one replica, slice by slice, each beside the bare loop."""
    step = load.records // SLICES // PARTITIONS  # offsets of each partition
    ours: list[dict[str, float]] = []
    floor: list[dict[str, float]] = []
    async with consuming(place, load) as (topic, consumer, processes):
        (process,) = processes
        position = 0
        for n in range(SLICES):
            found, position = await read(consumer, topic, processes, position, (n + 1) * step * PARTITIONS)
            ours.append(found)
            if n:
                process.pause()
                floor.append(await bare("consume", place.bootstrap, topic, n * step, (n + 1) * step, PARTITIONS))
                process.go_on()
    return row(load, ours[1:], floor)


async def measure_replicas(place: Place, load: Load, replicas: int) -> dict[str, object]:
    """Measure *replicas* that share the work, and the machine: how much it takes in all."""
    async with consuming(place, load, replicas) as (topic, consumer, processes):
        _, position = await read(consumer, topic, processes, 0, load.records // SLICES)
        # To the last slice: by then some have nothing left.
        found, _ = await read(consumer, topic, processes, position, load.records * (SLICES - 1) // SLICES)
    costs = {name: round(found[name], 1) for name in ("cpu_us", "postgres_us")}
    return {"what": f"judging, {load.name}, {replicas} replicas", "rate": round(found["rate"])} | costs


@contextlib.asynccontextmanager
async def consuming(
    place: Place, load: Load, replicas: int = 1
) -> AsyncIterator[tuple[str, AIOKafkaConsumer, list[Process]]]:
    """Fill a topic with *load*, start who reads it; give the topic, who sees what is committed, and the readers."""
    async with place.deployment() as deployment:
        await configured(deployment)
        topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
        produce(place.bootstrap, topic, values(load), load.records)
        with contextlib.ExitStack() as stack:
            processes = [stack.enter_context(service(deployment, "--only", "consume")) for _ in range(replicas)]
            for process in processes:
                await process.logged("partitions.assigned")
            async with AIOKafkaConsumer(
                bootstrap_servers=place.bootstrap, group_id=topic, enable_auto_commit=False
            ) as consumer:
                yield topic, consumer, processes


async def read(
    consumer: AIOKafkaConsumer, topic: str, processes: Sequence[Process], position: int, until: int
) -> tuple[dict[str, float], int]:
    """Wait until *until* records are committed; return the rate since *position*, and the new position."""
    began, of_postgres = clock.monotonic(), postgres_cpu()
    cpu = sum(process.cpu for process in processes)
    partitions = [TopicPartition(topic, n) for n in range(PARTITIONS)]
    while True:
        committed = sum([await consumer.committed(tp) or 0 for tp in partitions])
        if committed >= until:
            break
        await clock.wait(asyncio.Event(), LOOK)
    count = committed - position
    costs = {"cpu_us": sum(process.cpu for process in processes) - cpu, "postgres_us": postgres_cpu() - of_postgres}
    rate = count / (clock.monotonic() - began)
    return {"rate": rate, **{name: seconds / count * 1e6 for name, seconds in costs.items()}}, committed


def row(load: Load, ours: list[dict[str, float]], floor: list[dict[str, float]]) -> dict[str, object]:
    ratios = [one["rate"] / other["rate"] for one, other in zip(ours, floor, strict=True)]
    return {
        "what": f"judging, {load.name}",
        "rate": round(median(one["rate"] for one in ours)),
        "bare": round(median(one["rate"] for one in floor)),
        "ratio": round(median(ratios), 3),
        "spread": f"{min(ratios):.2f} to {max(ratios):.2f}",
        "cpu_us": round(median(one["cpu_us"] for one in ours), 1),
        "bare_cpu_us": round(median(one["cpu_us"] for one in floor), 1),
        "postgres_us": round(median(one["postgres_us"] for one in ours), 1),
        "events_a_second": round(median(one["rate"] for one in ours) * load.fires / 1000),
    }


async def configured(deployment: Deployment) -> None:
    """Apply 200 rules in 20 namespaces."""
    channel = hook("hook", UNREACHED)
    for n in range(NAMESPACES):
        rules = [quota(f"quota-{one}", "hook", f"feature-{one}", LINES) for one in range(RULES)]
        applied = await deployment.apply(json.dumps({"namespace": f"ns-{n}", "channels": [channel], "rules": rules}))
        assert applied.status == 0, applied.err


def values(load: Load) -> Iterator[tuple[int, bytes]]:
    """Return (entitlement, record): each entitlement in turn; its usage stays, or reaches the next threshold.

    What has fired falls back: so its next record is judged too, as in life, where usage goes on from there.
    """
    made = template({"native": native, "openmeter": openmeter}[load.of]())
    every = 1000 // load.fires
    entitlements = load.records // len(LINES) if every == 1 else ENTITLEMENTS
    for n in range(load.records):
        one, turn = n % entitlements, n // entitlements
        usage = LINES[turn] if every == 1 else 60 if (one + turn) % every == 0 else 5
        said = {b"ns": one % NAMESPACES, b"ent": one, b"feature": one // NAMESPACES % RULES, b"usage": usage}
        yield one, made % (said | {b"at": b"%02d:%02d" % (turn // 60, turn % 60)})


def native() -> bytes:
    """A record of 0.6 KB."""
    text = native_record("@usage@", entitlement="ent-@ent@", calculated_at="2026-11-22T@at@:30Z", namespace="ns-@ns@")
    return text.replace(b"llm_tokens", b"feature-@feature@")


def openmeter() -> bytes:
    """OpenMeter's own, of 2.2 KB."""
    entitlement = OPENMETER_ENTITLEMENT | {"id": "ent-@ent@"}
    value = '{"balance":1900,"hasAccess":true,"overage":0,"totalAvailableGrantAmount":100,"usage":@usage@}'
    about = {"entitlement": entitlement, "namespace": {"id": "ns-@ns@"}, "calculatedAt": "2026-08-18T@at@:50.31Z"}
    return openmeter_record(value, **about).replace(b"llm_tokens", b"feature-@feature@")


def template(record: bytes) -> bytes:
    text = record.replace(b"%", b"%%")
    for name, kind in ((b"ns", b"d"), (b"ent", b"d"), (b"feature", b"d"), (b"usage", b"d"), (b"at", b"b")):
        text = text.replace(b"@%b@" % name, b"%%(%b)%b" % (name, kind))
    return text


def produce(bootstrap: str, topic: str, records: Iterator[tuple[int, bytes]], count: int) -> None:
    """Fill *topic*: every partition gets the same number."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 200_000})
    made = 0
    for one, value in records:
        while True:
            try:
                producer.produce(topic, value, partition=one % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
        made += 1
    assert producer.flush(60) == 0
    assert made == count
