"""Changes of channels and rules: made by people's commands and the API, never by the other stages."""

import contextlib
import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

import asyncpg

from consumer.encryption import Cipher
from consumer.errors import MadeByNewer, Refused
from consumer.formats import checks
from consumer.store import configured
from consumer.store.catalog import NEWER, read_ignoring, stored_spec
from consumer.store.configured import Kind, StoredChannel, StoredRule
from consumer.store.database import Database, DatabaseConnection, columns
from schemas import channels as channels_of
from schemas import events
from schemas.rules import NOTHING_IGNORED, RuleType, Since, ignoring
from schemas.secret import Secret

MOST_OLD_SECRETS: Final = 10  # each is a signature in every webhook's header; as in the reference product's webhooks


class Edit:
    """A change under way: all of it, or nothing. One editor at a time.

    Attributes:
        keep: whether it is committed at its end.
    """

    def __init__(
        self, connection: DatabaseConnection, cipher: Cipher, namespace: str, *, since: Since, keep: bool
    ) -> None:
        self.keep = keep
        self._connection = connection
        self._cipher = cipher
        self._namespace = namespace
        self._since = since

    async def channels(self) -> list[StoredChannel]:
        """Return the namespace's channels that are not deleted."""
        return await configured.channels(self._connection, self._cipher, self._namespace)

    async def rules(self) -> list[StoredRule]:
        """Return the namespace's rules that are not deleted."""
        return await configured.rules(self._connection, self._namespace)

    async def channel(self, channel_id: str) -> StoredChannel | None:
        """Return a channel of the namespace, deleted or not; None where there is none of that id."""
        return await configured.channel(self._connection, self._cipher, self._namespace, channel_id)

    async def rule(self, rule_id: str) -> StoredRule | None:
        """Return a rule of the namespace, deleted or not; None where there is none of that id."""
        return await configured.rule(self._connection, self._namespace, rule_id)

    async def ids_of(self, kind: Kind, names: Sequence[str]) -> list[str]:
        """Return *names*, with ids in place of `key:NAME`."""
        return await configured.ids_of(self._connection, self._namespace, kind, names)

    async def types_of(self, channel_id: str) -> frozenset[RuleType]:
        """Return the types of the rules that send to a channel.

        Raises:
            MadeByNewer: one is of a type that this release does not know: whether the channel fits it can't be said.
        """
        rows = await self._connection.rows("configuration/rule_types", channel=channel_id)
        try:
            return frozenset(RuleType(row["type"]) for row in rows)
        except ValueError:
            raise MadeByNewer(f"a rule that sends to the channel: {NEWER}") from None

    async def put_channel(self, channel: StoredChannel, *, before: StoredChannel | None, forgets: bool = False) -> None:
        """Make *channel*, or change it from what it was *before*; its secrets are encrypted here.

        Its failures and pauses are forgotten where it *forgets*, though it was enabled before.

        Raises:
            Refused: a secret that is to stay was encrypted with a key that we don't have.
        """
        at, config = f"channel/{channel.id}", channel.config
        if channel.headers is None or channel.signing_secret is None or channel.secrets is None:
            raise Refused(f"channel {channel.called}: its secrets cannot be opened any more: set them again")
        hidden: dict[str, object] = {"url": config.url} if channels_of.is_url_secret(config) else {}
        if channel.secrets:
            hidden["secrets"] = _revealed(channel.secrets)
        await self._connection.rows(
            "configuration/put_channel",
            id=channel.id,
            namespace=channel.namespace,
            key=config.key,
            type=config.type,
            name=config.name,
            url=channel.shown_url,
            is_moved=before is not None and before.config.url != config.url,
            format=channels_of.stored_format(config),
            headers=self._sealed(_revealed(channel.headers), f"{at}/headers"),
            signing_secret=self._cipher.encrypt(channel.signing_secret, row=f"{at}/signing_secret"),
            sealed=self._sealed(hidden, f"{at}/sealed"),
            config=channels_of.rest(config),
            template=channels_of.template_text(config),
            disabled_by=channel.disabled_by,
            retry_schedule=None if config.retry_schedule is None else list(config.retry_schedule),
            concurrency=config.concurrency,
            expire_after=config.expire_after,
            rate_limit=config.rate_limit or checks.default_rate(config.format),
            forgets=forgets,
            request_origin=config.request_origin,
            permanent_statuses=None if config.permanent_statuses is None else list(config.permanent_statuses),
        )

    def _sealed(self, secrets: Mapping[str, object], row: str) -> bytes | None:
        return self._cipher.encrypt(Secret(json.dumps(secrets)), row=row) if secrets else None

    async def rotate_secret(self, channel: StoredChannel, new: Secret, *, overlap: dt.timedelta) -> None:
        """Sign with *new* from now on, and with what was before as well for *overlap*."""
        await self._connection.rows(
            "configuration/rotate_secret",
            id=channel.id,
            signing_secret=self._cipher.encrypt(new, row=f"channel/{channel.id}/signing_secret"),
            overlap=overlap,
            most=MOST_OLD_SECRETS,
        )

    async def put_rule(self, rule: StoredRule) -> None:
        """Make *rule*, or change it to be so; what its thresholds ignore counts from now on."""
        await self.change_rules(put=[rule])

    async def delete_rule(self, rule: StoredRule) -> None:
        """Delete *rule*: from the commit on, no record makes an event of it."""
        await self.change_rules(delete=[rule])

    async def change_rules(self, *, put: Sequence[StoredRule] = (), delete: Sequence[StoredRule] = ()) -> None:
        """Make or change the rules of *put*, and delete those of *delete*; all are locked first, in id order."""
        ids = [rule.id for rule in (*put, *delete)]
        if not ids:
            return
        rows = await self._connection.rows("configuration/lock_rules", ids=ids)
        before = {row["id"]: row for row in rows}
        if put:
            await self._put(put, [self._ignored(rule, before.get(rule.id)) for rule in put])
        if delete:
            await self._connection.rows("configuration/delete_rules", ids=[rule.id for rule in delete])

    def _ignored(self, rule: StoredRule, before: asyncpg.Record | None) -> Mapping[str, Since]:
        if rule.disabled:
            return NOTHING_IGNORED
        if before is None or before["disabled"]:
            return ignoring(rule.spec, self._since)
        spec, kept = stored_spec(before), read_ignoring(before["ignoring"])
        return ignoring(rule.spec, self._since, before=spec, kept=kept)

    async def _put(self, rules: Sequence[StoredRule], ignored: Sequence[Mapping[str, Since]]) -> None:
        shown = [{identity: since.model_dump(mode="json") for identity, since in one.items()} for one in ignored]
        await self._connection.rows(
            "configuration/put_rules",
            ids=[rule.id for rule in rules],
            namespaces=[rule.namespace for rule in rules],
            keys=[rule.key for rule in rules],
            types=[rule.spec.type.value for rule in rules],
            names=[rule.name for rule in rules],
            specs=[events.encode(rule.spec.model_dump(by_alias=True)).decode() for rule in rules],
            metadata=[json.dumps(dict(rule.metadata)) for rule in rules],
            disabled=[rule.disabled for rule in rules],
            ignoring=[json.dumps(one) for one in shown],
        )
        links = [(rule.id, channel, position) for rule in rules for position, channel in enumerate(rule.channels, 1)]
        rule_ids, channel_ids, positions = columns(links, 3)
        await self._connection.rows(
            "configuration/put_rule_channels",
            changed=[rule.id for rule in rules],
            rule_ids=rule_ids,
            channel_ids=channel_ids,
            positions=positions,
        )

    async def delete_channel(self, channel: StoredChannel) -> None:
        """Delete *channel*; its open deliveries end FAILED `channel_deleted`.

        Raises:
            Refused: a rule still uses it.
        """
        if not await self._connection.rows("configuration/delete_channel", id=channel.id):
            raise Refused(f"channel {channel.called}: a rule still sends to it: change that rule first")


def _revealed(secrets: Mapping[str, Secret]) -> dict[str, str]:
    return {name: value.reveal() for name, value in secrets.items()}


class _Abandoned(Exception):
    pass


@contextlib.asynccontextmanager
async def edit(database: Database, cipher: Cipher, namespace: str, *, keep: bool = True) -> AsyncIterator[Edit]:
    """Give an edit; at its end it is committed, with a new revision, and replicas are notified. Undone without *keep*.

    Raises:
        StoreUnavailable: Postgres cannot be reached; nothing was changed.
    """
    with contextlib.suppress(_Abandoned):
        async with database.transaction() as connection:
            bumped = await connection.row("catalog/bump")  # first: its row is the lock that editors queue at
            assert bumped is not None  # noqa: S101 - the migration inserts the one row
            since = Since(revision=bumped["revision"], at=bumped["now"])
            made = Edit(connection, cipher, namespace, since=since, keep=keep)
            yield made
            if not made.keep:
                raise _Abandoned
            await connection.rows("catalog/notify")
