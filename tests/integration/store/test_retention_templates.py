"""Templates go a retention after the last channel left them, but for those that an open delivery is to be made by."""

from typing import Any

import asyncpg

from consumer.metrics import Metrics
from schemas.channels import ChannelConfig, stored_format
from tests.support.partitions import duty
from tests.support.stores import URL, Store

LONG_AGO = "UPDATE template SET needed_at = now() - interval '91 days'"


def settings(name: str) -> dict[str, Any]:
    return {"format": "template", "template": {name: "{{ id }}"}}


def kept_as(name: str) -> str:
    return stored_format(ChannelConfig.model_validate({"type": "WEBHOOK", "name": "x", "url": URL, **settings(name)}))


async def remaining(stored: Store) -> set[str]:
    return {row[0] for row in await stored.sql("SELECT format FROM template")}


async def test_a_template_stays_while_a_channel_or_delivery_needs_it(stored: Store) -> None:
    metrics = Metrics()
    for name in ("over", "open", "left", "current"):
        await stored.configure({"hook": settings(name)})
        if name == "open":
            await stored.events(1)
            (claimed,) = await stored.claim("hook")
            assert claimed.format == kept_as("open")
        if name == "left":
            await stored.sql(LONG_AGO)
    await stored.sql(f"{LONG_AGO} WHERE format <> $1", kept_as("left"))

    await duty(stored.database, metrics).once()

    assert await remaining(stored) == {kept_as(name) for name in ("open", "left", "current")}
    assert metrics.registry.get_sample_value("tollbell_retention_removed_total", {"what": "template"}) == 1

    await stored.sql(
        "UPDATE delivery SET state = 'FAILED', due_at = NULL, token = NULL, ended_at = now(), reason = 'too_old'"
    )
    await duty(stored.database, metrics).once()

    assert await remaining(stored) == {kept_as(name) for name in ("left", "current")}


async def test_one_that_a_channel_takes_again_meanwhile_stays(stored: Store) -> None:
    await stored.configure({"hook": settings("again")})
    await stored.configure({"hook": settings("other")})
    await stored.sql(LONG_AGO)
    editor = await asyncpg.connect(stored.url)
    try:
        async with editor.transaction():  # as an edit does that is not committed yet
            await editor.execute(
                "INSERT INTO template (format, tree) VALUES ($1, '{}')"
                " ON CONFLICT (format) DO UPDATE SET needed_at = clock_timestamp()",
                kept_as("again"),
            )
            await duty(stored.database).once()
    finally:
        await editor.close()
    await duty(stored.database).once()

    assert await remaining(stored) == {kept_as("again"), kept_as("other")}
