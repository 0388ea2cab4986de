"""`tollbell apply FILE`: channels and rules by key, planned, shown, and changed in one transaction."""

import asyncio
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import click

from consumer import encryption
from consumer.commands import yaml_file
from consumer.commands.common import open_database
from consumer.store import configuration, migrate
from consumer.store import wanted as wanted_of
from consumer.store.configuration import Edit
from consumer.store.configured import StoredChannel, StoredRule
from schemas.channels import ChannelConfig
from schemas.rules import RuleConfig
from schemas.rules_file import RulesFile
from schemas.secret import Secret

Sign = Literal["+", "~", "-", "="]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the plan."""

    sign: Sign
    what: Literal["channel", "rule"]
    key: str
    detail: str = ""
    made_secret: Secret | None = None

    def __str__(self) -> str:
        return f"{self.sign} {self.what} {self.key}{': ' if self.detail else ''}{self.detail}"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Show the plan; change nothing.")
@click.option("--prune", is_flag=True, help="Delete what has a key and is not in FILE.")
def apply(file: Path, *, dry_run: bool, prune: bool) -> None:
    """Make channels and rules what FILE says. Idempotent: everything is found again by its key.

    The plan: + made, ~ changed, - deleted, = as it was.
    A signing secret that FILE leaves out is made, and printed once.
    """
    asyncio.run(_apply(file, dry_run=dry_run, prune=prune))


async def _apply(path: Path, *, dry_run: bool, prune: bool) -> None:
    file = yaml_file.read(path, RulesFile, os.environ)
    async with open_database() as (database, settings):
        cipher = encryption.parse_keys(settings.needed("encryption_keys").reveal())
        await migrate.check(database)
        # Planned twice, as one editor: without a change there is no new revision for the replicas to load.
        async with configuration.edit(database, cipher, file.namespace, keep=False) as edit:
            steps = await change(edit, file, prune=prune)
        if not dry_run and any(step.sign != "=" for step in steps):
            async with configuration.edit(database, cipher, file.namespace) as edit:
                steps = await change(edit, file, prune=prune)
    for step in steps:
        click.echo(str(step))
        if step.made_secret and not dry_run:
            click.echo(f"  signing secret, shown only now: {step.made_secret.reveal()}")
    if dry_run:
        click.echo("nothing was changed (--dry-run)")


async def change(edit: Edit, file: RulesFile, *, prune: bool) -> list[Step]:
    """Make the namespace's configuration what *file* says; return what that took.

    Raises:
        Refused: a channel to be deleted is in use by a rule that stays.
    """
    channels = {channel.key: channel for channel in await edit.channels() if channel.key is not None}
    rules = {rule.key: rule for rule in await edit.rules() if rule.key is not None}
    steps: list[Step] = []
    channel_ids: dict[str, str] = {}
    for wanted_channel in file.channels:
        key = str(wanted_channel.key)
        step, channel = await _put_channel(edit, file.namespace, wanted_channel, channels.get(key))
        channel_ids[key] = channel.id
        steps.append(step)
    for wanted_rule in file.rules:
        stored_rule = rules.get(str(wanted_rule.key))
        steps.append(await _put_rule(edit, file.namespace, wanted_rule, stored_rule, channel_ids))
    if prune:
        kept_rules, kept_channels = {rule.key for rule in file.rules}, {channel.key for channel in file.channels}
        for rule in sorted((rule for key, rule in rules.items() if key not in kept_rules), key=lambda rule: rule.id):
            await edit.delete_rule(rule)
            steps.append(Step("-", "rule", str(rule.key)))
        for channel in (channel for key, channel in channels.items() if key not in kept_channels):
            await edit.delete_channel(channel)
            steps.append(Step("-", "channel", str(channel.key)))
    return steps


async def _put_channel(
    edit: Edit,
    namespace: str,
    wanted: ChannelConfig,
    stored: StoredChannel | None,
) -> tuple[Step, StoredChannel]:
    planned = wanted_of.channel(wanted, namespace, stored, headers=wanted.custom_headers or {})
    channel, made = planned.channel, planned.made
    sign, detail = _compare(stored, channel)
    if sign != "=":
        await edit.put_channel(channel)
    return Step(sign, "channel", str(wanted.key), detail, made), channel


async def _put_rule(
    edit: Edit,
    namespace: str,
    wanted: RuleConfig,
    stored: StoredRule | None,
    channel_ids: dict[str, str],
) -> Step:
    rule = wanted_of.rule(wanted, namespace, stored, channels=[channel_ids[key] for key in wanted.channels])
    sign, detail = _compare(stored, rule)
    if sign != "=":
        await edit.put_rule(rule)
    return Step(sign, "rule", str(wanted.key), detail)


def _compare(stored: StoredChannel | StoredRule | None, wanted: StoredChannel | StoredRule) -> tuple[Sign, str]:
    if stored is None:
        return "+", ""
    compared = [one.name for one in fields(wanted) if one.compare]
    changed = [name for name in compared if getattr(stored, name) != getattr(wanted, name)]
    return ("~", ", ".join(changed)) if changed else ("=", "")
