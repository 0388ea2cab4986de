"""`tollbell apply FILE`: channels and rules by key, planned, shown, and changed in one transaction."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

import click

from consumer import encryption
from consumer.commands import yaml_file
from consumer.commands.common import collection_paused, open_database
from consumer.commands.yaml_file import YamlFile
from consumer.store import configuration, configured, migrate
from consumer.store import wanted as wanted_of
from consumer.store.configuration import Edit
from consumer.store.configured import StoredChannel, StoredRule
from consumer.store.wanted import WantedChannel
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
    A signing secret that FILE leaves out is made, and printed once. A header value *** keeps what is stored.
    What has no key yet is found by its id, and has it as its key from then on.
    """
    with collection_paused():
        asyncio.run(_apply(file, dry_run=dry_run, prune=prune))


async def _apply(path: Path, *, dry_run: bool, prune: bool) -> None:
    file = yaml_file.read(path, RulesFile, os.environ)
    namespace = file.model.namespace
    async with open_database() as (database, settings):
        cipher = encryption.parse_keys(settings.needed("encryption_keys").reveal())
        await migrate.check(database)
        await _check_reach(file, await configured.channels(database, cipher, namespace), settings.delivery_allow_cidrs)
        async with configuration.edit(database, cipher, namespace) as edit:
            steps = await change(edit, file, prune=prune)
            # Without a change there is no new revision for the replicas to load.
            edit.keep = not dry_run and any(step.sign != "=" for step in steps)
    said: list[str] = []
    for step in steps:
        said.append(str(step))
        if step.made_secret and not dry_run:
            said.append(f"  signing secret, shown only now: {step.made_secret.reveal()}")
    if dry_run:
        said.append("nothing was changed (--dry-run)")
    if said:
        click.echo("\n".join(said))


async def _check_reach(
    file: YamlFile[RulesFile], stored: Sequence[StoredChannel], allowed: Sequence[IPv4Network | IPv6Network]
) -> None:
    """See that the deliverer would go to every URL that is new, as the API does."""
    known = {channel.url for channel in stored}
    new = [(n, channel.url) for n, channel in enumerate(file.model.channels) if channel.url not in known]
    if not new:
        return
    from consumer import addresses  # noqa: PLC0415 - it takes 0.2 s (aiohttp), and most files have no new URL

    for n, url in new:
        if problem := await addresses.url_refusal(url, allowed):
            raise file.refusal(("channels", n, "url"), problem)


async def change(edit: Edit, file: YamlFile[RulesFile], *, prune: bool) -> list[Step]:
    """Make the namespace's configuration what *file* says; return what that took.

    Raises:
        ConfigInvalid: a masked header has no stored value.
        Refused: a channel to be deleted is in use by a rule that stays.
    """
    namespace = file.model.namespace
    channels = {channel.key or channel.id: channel for channel in await edit.channels()}
    rules = {rule.key or rule.id: rule for rule in await edit.rules()}
    steps: list[Step] = []
    channel_ids: dict[str, str] = {}
    for n, wanted_channel in enumerate(file.model.channels):
        key = str(wanted_channel.key)
        headers, unkept = wanted_of.headers(wanted_channel.custom_headers or {}, channels.get(key))
        if unkept:
            raise file.refusal(("channels", n, "customHeaders", unkept[0]), wanted_of.UNKEPT)
        planned = wanted_of.channel(wanted_channel, namespace, channels.get(key), headers=headers)
        steps.append(await _put_channel(edit, planned, channels.get(key)))
        channel_ids[key] = planned.channel.id
    put: list[StoredRule] = []
    for wanted_rule in file.model.rules:
        stored_rule = rules.get(str(wanted_rule.key))
        ids = [channel_ids[key] for key in wanted_rule.channels]
        rule = wanted_of.rule(wanted_rule, namespace, stored_rule, channels=ids)
        sign, detail = _compare(stored_rule, rule)
        if sign != "=":
            put.append(rule)
        steps.append(Step(sign, "rule", str(wanted_rule.key), detail))
    kept = {rule.key for rule in file.model.rules} | {None}
    gone = [rule for rule in sorted(rules.values(), key=lambda rule: rule.id) if prune and rule.key not in kept]
    await edit.change_rules(put=put, delete=gone)
    steps += [Step("-", "rule", str(rule.key)) for rule in gone]
    if prune:
        steps += await _prune_channels(edit, file.model, channels)
    return steps


async def _prune_channels(edit: Edit, file: RulesFile, channels: Mapping[str, StoredChannel]) -> list[Step]:
    """Delete what has a key and is not in *file*."""
    steps: list[Step] = []
    kept = {channel.key for channel in file.channels}
    for channel in channels.values():
        if channel.key is not None and channel.key not in kept:
            await edit.delete_channel(channel)
            steps.append(Step("-", "channel", channel.key))
    return steps


async def _put_channel(edit: Edit, planned: WantedChannel, stored: StoredChannel | None) -> Step:
    sign, detail = _compare(stored, planned.channel)
    if sign != "=":
        await edit.put_channel(planned.channel)
    return Step(sign, "channel", str(planned.channel.key), detail, planned.made)


def _compare(stored: StoredChannel | StoredRule | None, wanted: StoredChannel | StoredRule) -> tuple[Sign, str]:
    if stored is None:
        return "+", ""
    compared = [one.name for one in fields(wanted) if one.compare]
    changed = [name for name in compared if getattr(stored, name) != getattr(wanted, name)]
    return ("~", ", ".join(changed)) if changed else ("=", "")
