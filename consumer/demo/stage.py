"""Puts the demo up, a thing at a time, and takes it down again in the opposite order, however it ends."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import click
from aiokafka import AIOKafkaProducer

from consumer import clock, log
from consumer.consume.kafka import translated
from consumer.demo import keep, service, story, summary
from consumer.demo.interrupt import Interrupt
from consumer.demo.place import DemoPlace
from consumer.demo.play import Player
from consumer.demo.receiver import Receiver
from consumer.demo.records import StoryRecords
from consumer.demo.screen import Screen
from consumer.demo.servers import account, choose
from consumer.demo.servers.contracts import Broker, PostgresServer
from consumer.demo.service import Service, TollbellCommands
from consumer.demo.steps import Topic
from schemas import signing_secrets
from schemas.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says, and when that was (monotonic seconds)."""

    kafka: str | None
    postgres: str | None
    docker: bool
    keep: bool
    started_at: float


def run(options: DemoOptions) -> bool:
    """Run the demo on servers of its own or on those given; return whether all was as expected.

    Raises:
        Refused, Unavailable: it could not be played to its end.
        Abort: it was interrupted.
    """
    log.configure("error")  # of our own Kafka clients; the service has a log of its own
    screen = Screen()
    interrupt = Interrupt()
    with interrupt.taken(), contextlib.ExitStack() as stack:
        place = _put_up_servers(options, screen, stack)
        try:
            return asyncio.run(_perform(place, screen, interrupt, options))
        except asyncio.CancelledError:
            screen.title("Stopped.")
            raise click.Abort from None
        finally:
            interrupt.spend()


def _put_up_servers(options: DemoOptions, screen: Screen, stack: contextlib.ExitStack) -> DemoPlace:
    directory = stack.enter_context(account.scratch())
    for part in ("kafka", "postgres", "tollbell"):
        (directory / part).mkdir()
    screen.title("Tollbell: a usage record becomes a signed webhook")
    fetches = "" if options.kafka else " The first time, this fetches Apache Kafka (43 MB)."
    screen.text(f"Starting its servers.{fetches}", room=True)
    kafka = stack.enter_context(_kafka(options, screen, directory / "kafka"))
    screen.fact("Kafka", kafka.description)
    if not kafka.is_real:
        screen.fact("", "It distorts time and groups. With Java 17 and Maven on the path, you see Kafka itself.")
    postgres = stack.enter_context(_postgres(options, screen, directory / "postgres"))
    screen.fact("PostgreSQL", postgres.description)
    if not postgres.is_ours:
        screen.fact("", "It gets Tollbell's schema. The demo's rules are taken out again at the end.")
    place = DemoPlace(kafka, postgres, directory / "tollbell", secrets.token_hex(4))
    screen.facts("topics", [place.topic(topic) for topic in Topic])
    return place


def _kafka(options: DemoOptions, screen: Screen, directory: Path) -> contextlib.AbstractContextManager[Broker]:
    return choose.kafka_for_demo(directory, screen.aside, address=options.kafka, in_docker=options.docker)


def _postgres(
    options: DemoOptions, screen: Screen, directory: Path
) -> contextlib.AbstractContextManager[PostgresServer]:
    return choose.postgres_for_demo(directory, screen.aside, url=options.postgres, in_docker=options.docker)


async def _perform(place: DemoPlace, screen: Screen, interrupt: Interrupt, options: DemoOptions) -> bool:
    signing_secret, token = signing_secrets.generate(), Secret(secrets.token_urlsafe())
    records = StoryRecords(place.run, place.namespace, clock.now())
    with interrupt.cancelling():
        await place.make_topics()
        async with Receiver(signing_secret, token, records.period_number) as receiver, _producer(place) as producer:
            tollbell = place.tollbell(url=receiver.url, token=token, signing_secret=signing_secret)
            async with _service(place, tollbell, screen) as running:
                player = Player(screen, records, producer, place.topic, running, receiver)
                await player.play(story.ACTS)
                is_as_expected = await summary.end(player, tollbell, options.started_at)
                if options.keep:
                    await keep.going(player, place, interrupt)
    return is_as_expected


@contextlib.asynccontextmanager
async def _producer(place: DemoPlace) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=place.kafka.bootstrap)
    try:
        with translated("connecting to produce the story's records"):
            await producer.start()
        yield producer
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def _service(place: DemoPlace, tollbell: TollbellCommands, screen: Screen) -> AsyncIterator[Service]:
    """Migrate, apply and run, as one would by hand."""
    migrated = await tollbell.command("migrate")
    screen.fact("migrate", f"{len(migrated)} migrations applied" if len(migrated) > 1 else ", ".join(migrated))
    async with place.rules(tollbell) as said:
        screen.facts("apply", said)
        async with service.running(tollbell) as running:
            await running.ready()
            screen.fact("run", f"has its partitions (process {running.pid})")
            yield running
