"""`tollbell migrate`."""

import asyncio

import click

from consumer.commands.common import open_database
from consumer.store import migrate as schema


@click.command()
def migrate() -> None:
    """Bring the database's schema up to this release. Safe to repeat; `run` never does it."""
    asyncio.run(_migrate())


async def _migrate() -> None:
    async with open_database() as (database, _):
        done = await schema.migrate(database)
    for name in done:
        click.echo(f"applied {name}")
    if not done:
        click.echo("the schema is up to date")
