"""`tollbell keygen`."""

import click

from consumer import encryption


@click.command()
def keygen() -> None:
    """Print a new key for TOLLBELL_ENCRYPTION_KEYS."""
    click.echo(encryption.new_key())
