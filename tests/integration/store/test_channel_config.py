"""A channel's configuration in one place: what was stored before comes along; a moved secret URL is a new address."""

import json
from collections.abc import Iterator

import asyncpg
import pytest

from consumer.store import configured, migrate
from consumer.store.database import Database
from schemas.secret import Secret
from tests.support.stores import CIPHER, Store

NEW = "0002_10_channel_config"


def statements(*, before: bool) -> Iterator[str]:
    return (one.sql for one in migrate.migrations() if (one.name < NEW) is before)


async def test_metadata_of_before_is_part_of_the_configuration(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        for statement in statements(before=True):
            await connection.execute(statement)
        sealed = CIPHER.encrypt(Secret("whsec_x"), row="channel/c-1/signing_secret")
        for n, metadata in enumerate(({"team": "red"}, {}), 1):
            await connection.execute(
                "INSERT INTO channel (id, namespace, type, name, url, format, signing_secret, metadata)"
                " VALUES ($1, 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1:8080/', 'flat', $2, $3)",
                f"c-{n}",
                sealed,
                json.dumps(metadata),
            )
        for statement in statements(before=False):
            await connection.execute(statement)
    finally:
        await connection.close()
    opened = await Database.connect(database, size=1)
    found = await configured.channels(opened, CIPHER, "default")
    await opened.close()

    assert [(one.config.metadata, one.config.url, one.config.format) for one in found] == [
        ({"team": "red"}, "http://127.0.0.1:8080/", "flat"),
        ({}, "http://127.0.0.1:8080/", "flat"),
    ]


@pytest.mark.parametrize(("path", "moves"), [("number-one", False), ("number-two", True)])
async def test_a_secret_url_is_another_address_only_when_it_changes(stored: Store, path: str, *, moves: bool) -> None:
    await stored.configure({"hook": {"url": "http://127.0.0.1:8080/number-one", "secretUrl": True}})
    before = await stored.sql("SELECT url, revision, is_hurried FROM channel")

    more = {"url": f"http://127.0.0.1:8080/{path}", "secretUrl": True, "metadata": {"edited": "yes"}}
    await stored.configure({"hook": more})

    assert before == [("http://127.0.0.1:8080/***", 1, False)]
    shown = await stored.sql("SELECT url, revision, is_hurried FROM channel")
    assert shown == [("http://127.0.0.1:8080/***", 1 + moves, moves)]


@pytest.mark.parametrize("is_secret", [True, False])
async def test_marking_a_url_as_secret_or_not_keeps_its_target(stored: Store, *, is_secret: bool) -> None:
    url = "http://127.0.0.1:8080/hush-hush"
    await stored.configure({"hook": {"url": url, "secretUrl": not is_secret}})
    await stored.sql("UPDATE channel_pace SET paused_until = now() + interval '1 h'")

    await stored.configure({"hook": {"url": url, "secretUrl": is_secret}})

    assert await stored.sql("SELECT revision, is_hurried FROM channel") == [(1, False)]
    assert await stored.one("SELECT paused_until IS NOT NULL FROM channel_pace")
    await stored.configure({"hook": {"url": f"{url}/2", "secretUrl": not is_secret}})
    assert await stored.sql("SELECT revision, is_hurried FROM channel") == [(2, True)]
