"""The command line. Exit status: 0 done, 1 it could not be done (one line says why), 2 it or a setting is wrong."""

import importlib
import os
import sys
from typing import Final

import click

from consumer.errors import ConfigInvalid, TollbellError

COMMANDS: Final = ("run", "check", "migrate", "apply", "render", "export", "keygen", "dlq", "demo")


class Commands(click.Group):
    """One module a command, imported when it is asked for: `apply` waits half a second for what only `run` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name; None: there is none."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        found = getattr(importlib.import_module(f"consumer.commands.{cmd_name}"), cmd_name)
        assert isinstance(found, click.Command)  # noqa: S101 - each module has the command that it is named for
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tollbell", message="tollbell %(version)s")
def tollbell() -> None:
    """Turns metering and billing event streams on Kafka into webhook notifications.

    Settings come from the environment (TOLLBELL_*); docs/settings.md lists them.
    """


def main() -> None:
    """Run the command line and exit."""
    try:
        tollbell(standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(1)
    except ConfigInvalid as exc:  # a line for each setting that is wrong
        click.echo("\n".join(f"tollbell: {line}" for line in str(exc).splitlines()), err=True)
        sys.exit(2)
    except TollbellError as exc:
        click.echo(f"tollbell: {exc}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
