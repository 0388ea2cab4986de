"""Servers, two replicas, a receiver that works and one that does not; the demo's story, and a trickle of records."""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator
from dataclasses import astuple, dataclass, field
from pathlib import Path

from aiohttp import web
from aiokafka import AIOKafkaProducer

from consumer import clock
from consumer.demo import service, story
from consumer.demo.ending import Counts, expected_counts
from consumer.demo.place import DemoPlace
from consumer.demo.receiver import Receiver
from consumer.demo.records import DAY, StoryRecords
from consumer.demo.servers import account, kafka, postgres
from consumer.demo.servers.topics import create_topics
from consumer.demo.service import Service, TollbellCommands
from consumer.demo.steps import Clock, Record, Topic, Usage, answers
from schemas import signing_secrets, times
from schemas.secret import Secret
from tests.support.factories import native_record

REPLICAS = 2
PATIENCE = 60.0  # seconds for a step of the story
EVERY = 0.25  # seconds between two records of the trickle; each fires
ONE_IN = 8  # of them is for the channel that fails
# A channel that works and one whose receiver is broken; that one's schedule outlives the run, so nothing is given up.
TRICKLE = """\
namespace: trickle
channels:
  - {{key: works, type: WEBHOOK, name: Works, url: "{works}"}}
  - {{key: fails, type: WEBHOOK, name: Fails, url: "{fails}", retrySchedule: [0s, 5s, 5m, 30m, 2h]}}
rules:
  - key: works
    type: entitlements.balance.threshold
    name: Reached
    channels: [works]
    features: [works]
    thresholds: [{{type: usage_percentage, value: 80}}]
  - key: fails
    type: entitlements.balance.threshold
    name: Reached
    channels: [fails]
    features: [fails]
    thresholds: [{{type: usage_percentage, value: 80}}]
"""


@dataclass
class Stage:
    """What runs.

    Attributes:
        kafka: which is stopped.
    """

    kafka: kafka.ApacheKafka
    place: DemoPlace
    services: list[Service]
    producer: AIOKafkaProducer
    receiver: Receiver
    records: StoryRecords
    is_flowing: bool = False
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def counts(self) -> Counts:
        """Return what the replicas have counted together."""
        each = [await one.counts() for one in self.services]
        return Counts(*(sum(of_each) for of_each in zip(*map(astuple, each), strict=True)))

    async def play(self) -> None:
        """Play the demo's story; fails where the replicas have not counted what it must come to."""
        last, steps = b"", list(story.steps())
        for played, step in enumerate(steps, 1):
            for webhook, statuses in answers(step).items():
                if len(statuses) > 1:
                    self.receiver.be_busy_for(webhook)
            if not isinstance(step, Clock):
                last = last if isinstance(step, Usage) and step.is_repeat else self.records.value(step)
                await self._produce(step, last)
            await self._until(expected_counts(steps[:played]))
        assert await self.counts() == expected_counts(steps)

    async def _produce(self, step: Record, value: bytes) -> None:
        await self.producer.send_and_wait(self.place.topic(step.topic), key=self.records.key(step), value=value)

    async def _until(self, wanted: Counts) -> None:
        seen = await self.counts()
        try:
            async with asyncio.timeout(PATIENCE):
                while any(here < there for here, there in zip(astuple(seen), astuple(wanted), strict=True)):
                    await clock.wait(asyncio.Event(), 0.05)
                    seen = await self.counts()
        except TimeoutError:
            raise AssertionError(f"counted {seen}, less than {wanted}") from None

    async def trickle(self) -> None:
        """Produce records while `is_flowing`, until cancelled: each of another entitlement, and each fires."""
        while True:
            await clock.wait(asyncio.Event(), EVERY)
            if not self.is_flowing:
                continue
            n = next(self._numbers)
            feature = "fails" if n % ONE_IN == 0 else "works"
            now = clock.now()
            value = native_record(
                90,
                entitlement=f"e-{n}",
                calculated_at=times.text(now),
                period=(times.text(now - DAY), times.text(now + DAY)),
                namespace="trickle",
                feature={"key": feature},
            )
            await self.producer.send_and_wait(self.place.topic(Topic.USAGE), key=str(n).encode(), value=value)


@contextlib.asynccontextmanager
async def broken() -> AsyncIterator[str]:
    """Give the URL of a receiver that takes everything, and one that answers 503 to everything."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.path == "/works" else 503, text="out of order")

    app = web.Application()
    app.add_routes([web.post("/{path}", answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def staged(scratch: Path) -> AsyncIterator[Stage]:
    """Put everything up for the body."""
    run, secret, token = secrets.token_hex(4), signing_secrets.generate(), Secret(secrets.token_urlsafe())
    async with contextlib.AsyncExitStack() as stack:
        broker = stack.enter_context(kafka.local(stack.enter_context(account.scratch())))
        database = stack.enter_context(postgres.embedded(stack.enter_context(account.scratch())))
        place = DemoPlace(broker, database, scratch, run)
        await create_topics(broker, dict.fromkeys(place.topics.values(), REPLICAS))
        records = StoryRecords(run, place.namespace, clock.now())
        receiver = await stack.enter_async_context(Receiver(secret, token, records.period_number))
        elsewhere = await stack.enter_async_context(broken())
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
        await producer.start()
        stack.push_async_callback(producer.stop)
        tollbell = place.tollbell(url=receiver.url, token=token, signing_secret=secret)
        await _configure(tollbell, scratch, elsewhere)
        await stack.enter_async_context(place.rules(tollbell))
        services = [await stack.enter_async_context(service.running(tollbell)) for _ in range(REPLICAS)]
        for one in services:
            await one.ready()
        yield Stage(broker, place, services, producer, receiver, records)


async def _configure(tollbell: TollbellCommands, scratch: Path, elsewhere: str) -> None:
    await tollbell.command("migrate")
    file = scratch / "trickle.yaml"
    file.write_text(TRICKLE.format(works=f"{elsewhere}/works", fails=f"{elsewhere}/fails"))
    await tollbell.command("apply", str(file), "--secrets-file", str(scratch / "secrets"))
