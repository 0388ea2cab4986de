"""`tollbell render FILE…`: what the channels of a rules file would send. Needs no server; nothing is sent."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from consumer import clock
from consumer.commands import rules_files
from consumer.commands.rules_files import At, WantedConfiguration
from consumer.errors import ConfigInvalid, Refused
from consumer.formats import fitting
from consumer.formats.preview import Preview, previews
from schemas.channels import ChannelConfig, shown_url
from schemas.rules import RuleType

TYPES: Final = [one.value for one in RuleType]


@click.command()
@click.argument("file", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--channel", "key", help="Of this channel alone, by its key.")
@click.option("--type", "kind", type=click.Choice(TYPES), help="Of this type of event alone.")
@click.option("--body", is_flag=True, help="The bodies alone, byte for byte, each ended by a line feed.")
def render(file: tuple[Path, ...], key: str | None, kind: str | None, *, body: bool) -> None:
    """Print what the channels of FILE, or several, would send: a sample of each type of event that their rules make.

    Of a channel that no rule sends to, of every type. Secrets are shown as ***. Needs no database; nothing is sent.
    Status 1 where a body cannot be made.
    """
    wanted = rules_files.read(file, os.environ)
    chosen = [one for one, _ in wanted.channels if key in {None, one.key}]
    if not chosen:
        known = ", ".join(str(one.key) for one, _ in wanted.channels) or "none"
        raise ConfigInvalid(f"--channel {key}: is not in the file: there is {known}")
    problems: list[str] = []
    for config in chosen:
        _warn(wanted, config)
        made = {rule.spec.type for rule, _ in wanted.rules if config.key in rule.channels} or set(RuleType)
        for one in previews(config, clock.now()):
            if one.type in ({RuleType(kind)} if kind else made):
                problems += _shown(config, one, body_alone=body)
    if problems:
        raise Refused("\n".join(dict.fromkeys(problems)))


def _warn(wanted: WantedConfiguration, config: ChannelConfig) -> None:
    """Print what is odd about *config*, as `apply` does."""
    at = next(at for one, at in wanted.channels if one is config)
    types = {rule.spec.type for rule, _ in wanted.rules if config.key in rule.channels} or None
    for place, text in fitting.warnings(config, config.url, lambda _: False, types):
        click.echo(f"warning: {wanted.line(At(at.file, (*at.place, *place)), text)}", err=True)


def _shown(config: ChannelConfig, one: Preview, *, body_alone: bool) -> Iterator[str]:
    """Print *one*; yield why its body could not be made."""
    if one.problem is not None:
        yield f"channel {config.key}, {one.type.value}: {one.problem}"
        return
    if not body_alone:
        click.echo(f"# {config.key}: {one.type.value}, {len(one.body)} bytes\nPOST {shown_url(config)}")
        for name, value in one.headers.items():
            click.echo(f"{name}: {value}")
        click.echo()
    click.echo(one.body)
    if not body_alone:
        click.echo()
