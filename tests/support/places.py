"""A place of one's own on a server that tests share: a database, topics."""

import contextlib
import re
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from urllib.parse import urlsplit

import asyncpg

from consumer.demo.servers.contracts import Broker
from consumer.demo.servers.topics import create_topics
from consumer.store import migrate
from consumer.store.database import Database

MakeTopic = Callable[..., Coroutine[None, None, str]]


@contextlib.asynccontextmanager
async def new_database(server: str, *, template: str = "template1") -> AsyncIterator[str]:
    """Give the URL of a new database, a copy of *template*; dropped at the end, even with clients connected."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.asynccontextmanager
async def new_template(server: str) -> AsyncIterator[str]:
    """Give the name of a migrated database: a copy of it costs a tenth of `tollbell migrate`."""
    async with new_database(server) as url:
        opened = await Database.connect(url, size=2)
        await migrate.migrate(opened)
        await opened.close()  # a template with open connections cannot be copied
        yield urlsplit(url).path.removeprefix("/")


def topic_maker(kafka: Broker, stem: str) -> MakeTopic:
    """Return what makes a topic whose name begins with *stem*: `await make(partitions=3, max_message_bytes=1000)`."""
    begin = re.sub(r"[^a-zA-Z0-9]+", "-", stem)[:80]

    async def make(partitions: int = 1, **config: object) -> str:
        name = f"{begin}-{uuid.uuid4().hex[:12]}"
        configs = {key.replace("_", "."): str(value) for key, value in config.items()}
        await create_topics(kafka, {name: partitions}, configs)
        return name

    return make


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
