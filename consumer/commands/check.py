"""`tollbell check`: does what `run` will do, with these settings, and undoes it. A line for each thing it needs."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import socket
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import click
from aiokafka import TopicPartition

from consumer import addresses, clock, encryption, ids
from consumer.addresses import Network
from consumer.app import Role, kafka
from consumer.commands.common import open_database, settings
from consumer.commands.run import ONLY, needed, roles_of
from consumer.config import Listen, Settings
from consumer.consume import rehearsal
from consumer.consume.kafka import committed, partitions
from consumer.deliver.webhook import Webhook
from consumer.encryption import Cipher
from consumer.errors import Refused, TollbellError
from consumer.store import configured, migrate, outbox
from consumer.store.configured import StoredChannel
from consumer.store.database import POOLED, Database
from schemas import urls

# Receivers refuse a webhook whose timestamp is five minutes off (Standard Webhooks); a minute leaves room for a retry.
MAX_CLOCK_DIFFERENCE: Final = dt.timedelta(minutes=1)
NOTICED_CLOCK_DIFFERENCE: Final = dt.timedelta(seconds=2)
ANSWER_TIMEOUT: Final = 2.0  # seconds, for /livez of a replica that listens here already
RESOLVED_AT_ONCE: Final = 20
MOST_NAMED: Final = 10  # channels in one line

SHARE_A_KEY: Final = (
    "records of one entitlement should share a key, so that one partition has them all in order:"
    " those of two partitions are judged in the order in which they happen to be read"
)


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: *is_fine* in a line, and what is risky, a line each."""

    is_fine: str
    risks: Sequence[str] = ()


@click.command()
@ONLY
def check(only: str | None) -> None:
    """Try what `run` will do here: settings, port, Postgres, stored secrets, channels, Kafka. Changes nothing.

    Prints a line for each: `ok`; `warn`, where it runs and something is risky; `FAIL` with what to do; and a `note` for
    producers. Status 1 where one fails. What is written on the way is undone: a transaction is rolled back in Postgres
    and aborted in Kafka.
    """
    roles = roles_of(only)
    failed = asyncio.run(_check(settings(*needed(roles)), roles))
    if failed:
        raise Refused(f"not ready to run: {', '.join(failed)}")


async def _check(read: Settings, roles: Collection[Role]) -> list[str]:
    """Return what failed."""
    failed: list[str] = []
    channels: list[StoredChannel] = []

    async def look(what: str, work: Awaitable[Looked]) -> None:
        try:
            looked = await work
        except TollbellError as exc:
            failed.append(what)
            click.echo(f"FAIL  {what}: {exc}")
        else:
            click.echo(f"ok    {what}: {looked.is_fine}")
            for risk in looked.risks:
                click.echo(f"warn  {what}: {risk}")

    keys = read.encryption_keys if not {Role.DELIVER, Role.SERVE}.isdisjoint(roles) else None
    cipher = encryption.parse_keys(keys.reveal()) if keys else None
    await look("port", _port(read.http_listen))
    await look("postgres", _postgres(cipher, channels))
    if cipher and "postgres" not in failed:
        await look("secrets", _secrets(channels))
        await look("channels", _channels(channels, read.delivery_allow_cidrs))
    if Role.DELIVER in roles:
        await look("receivers", _receivers(read))
    if Role.CONSUME in roles:
        await look("kafka", _kafka(read))
        if "kafka" not in failed:
            click.echo(f"note  kafka: {SHARE_A_KEY}")
    return failed


