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
from consumer.demo.place import Place
from consumer.demo.play import Player
from consumer.demo.receiver import Receiver
from consumer.demo.records import Records
from consumer.demo.screen import Screen
from consumer.demo.service import Service, Tollbell
from consumer.demo.steps import Topic
from consumer.servers import account, choose
from consumer.servers.contracts import Broker, Database
from schemas import signing_secrets
from schemas.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says, and when that was (monotonic seconds)."""

    kafka: str | None
    postgres: str | None
    docker: bool
    keep: bool
    started_at: float


def run(options: Options) -> bool:
    """Run the demo on servers of its own or on those given; return whether all was as told.

    Raises:
        Refused, Unavailable: it could not be told to its end.
        Abort: somebody stopped it.
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


def _put_up_servers(options: Options, screen: Screen, stack: contextlib.ExitStack) -> Place:
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
    place = Place(kafka, postgres, directory / "tollbell", secrets.token_hex(4))
    screen.facts("topics", [place.topic(topic) for topic in Topic])
    return place


def _kafka(options: Options, screen: Screen, directory: Path) -> contextlib.AbstractContextManager[Broker]:
    return choose.kafka_for_demo(directory, screen.aside, address=options.kafka, in_docker=options.docker)


def _postgres(options: Options, screen: Screen, directory: Path) -> contextlib.AbstractContextManager[Database]:
    return choose.postgres_for_demo(directory, screen.aside, url=options.postgres, in_docker=options.docker)


async def _perform(place: Place, screen: Screen, interrupt: Interrupt, options: Options) -> bool:
    signing_secret, token = signing_secrets.generate(), Secret(secrets.token_urlsafe())
    records = Records(place.run, place.namespace, clock.now())
    with interrupt.cancelling():
        await place.make_topics()
        async with Receiver(signing_secret, token, records.period_number) as receiver, _producer(place) as producer:
            tollbell = place.tollbell(url=receiver.url, token=token, signing_secret=signing_secret)
            async with _service(place, tollbell, screen) as running:
                player = Player(screen, records, producer, place.topic, running, receiver)
                await player.play(story.ACTS)
                is_as_told = await summary.end(player, tollbell, options.started_at)
                if options.keep:
                    await keep.going(player, place, interrupt)
    return is_as_told


@contextlib.asynccontextmanager
async def _producer(place: Place) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=place.kafka.bootstrap)
    try:
        with translated("connecting to produce the story's records"):
            await producer.start()
        yield producer
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def _service(place: Place, tollbell: Tollbell, screen: Screen) -> AsyncIterator[Service]:
    """Migrate, apply and run, as one would by hand."""
    migrated = await tollbell.command("migrate")
    screen.fact("migrate", f"{len(migrated)} migrations applied" if len(migrated) > 1 else ", ".join(migrated))
    async with place.rules(tollbell) as said:
        screen.facts("apply", said)
        async with service.running(tollbell) as running:
            await running.ready()
            screen.fact("run", f"has its partitions (process {running.pid})")
            yield running
