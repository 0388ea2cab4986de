"""`tollbell run`."""

import asyncio
import sys
from collections.abc import Collection
from typing import Final

import click

from consumer import log
from consumer.app import App, Role
from consumer.commands.common import settings
from consumer.errors import ConfigInvalid, TollbellError

logger = log.get("app")


def roles_of(text: str | None) -> list[Role]:
    """Return the roles that `--only` names; all of them where it is absent.

    Raises:
        ConfigInvalid: one is no role.
    """
    names = [name.strip() for name in text.split(",") if name.strip()] if text else list(Role)
    known = {role.value for role in Role}
    if wrong := [name for name in names if name not in known]:
        raise ConfigInvalid(f"--only: unknown role {wrong[0]!r}: use {', '.join(sorted(known))}")
    return [Role(name) for name in names]


def needed(roles: Collection[Role]) -> list[str]:
    """Return the settings that *roles* cannot do without."""
    of_role = {Role.CONSUME: "kafka_bootstrap_servers", Role.DELIVER: "encryption_keys"}
    return [name for role, name in of_role.items() if role in roles]


ONLY: Final = click.option(
    "--only", metavar="ROLES", help="Comma-separated: consume, deliver, serve. All of them where absent."
)


@click.command()
@ONLY
def run(only: str | None) -> None:
    """Run the service until SIGTERM or SIGINT; then drain."""
    roles = roles_of(only)
    read = settings(*needed(roles))

    async def start() -> None:
        await App(read, roles).run()

    try:
        asyncio.run(start())
    except ConfigInvalid:
        raise
    except TollbellError as exc:  # said where what reads the log of a service looks, and in its format
        logger.failed("app.failed", exc)
        sys.exit(1)
