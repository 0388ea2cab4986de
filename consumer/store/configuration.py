"""Channels and rules as they are configured: read and written by people's commands, never by the stages."""

import contextlib
import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Literal

import asyncpg

from consumer.encryption import Cipher
from consumer.errors import Refused
from consumer.store.catalog import exact, read_ignoring
from consumer.store.database import Connection, Database
from schemas import events
from schemas.rules import NOTHING_IGNORED, Since, Spec, ignoring, read_spec
from schemas.secret import Secret

DisabledBy = Literal["person", "tollbell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChannel:
    """A channel as it is, its secrets opened; None for what no key of ours opens any more."""

    id: str
    namespace: str
    key: str | None
    type: str
    name: str
    url: str
    format: str
    headers: Mapping[str, Secret] | None
    signing_secret: Secret | None
    metadata: Mapping[str, str]
    disabled_by: DisabledBy | None
    retry_schedule: tuple[dt.timedelta, ...] | None = None
    concurrency: int | None = None
    expire_after: dt.timedelta | None = None
    rate_limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRule:
    """A rule as it is; *channels* are ids."""

    id: str
    namespace: str
    key: str | None
    name: str
    spec: Spec
    channels: tuple[str, ...]
    metadata: Mapping[str, str]
    disabled: bool


class Edit:
    """A change under way: all of it, or nothing. One editor at a time."""

    def __init__(self, connection: Connection, cipher: Cipher, namespace: str, *, since: Since) -> None:
        self._connection = connection
        self._cipher = cipher
        self._namespace = namespace
        self._since = since

    async def channels(self) -> list[StoredChannel]:
        """Return the namespace's channels."""
        rows = await self._connection.rows("configuration/channels", namespace=self._namespace)
        return [self._channel(row) for row in rows]

    def _channel(self, row: asyncpg.Record) -> StoredChannel:
        at = f"channel/{row['id']}"
        headers = self._opened(row["headers"], f"{at}/headers") if row["headers"] else Secret("{}")
        return StoredChannel(
            id=row["id"],
            namespace=self._namespace,
            key=row["key"],
            type=row["type"],
            name=row["name"],
            url=row["url"],
            format=row["format"],
            headers={n: Secret(v) for n, v in json.loads(headers.reveal()).items()} if headers else None,
            signing_secret=self._opened(row["signing_secret"], f"{at}/signing_secret"),
            metadata=json.loads(row["metadata"]),
            disabled_by=row["disabled_by"],
            retry_schedule=None if row["retry_schedule"] is None else tuple(row["retry_schedule"]),
            concurrency=row["concurrency"],
            expire_after=row["expire_after"],
            rate_limit=row["rate_limit"],
        )

    def _opened(self, sealed: bytes, at: str) -> Secret | None:
        try:
            return self._cipher.decrypt(sealed, row=at)
        except Refused:  # its key is lost: what a person sets anew replaces it
            return None

    async def rules(self) -> list[StoredRule]:
        """Return the namespace's rules."""
        rows = await self._connection.rows("configuration/rules", namespace=self._namespace)
        return [
            StoredRule(
                id=row["id"],
                namespace=self._namespace,
                key=row["key"],
                name=row["name"],
                spec=read_spec(exact(row["spec"])),
                channels=tuple(row["channels"]),
                metadata=json.loads(row["metadata"]),
                disabled=row["disabled"],
            )
            for row in rows
        ]

    async def put_channel(self, channel: StoredChannel) -> None:
        """Make *channel*, or change it to be so; its secrets are encrypted here.

        Raises:
            Refused: a secret that is to stay was encrypted with a key that we don't have.
        """
        at = f"channel/{channel.id}"
        if channel.headers is None or channel.signing_secret is None:
            raise Refused(f"channel {channel.key or channel.id}: its secrets cannot be opened any more: set them anew")
        opened = Secret(json.dumps({name: value.reveal() for name, value in channel.headers.items()}))
        await self._connection.rows(
            "configuration/put_channel",
            id=channel.id,
            namespace=channel.namespace,
            key=channel.key,
            type=channel.type,
            name=channel.name,
            url=channel.url,
            format=channel.format,
            headers=self._cipher.encrypt(opened, row=f"{at}/headers") if channel.headers else None,
            signing_secret=self._cipher.encrypt(channel.signing_secret, row=f"{at}/signing_secret"),
            metadata=json.dumps(dict(channel.metadata)),
            disabled_by=channel.disabled_by,
            retry_schedule=None if channel.retry_schedule is None else list(channel.retry_schedule),
            concurrency=channel.concurrency,
            expire_after=channel.expire_after,
            rate_limit=channel.rate_limit,
        )

    async def put_rule(self, rule: StoredRule) -> None:
        """Make *rule*, or change it to be so; what its thresholds ignore counts from now on."""
        before = await self._connection.row("configuration/rule_before", id=rule.id)
        was_enabled = before is not None and not before["disabled"]
        ignored = NOTHING_IGNORED
        if not rule.disabled:
            ignored = ignoring(
                rule.spec,
                self._since,
                before=read_spec(exact(before["spec"])) if before is not None and was_enabled else None,
                kept=read_ignoring(before["ignoring"]) if before is not None and was_enabled else NOTHING_IGNORED,
            )
        await self._connection.rows(
            "configuration/put_rule",
            id=rule.id,
            namespace=rule.namespace,
            key=rule.key,
            type=rule.spec.type.value,
            name=rule.name,
            spec=events.encode(rule.spec.model_dump(by_alias=True)).decode(),
            metadata=json.dumps(dict(rule.metadata)),
            disabled=rule.disabled,
            ignoring=json.dumps({identity: one.model_dump(mode="json") for identity, one in ignored.items()}),
        )
        channels = list(rule.channels)
        await self._connection.rows("configuration/put_rule_channels", rule_id=rule.id, channels=channels)

    async def delete_rule(self, rule: StoredRule) -> None:
        """Delete *rule*: from the commit on, no record makes an event of it."""
        await self._connection.rows("configuration/delete_rule", id=rule.id)

    async def delete_channel(self, channel: StoredChannel) -> None:
        """Delete *channel*; its open deliveries end FAILED `channel_deleted`.

        Raises:
            Refused: a rule still uses it.
        """
        if not await self._connection.rows("configuration/delete_channel", id=channel.id):
            raise Refused(f"channel {channel.key or channel.id}: a rule still sends to it: change that rule first")


class _Abandoned(Exception):
    pass


@contextlib.asynccontextmanager
async def edit(database: Database, cipher: Cipher, namespace: str, *, keep: bool = True) -> AsyncIterator[Edit]:
    """Give an edit; at the end it is committed, with a new revision that everybody is told of. Undone without *keep*.

    Raises:
        StoreUnavailable: Postgres cannot be reached; nothing was changed.
    """
    with contextlib.suppress(_Abandoned):
        async with database.transaction() as connection:
            bumped = await connection.row("catalog/bump")  # first: its row is the lock that editors queue at
            assert bumped is not None  # noqa: S101 - the migration inserts the one row
            yield Edit(connection, cipher, namespace, since=Since(revision=bumped["revision"], at=bumped["now"]))
            if not keep:
                raise _Abandoned
            await connection.rows("catalog/notify")