async def _port(listen: Listen) -> Looked:
    """See that it can be listened on, or that a replica does so already."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(address)
                tried.listen()
    except OSError as exc:
        if await _is_ours(listen):
            return Looked(f"a replica of Tollbell listens on {listen.host}:{listen.port} now")
        why = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror
        where = f"TOLLBELL_HTTP_LISTEN={listen.host}:{listen.port}"
        raise Refused(f"{where}: cannot listen there: {why}: name another address or port") from exc
    return Looked(f"{listen.host}:{listen.port} is free")


async def _is_ours(listen: Listen) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104 - compared, not bound
    with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(ANSWER_TIMEOUT):
            reader, writer = await asyncio.open_connection(host, listen.port)
            try:
                writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                head, _, body = (await reader.read(65_536)).partition(b"\r\n\r\n")
                return head.split()[1:2] == [b"%d" % HTTPStatus.OK] and json.loads(body) == {"status": "ok"}
            finally:
                writer.close()
    return False


async def _postgres(cipher: Cipher | None, channels: list[StoredChannel]) -> Looked:
    """See that it can be worked with; put all namespaces' channels into *channels*, where *cipher* may open them."""
    async with open_database() as (database, _):
        await migrate.check(database)
        if await database.is_pooled():
            raise Refused(f"Postgres: {POOLED}")
        await outbox.rehearse(database, event_id=ids.new())
        difference = abs(clock.now() - await database.now())
        if cipher:
            channels += await _stored(database, cipher)
    if difference > MAX_CLOCK_DIFFERENCE:
        raise Refused(f"its clock and this machine's differ by {difference}: set them by NTP")
    risks = [f"its clock and this machine's differ by {difference}: set them by NTP"]
    return Looked("the schema fits, and takes rows", risks if difference > NOTICED_CLOCK_DIFFERENCE else ())


async def _stored(database: Database, cipher: Cipher) -> list[StoredChannel]:
    namespaces = await configured.namespaces(database)
    return [one for namespace in namespaces for one in await configured.channels(database, cipher, namespace)]


async def _secrets(channels: Sequence[StoredChannel]) -> Looked:
    """See that every channel's secrets open."""
    if lost := [one for one in channels if not one.opens]:
        raise Refused(f"{_named(lost)}: encrypted with a key that TOLLBELL_ENCRYPTION_KEYS does not hold: add it")
    return Looked(f"those of {len(channels)} channels open")


async def _channels(channels: Sequence[StoredChannel], allowed: Sequence[Network]) -> Looked:
    """See that the deliverer would go to every channel that is enabled, and that its host has an address."""
    enabled = [one for one in channels if one.disabled_by is None]
    at_once = asyncio.Semaphore(RESOLVED_AT_ONCE)

    async def looked_up(channel: StoredChannel) -> tuple[str | None, bool]:
        async with at_once:
            return await addresses.url_refusal(channel.config.url, allowed), await addresses.is_found(
                channel.config.url
            )

    answers = await asyncio.gather(*(looked_up(one) for one in enabled))
    if refused := [f"{_named([one])}: {why}" for one, (why, _) in zip(enabled, answers, strict=True) if why]:
        raise Refused("; ".join(refused))
    lost = [one for one, (_, is_found) in zip(enabled, answers, strict=True) if not is_found]
    hosts = ", ".join(sorted({urls.host(one.config.url) for one in lost})[:MOST_NAMED])
    risks = [f"{_named(lost)}: cannot be resolved now: {hosts}: correct the url, or the name servers of this machine"]
    return Looked(f"{len(enabled)} are enabled, and none goes to a refused address", risks if lost else ())


async def _receivers(read: Settings) -> Looked:
    """See that receivers' certificates can be verified."""
    async with Webhook(read.delivery_timeout, ca_file=read.delivery_ca_file):
        return Looked(f"certificates are verified by {read.delivery_ca_file or 'the authorities of the system'}")


async def _kafka(read: Settings) -> Looked:
    """See that the topics can be read and written to, and that the group's offsets may be read."""
    source, letters = kafka(read), read.topic_dead_letters
    found = await partitions(source, reads=read.input_topics, writes=[letters], group_id=read.kafka_group_id)
    inputs = {topic: found[topic] for topic in read.input_topics}
    tps = [TopicPartition(topic, number) for topic, numbers in inputs.items() for number in numbers]
    begun = await committed(source, read.kafka_group_id, tps)
    await rehearsal.read(source, inputs)
    untried = await rehearsal.write(source, letters)
    risks = await rehearsal.findings(source, inputs, letters)
    topics = ", ".join(f"{topic} ({len(numbers)} partitions)" for topic, numbers in inputs.items())
    return Looked(
        f"group {read.kafka_group_id} reads {topics}, and has offsets of {len(begun)} partitions;"
        f" dead letters go to {letters}",
        [*([untried] if untried else []), *risks],
    )


def _named(channels: Sequence[StoredChannel]) -> str:
    named = [f"channel {one.called} of {one.namespace}" for one in channels]
    more = f", and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return ", ".join(named[:MOST_NAMED]) + more
