"""`tollbell run`."""

import asyncio

import click

from consumer.app import App, Role
from consumer.commands.common import settings
from consumer.errors import ConfigInvalid


def _roles(text: str | None) -> list[Role]:
    names = [name.strip() for name in text.split(",") if name.strip()] if text else list(Role)
    known = {role.value for role in Role}
    if wrong := [name for name in names if name not in known]:
        raise ConfigInvalid(f"--only: {wrong[0]!r} is no role: use {', '.join(sorted(known))}")
    return [Role(name) for name in names]


@click.command()
@click.option("--only", metavar="ROLES", help="Comma-separated: consume, deliver, serve. All of them where absent.")
def run(only: str | None) -> None:
    """Run the service until SIGTERM or SIGINT; then drain."""
    roles = _roles(only)
    read = settings()

    async def start() -> None:
        await App(read, roles).run()

    asyncio.run(start())
