"""The command line. Exit status: 0 done, 1 it could not be done (one line says why), 2 it or a setting is wrong."""

import os
import sys

import click

from consumer.commands import apply, check, demo, dlq, export, keygen, migrate, run
from consumer.errors import ConfigInvalid, TollbellError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tollbell", message="tollbell %(version)s")
def tollbell() -> None:
    """Turns metering and billing event streams on Kafka into webhook notifications.

    Settings come from the environment (TOLLBELL_*); the README lists them.
    """


for command in (run.run, migrate.migrate, apply.apply, export.export, check.check, keygen.keygen, dlq.dlq, demo.demo):
    tollbell.add_command(command)


def main() -> None:
    """Run the command line and exit."""
    try:
        tollbell(standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(1)
    except ConfigInvalid as exc:
        click.echo(f"tollbell: {exc}", err=True)
        sys.exit(2)
    except TollbellError as exc:
        click.echo(f"tollbell: {exc}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
