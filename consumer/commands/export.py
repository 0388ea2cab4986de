"""`tollbell export`: channels and rules as the file that `tollbell apply` takes."""

import asyncio

import click

from consumer import encryption
from consumer.commands.common import open_database
from consumer.errors import ConfigInvalid
from consumer.store import configuration, exported, migrate


@click.command()
@click.option("--namespace", default="default", show_default=True, help="Whose channels and rules.")
def export(namespace: str) -> None:
    """Print a namespace's channels and rules as the file that `tollbell apply` takes.

    Applied as it is, it changes nothing. What has no key has its id for one, which `apply` then gives it. Secrets are
    left out or masked: `apply` keeps what is stored.
    """
    if not namespace:
        raise ConfigInvalid("--namespace: is empty: a namespace has 1 to 256 characters")
    asyncio.run(_export(namespace))


async def _export(namespace: str) -> None:
    async with open_database("encryption_keys") as (database, settings):
        cipher = encryption.parse_keys(settings.needed("encryption_keys").reveal())
        await migrate.check(database)
        # As an editor, so that no rule comes of which the channel was not read.
        async with configuration.edit(database, cipher, namespace, keep=False) as edit:
            channels, rules = await edit.channels(), await edit.rules()
    click.echo(exported.text(namespace, channels, rules), nl=False)
