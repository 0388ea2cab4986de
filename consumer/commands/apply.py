"""`tollbell apply FILE…`: channels and rules by key, planned, shown, and changed in one transaction."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final, Literal

import click

from consumer import encryption
from consumer.commands import hints, plan, rules_files
from consumer.commands.common import collection_paused, open_database
from consumer.commands.plan import KEPT, Step
from consumer.commands.rules_files import STDIN, At, Wanted
from consumer.errors import ConfigInvalid
from consumer.store import configuration, configured, migrate
from consumer.store import wanted as wanted_of
from consumer.store.configuration import Edit
from consumer.store.configured import StoredChannel, StoredRule
from schemas.secret import Secret

Network = IPv4Network | IPv6Network
Output = Literal["text", "json"]
WOULD_CHANGE: Final = 3  # exit status
RESOLVED_AT_ONCE: Final = 20


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
        cipher = encryption.parse_keys(settings.needed("encryption_keys").reveal())
        await migrate.check(database)
        stored = await configured.channels(database, cipher, wanted.namespace)
        await _check_reach(wanted, stored, settings.delivery_allow_cidrs)
        warnings = await hints.of(wanted, database)
        async with configuration.edit(database, cipher, wanted.namespace) as edit:
            steps = await change(edit, wanted, prune=prune)
            made = {step.key: step.made_secret for step in steps if step.made_secret is not None}
            if made and not dry_run:
                _keep(made, secrets_file, is_seen=output == "text" and sys.stdout.isatty())
            # Without a change there is no new revision for the replicas to load.
            edit.keep = not dry_run and any(step.is_change for step in steps)
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


async def _check_reach(wanted: Wanted, stored: Sequence[StoredChannel], allowed: Sequence[Network]) -> None:
    """See that the deliverer would go to every URL that is new, as the API does."""
    known = {channel.url for channel in stored}
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


async def change(edit: Edit, wanted: Wanted, *, prune: bool) -> list[Step]:
    """Make the namespace's configuration what *wanted* says; return what that took.

    Raises:
        ConfigInvalid: masked headers have no stored value.
        Refused: a channel to be deleted is in use by a rule that stays.
    """
    channels = {channel.key or channel.id: channel for channel in await edit.channels()}
    rules = {rule.key or rule.id: rule for rule in await edit.rules()}
    headers = _headers(wanted, channels)
    steps: list[Step] = []
    ids: dict[str, str] = {}
    for config, _ in wanted.channels:
        key = str(config.key)
        planned = wanted_of.channel(config, wanted.namespace, channels.get(key), headers=headers[key])
        step = plan.of_channel(channels.get(key), planned.channel, planned.made)
        if step.is_change:
            await edit.put_channel(planned.channel)
        steps.append(step)
        ids[key] = planned.channel.id
    kept_rules = {str(config.key) for config, _ in wanted.rules}
    gone = [
        rule for rule in sorted(rules.values(), key=lambda rule: rule.id) if rule.key and rule.key not in kept_rules
    ]
    steps += await _put_rules(edit, wanted, rules, ids, gone if prune else [])
    steps += [
        Step("-", "rule", str(rule.key)) if prune else Step("!", "rule", str(rule.key), note=_kept(rule, wanted, ids))
        for rule in gone
    ]
    for channel in channels.values():
        if channel.key is not None and channel.key not in ids:
            if prune:
                await edit.delete_channel(channel)
            steps.append(Step("-" if prune else "!", "channel", channel.key, note="" if prune else KEPT))
    return steps


def _headers(wanted: Wanted, stored: Mapping[str, StoredChannel]) -> dict[str, dict[str, Secret]]:
    """Return the headers to be stored, by the channel's key.

    Raises:
        ConfigInvalid: some are masked, and there is nothing to keep.
    """
    found: dict[str, dict[str, Secret]] = {}
    wrong: list[tuple[At, str]] = []
    for config, at in wanted.channels:
        key = str(config.key)
        found[key], unkept = wanted_of.headers(config.custom_headers or {}, stored.get(key))
        wrong += [(_in(at, "customHeaders", name), wanted_of.UNKEPT) for name in unkept]
    if wrong:
        raise wanted.refusal(wrong)
    return found


async def _put_rules(
    edit: Edit, wanted: Wanted, stored: Mapping[str, StoredRule], ids: Mapping[str, str], gone: Sequence[StoredRule]
) -> list[Step]:
    steps: list[Step] = []
    put: list[StoredRule] = []
    keys = {channel_id: key for key, channel_id in ids.items()}
    for config, _ in wanted.rules:
        before = stored.get(str(config.key))
        rule = wanted_of.rule(config, wanted.namespace, before, channels=[ids[key] for key in config.channels])
        step = plan.of_rule(before, rule, keys)
        if step.is_change:
            put.append(rule)
        steps.append(step)
    await edit.change_rules(put=put, delete=gone)
    return steps


def _kept(gone: StoredRule, wanted: Wanted, ids: Mapping[str, str]) -> str:
    """Return what to say of a rule that is in none of the files; a renamed key would double all of its events."""
    for config, _ in wanted.rules:
        if config.spec == gone.spec and {ids[key] for key in config.channels} & set(gone.channels):
            return f"{KEPT}; rule {config.key} says the same to the same channel, so each event would come twice"
    return KEPT


def _in(at: At, *names: str) -> At:
    return At(at.file, (*at.place, *names))
