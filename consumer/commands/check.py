"""`tollbell check`: would `run` work here, with these settings? A line for each thing that it needs."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import click
from aiokafka import TopicPartition

from consumer import addresses, clock, encryption
from consumer.app import Role, kafka
from consumer.commands.common import open_database, settings
from consumer.commands.run import ONLY, roles_of
from consumer.config import Settings
from consumer.consume.kafka import committed, partitions
from consumer.deliver.webhook import Webhook
from consumer.errors import ConfigInvalid, Refused, TollbellError
from consumer.store import configured, migrate
from consumer.store.configured import StoredChannel
from consumer.store.database import Database

# Receivers refuse a webhook whose timestamp is five minutes off (Standard Webhooks); a minute leaves room for a retry.
MAX_CLOCK_DIFFERENCE: Final = dt.timedelta(minutes=1)
Found = list[str]


@click.command()
@ONLY
def check(only: str | None) -> None:
    """See whether `run` would work here: settings, Postgres, stored secrets, channels, Kafka. Changes nothing.

    Prints a line for each, `ok` or `FAIL` with what to do; status 1 where one fails.
    """
    failed = asyncio.run(_check(settings(), roles_of(only)))
    if failed:
        raise Refused(f"not ready to run: {', '.join(failed)}")


async def _check(read: Settings, roles: Collection[Role]) -> Found:
    """Return what failed."""
    failed: Found = []

    async def look(what: str, work: Callable[[], Awaitable[str]]) -> bool:
        try:
            line = f"ok    {what}: {await work()}"
        except ConfigInvalid:  # nothing starts with it: one line, and status 2, as of `run`
            raise
        except TollbellError as exc:
            failed.append(what)
            line = f"FAIL  {what}: {exc}"
        click.echo(line)
        return line.startswith("ok")

    async def postgres() -> str:
        async with open_database() as (database, _):
            await migrate.check(database)
            difference = clock.now() - await database.now()
        if abs(difference) > MAX_CLOCK_DIFFERENCE:
            raise Refused(f"its clock and this machine's differ by {abs(difference)}: set them by NTP")
        return "the schema fits"

    if await look("postgres", postgres) and {Role.DELIVER, Role.SERVE} & set(roles):
        await look("secrets", lambda: _secrets(read))
        await look("channels", lambda: _channels(read))
    if Role.DELIVER in roles:
        await look("receivers", lambda: _receivers(read))
    if Role.CONSUME in roles:
        await look("kafka", lambda: _kafka(read))
    return failed


async def _stored(database: Database, read: Settings) -> list[StoredChannel]:
    cipher = encryption.parse_keys(read.needed("encryption_keys").reveal())
    namespaces = await configured.namespaces(database)
    return [one for namespace in namespaces for one in await configured.channels(database, cipher, namespace)]


async def _secrets(read: Settings) -> str:
    """See that every channel's secrets open."""
    async with open_database() as (database, _):
        channels = await _stored(database, read)
    if lost := [_named(one) for one in channels if one.headers is None or one.signing_secret is None]:
        raise Refused(f"{', '.join(lost)}: encrypted with a key that TOLLBELL_ENCRYPTION_KEYS does not hold: add it")
    return f"those of {len(channels)} channels open"


async def _channels(read: Settings) -> str:
    """See that the deliverer would go to every channel that is enabled."""
    async with open_database() as (database, _):
        channels = [one for one in await _stored(database, read) if one.disabled_by is None]
    refused = [
        f"{_named(one)}: {problem}"
        for one in channels
        if (problem := await addresses.url_refusal(one.url, read.delivery_allow_cidrs))
    ]
    if refused:
        raise Refused("; ".join(refused))
    return f"{len(channels)} are enabled, and none goes to a refused address"


async def _receivers(read: Settings) -> str:
    """See that receivers' certificates can be verified."""
    async with Webhook(read.delivery_timeout, ca_file=read.delivery_ca_file):
        return f"certificates are verified by {read.delivery_ca_file or 'the authorities of the system'}"


async def _kafka(read: Settings) -> str:
    """See that the topics are there, and that the group's offsets may be read."""
    source = kafka(read)
    found = await partitions(source, [*read.input_topics, read.topic_dead_letters])
    tps = [TopicPartition(topic, number) for topic in read.input_topics for number in found[topic]]
    begun = await committed(source, read.kafka_group_id, tps)
    topics = ", ".join(f"{topic} ({len(found[topic])} partitions)" for topic in read.input_topics)
    return (
        f"group {read.kafka_group_id} reads {topics}, and has offsets of {len(begun)} partitions;"
        f" dead letters go to {read.topic_dead_letters}"
    )


def _named(channel: StoredChannel) -> str:
    return f"channel {channel.key or channel.id} of {channel.namespace}"
