"""`tollbell apply FILE…`: channels and rules by key, planned, shown, and changed in one transaction."""

import asyncio
import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final, Literal

import click

from consumer import encryption
from consumer.commands import hints, plan, rules_files
from consumer.commands.common import collection_paused, open_database
from consumer.commands.plan import KEPT, Step
from consumer.commands.rules_files import STDIN, At, WantedConfiguration
from consumer.errors import ConfigInvalid
from consumer.store import configuration, configured, migrate
from consumer.store import wanted as wanted_of
from consumer.store.configuration import Edit
from consumer.store.configured import StoredChannel, StoredRule
from consumer.store.wanted import Unmasked
from schemas.rules import RuleType
from schemas.secret import Secret

Network = IPv4Network | IPv6Network
Output = Literal["text", "json"]
WOULD_CHANGE: Final = 3  # exit status
RESOLVED_AT_ONCE: Final = 20
# What a pipe gives whose first command has failed.
BLANK: Final = (
    "--prune: the file is empty, so everything that has a key would be deleted: if you mean that, write `namespace:`"
    " and its name"
)


@click.command()
@click.argument("file", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Show the plan; change nothing.")
@click.option("--exit-code", is_flag=True, help="With --dry-run: status 3 where something would change.")
@click.option("--prune", is_flag=True, help="Delete what has a key and is in none of the files.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--secrets-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file for the signing secrets that are made here, a JSON object by channel key.",
)
def apply(
    file: tuple[Path, ...], *, dry_run: bool, exit_code: bool, prune: bool, output: Output, secrets_file: Path | None
) -> None:
    """Create or update channels and rules to match FILE, or several: they are one. `-` is standard input.

    Of a folder, all files in it that end with .yaml, .yml or .json. Idempotent: everything is found again by its key.
    What has no key yet is found by its id, and has it as its key from then on.

    The plan: + made, ~ changed, - deleted, = as it was, ! stored and in none of the files.
    A signing secret that is left out is made, and printed to a terminal or written to --secrets-file, once. A header
    value *** keeps what is stored. `apply --dry-run --exit-code`: status 0 nothing would change, 3 something would.
    """
    if exit_code and not dry_run:
        raise ConfigInvalid("--exit-code: works with --dry-run alone")
    if file.count(STDIN) > 1:
        raise ConfigInvalid("-: standard input can be read once")
    with collection_paused():
        planned = asyncio.run(_apply(file, dry_run=dry_run, prune=prune, output=output, secrets_file=secrets_file))
    if exit_code and any(step.is_change for step in planned):
        sys.exit(WOULD_CHANGE)


async def _apply(
    paths: Sequence[Path], *, dry_run: bool, prune: bool, output: Output, secrets_file: Path | None
) -> list[Step]:
    async with open_database("encryption_keys") as (database, settings):
        wanted = rules_files.read(paths, os.environ)
        if prune and wanted.is_blank:
            raise ConfigInvalid(BLANK)
        cipher = encryption.parse_keys(settings.needed("encryption_keys").reveal())
        await migrate.check(database)
        stored = await configured.channels(database, cipher, wanted.namespace)
        await _check_reach(wanted, stored, settings.delivery_allow_cidrs)
        warnings = await hints.of(wanted, database)
        async with configuration.edit(database, cipher, wanted.namespace) as edit:
            steps = await change(edit, wanted, prune=prune, allowed=settings.delivery_allow_cidrs)
            made = {step.key: step.made_secret for step in steps if step.made_secret is not None}
            if made and not dry_run:
                _keep(made, secrets_file, is_seen=output == "text" and sys.stdout.isatty())
            # Without a change there is no new revision for the replicas to load.
            edit.keep = not dry_run and any(step.is_change for step in steps)
    warnings += [said for step in steps for said in step.warnings]
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if output == "json":
        _say_json(steps, warnings, wanted.namespace, dry_run=dry_run)
    else:
        _say(steps, shows_secrets=secrets_file is None and not dry_run, dry_run=dry_run)
    return steps


def _keep(made: Mapping[str, Secret], path: Path | None, *, is_seen: bool) -> None:
    """Write the secrets that were made to *path*, before anything is committed: stored ones are not shown again.

    Raises:
        ConfigInvalid: it can't be written, or there is none and no terminal either: nothing is applied.
    """
    if path is None:
        if not is_seen:
            raise ConfigInvalid(
                f"channel {', '.join(made)}: has no signingSecret, and there is no terminal to show one that is made:"
                " give it in the file, or use --secrets-file"
            )
        return
    text = json.dumps({key: secret.reveal() for key, secret in made.items()}, indent=2)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:  # one that is there may hold secrets that nothing else has
        raise ConfigInvalid(f"--secrets-file {path}: cannot be made: {exc.strerror}: name a new file") from None


def _say(steps: Sequence[Step], *, shows_secrets: bool, dry_run: bool) -> None:
    said: list[str] = []
    for step in steps:
        said.append(str(step))
        if step.made_secret and shows_secrets:
            said.append(f"  signing secret, shown only now: {step.made_secret.reveal()}")
    if dry_run:
        said.append("nothing was changed (--dry-run)")
    if said:
        click.echo("\n".join(said))


def _say_json(steps: Sequence[Step], warnings: Sequence[str], namespace: str, *, dry_run: bool) -> None:
    click.echo(
        json.dumps(
            {
                "namespace": namespace,
                "dryRun": dry_run,
                "changed": any(step.is_change for step in steps),
                "steps": [step.document() for step in steps],
                "warnings": list(warnings),
            },
            ensure_ascii=False,
            indent=2,
        )
    )


async def _check_reach(
    wanted: WantedConfiguration, stored: Sequence[StoredChannel], allowed: Sequence[Network]
) -> None:
    """See that the deliverer would go to every URL that is new, as the API does."""
    known = {url for one in stored for url in (one.config.url, one.shown_url)}
    new = [(channel.url, at) for channel, at in wanted.channels if channel.url not in known]
    if not new:
        return
    from consumer import addresses  # noqa: PLC0415 - it takes 0.2 s (aiohttp), and most files have no new URL

    at_once = asyncio.Semaphore(RESOLVED_AT_ONCE)

    async def refusal(url: str) -> str | None:
        async with at_once:
            return await addresses.url_refusal(url, allowed)

    problems = await asyncio.gather(*(refusal(url) for url, _ in new))
    wrong = [(_in(at, "url"), problem) for (_, at), problem in zip(new, problems, strict=True) if problem]
    if wrong:
        raise wanted.refusal(wrong)


async def change(
    edit: Edit, wanted: WantedConfiguration, *, prune: bool, allowed: Sequence[Network] = ()
) -> list[Step]:
    """Make the namespace's configuration what *wanted* says; return what that took.

    Raises:
        ConfigInvalid: masked headers have no stored value.
        Refused: a channel to be deleted is in use by a rule that stays.
    """
    channels = {channel.called: channel for channel in await edit.channels()}
    rules = {rule.key or rule.id: rule for rule in await edit.rules()}
    listed = {str(config.key) for config, _ in wanted.rules}
    staying = [rule for name, rule in rules.items() if name not in listed and not (prune and rule.key)]
    unmasked = _unmasked(wanted, channels, staying, allowed)
    steps: list[Step] = []
    ids: dict[str, str] = {}
    for config, at in wanted.channels:
        key = str(config.key)
        before = channels.get(key)
        planned = wanted_of.channel(config, wanted.namespace, before, unmasked=unmasked[key])
        step = plan.of_channel(before, planned.channel, planned.made)
        said = [wanted.line(_in(at, *place), text) for place, text in unmasked[key].warnings]
        step = replace(step, warnings=said)
        if step.is_change:
            await edit.put_channel(planned.channel, before=before)
        steps.append(step)
        ids[key] = planned.channel.id
    gone = [rule for rule in sorted(rules.values(), key=lambda rule: rule.id) if rule.key and rule.key not in listed]
    urls = {one.id: one.config.url for one in channels.values()}
    called = {one.id: one.called for one in channels.values()} | {channel: key for key, channel in ids.items()}
    steps += await _put_rules(edit, wanted, rules, called, gone if prune else [])
    steps += [
        Step("-", "rule", str(rule.key))
        if prune
        else Step("!", "rule", str(rule.key), note=_kept(rule, wanted, ids, urls))
        for rule in gone
    ]
    for channel in channels.values():
        if channel.key is not None and channel.key not in ids:
            if prune:
                await edit.delete_channel(channel)
            steps.append(Step("-" if prune else "!", "channel", channel.key, note="" if prune else KEPT))
    return steps


def _unmasked(
    wanted: WantedConfiguration,
    stored: Mapping[str, StoredChannel],
    staying: Sequence[StoredRule],
    allowed: Sequence[Network],
) -> dict[str, Unmasked]:
    """Return what is to be stored in place of masks, by the channel's key; *staying* are rules that no file has.

    Raises:
        ConfigInvalid: something is masked, and there is nothing to keep; or does not fit its format.
    """
    found: dict[str, Unmasked] = {}
    wrong: list[tuple[At, str]] = []
    keys = {channel.id: key for key, channel in stored.items()}
    types: defaultdict[str, set[RuleType]] = defaultdict(set)
    for rule, _ in wanted.rules:
        for name in rule.channels:
            types[name].add(rule.spec.type)
    for kept in staying:
        for channel_id in kept.channels:
            types[keys.get(channel_id, "")].add(kept.spec.type)
    for config, at in wanted.channels:
        key = str(config.key)
        found[key], problems = wanted_of.unmask(config, stored.get(key), allowed=allowed, types=types.get(key))
        wrong += [(_in(at, *place), problem) for place, problem in problems]
    if wrong:
        raise wanted.refusal(wrong)
    return found


async def _put_rules(
    edit: Edit,
    wanted: WantedConfiguration,
    stored: Mapping[str, StoredRule],
    called: Mapping[str, str],
    gone: Sequence[StoredRule],
) -> list[Step]:
    """Change rules; *called* has what each channel is called, by its id: the file's, and what else is stored."""
    steps: list[Step] = []
    put: list[StoredRule] = []
    ids = {key: channel_id for channel_id, key in called.items()}
    for config, _ in wanted.rules:
        before = stored.get(str(config.key))
        rule = wanted_of.rule(config, wanted.namespace, before, channels=[ids[key] for key in config.channels])
        step = plan.of_rule(before, rule, called)
        if step.is_change:
            put.append(rule)
        steps.append(step)
    await edit.change_rules(put=put, delete=gone)
    return steps


def _kept(gone: StoredRule, wanted: WantedConfiguration, ids: Mapping[str, str], urls: Mapping[str, str]) -> str:
    """Return what to say of a rule that is in none of the files; a renamed key would double all of its events.

    Likewise where its channel's key was renamed as well: then the URL is the same. *urls* are those of stored channels.
    """
    sent_to = {str(channel.key): channel.url for channel, _ in wanted.channels}
    for config, _ in wanted.rules:
        if config.spec != gone.spec:
            continue
        if {ids[key] for key in config.channels} & set(gone.channels):
            same = "channel"
        elif {sent_to[key] for key in config.channels} & {urls.get(channel) for channel in gone.channels}:
            same = "url"
        else:
            continue
        return f"{KEPT}; rule {config.key} says the same to the same {same}, so each event would come twice"
    return KEPT


def _in(at: At, *names: int | str) -> At:
    return At(at.file, (*at.place, *names))
