"""`tollbell check`: would `run` work here, with these settings? A line for each thing that it needs."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Collection, Sequence
from typing import Final

import click
from aiokafka import TopicPartition

from consumer import addresses, clock, encryption
from consumer.addresses import Network
from consumer.app import Role, kafka
from consumer.commands.common import open_database, settings
from consumer.commands.run import ONLY, roles_of
from consumer.config import Settings
from consumer.consume.kafka import committed, partitions
from consumer.deliver.webhook import Webhook
from consumer.errors import ConfigInvalid, Refused, TollbellError
from consumer.store import configured, migrate
from consumer.store.configured import StoredChannel

# Receivers refuse a webhook whose timestamp is five minutes off (Standard Webhooks); a minute leaves room for a retry.
MAX_CLOCK_DIFFERENCE: Final = dt.timedelta(minutes=1)

SHARE_A_KEY: Final = (
    "records of one entitlement should share a key, so that one partition has them all in order:"
    " those of two partitions are judged in the order in which they happen to be read"
)


@click.command()
@ONLY
def check(only: str | None) -> None:
    """See whether `run` would work here: settings, Postgres, stored secrets, channels, Kafka. Changes nothing.

    Prints a line for each, `ok` or `FAIL` with what to do; status 1 where one fails.
    """
    failed = asyncio.run(_check(settings(), roles_of(only)))
    if failed:
        raise Refused(f"not ready to run: {', '.join(failed)}")


async def _check(read: Settings, roles: Collection[Role]) -> list[str]:
    """Return what failed."""
    failed: list[str] = []
    channels: list[StoredChannel] = []
    opens_secrets = not {Role.DELIVER, Role.SERVE}.isdisjoint(roles)

    async def look(what: str, work: Awaitable[str]) -> None:
        try:
            click.echo(f"ok    {what}: {await work}")
        except ConfigInvalid:  # nothing starts with it: one line, and status 2, as of `run`
            raise
        except TollbellError as exc:
            failed.append(what)
            click.echo(f"FAIL  {what}: {exc}")

    await look("postgres", _postgres(read, channels if opens_secrets else None))
    if opens_secrets and not failed:
        await look("secrets", _secrets(channels))
        await look("channels", _reachable(channels, read.delivery_allow_cidrs))
    if Role.DELIVER in roles:
        await look("receivers", _receivers(read))
    if Role.CONSUME in roles:
        await look("kafka", _kafka(read))
        if "kafka" not in failed:
            click.echo(f"note  kafka: {SHARE_A_KEY}")
    return failed


async def _postgres(read: Settings, channels: list[StoredChannel] | None) -> str:
    """See that it can be worked with; put all namespaces' channels into *channels*, where they are wanted."""
    async with open_database() as (database, _):
        await migrate.check(database)
        difference = clock.now() - await database.now()
        if channels is not None:
            cipher = encryption.parse_keys(read.needed("encryption_keys").reveal())
            for namespace in await configured.namespaces(database):
                channels += await configured.channels(database, cipher, namespace)
    if abs(difference) > MAX_CLOCK_DIFFERENCE:
        raise Refused(f"its clock and this machine's differ by {abs(difference)}: set them by NTP")
    return "the schema fits"


async def _secrets(channels: Sequence[StoredChannel]) -> str:
    """See that every channel's secrets open."""
    if lost := [_named(one) for one in channels if one.headers is None or one.signing_secret is None]:
        raise Refused(f"{', '.join(lost)}: encrypted with a key that TOLLBELL_ENCRYPTION_KEYS does not hold: add it")
    return f"those of {len(channels)} channels open"


async def _reachable(channels: Sequence[StoredChannel], allowed: Sequence[Network]) -> str:
    """See that the deliverer would go to every channel that is enabled."""
    enabled = [one for one in channels if one.disabled_by is None]
    problems = {_named(one): await addresses.url_refusal(one.url, allowed) for one in enabled}
    if refused := [f"{name}: {problem}" for name, problem in problems.items() if problem]:
        raise Refused("; ".join(refused))
    return f"{len(enabled)} are enabled, and none goes to a refused address"


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
