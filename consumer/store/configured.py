"""Channels and rules as they are configured: what is stored, one by one or in pages."""

import datetime as dt
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, Protocol, TypeVar

import asyncpg

from consumer.encryption import Cipher
from consumer.errors import Refused
from consumer.store.catalog import exact, read_ignoring, stored_spec
from schemas import channels as channels_of
from schemas.channels import ChannelConfig
from schemas.rules import NOTHING_IGNORED, Rule, RuleId, Since, Spec
from schemas.secret import Secret

DisabledBy = Literal["person", "tollbell"]
Kind = Literal["channel", "rule"]
BY_KEY: Final = "key:"  # before a key, where an id is taken: no id begins like this
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """When something was made, changed, and deleted."""

    created_at: dt.datetime
    updated_at: dt.datetime
    deleted_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChannel:
    """A channel as it is, its secrets opened; None for what no key of ours opens any more.

    Attributes:
        config: as a person set it, but for what is beside it here: headers, secrets, who disabled it. Of a secret URL
            that no key opens, its origin.
        secrets: None where its secret URL can't be opened either.
        life: None of one that is about to be made.
        disabled_reason: why Tollbell disabled it.
        paused_until: nothing is sent before: its receiver asked for that, or its breaker is open.
        allowed_rate: requests a second that its receiver has consented to.
    """

    id: str
    namespace: str
    config: ChannelConfig
    headers: Mapping[str, Secret] | None
    signing_secret: Secret | None
    disabled_by: DisabledBy | None
    secrets: Mapping[str, Secret] | None = field(default_factory=dict)
    life: Life | None = field(default=None, compare=False)
    disabled_reason: str | None = field(default=None, compare=False)
    paused_until: dt.datetime | None = field(default=None, compare=False)
    allowed_rate: float | None = field(default=None, compare=False)

    @property
    def key(self) -> str | None:
        """By which `tollbell apply` finds it again."""
        return self.config.key

    @property
    def called(self) -> str:
        """Its key; where it has none, its id."""
        return self.config.key or self.id

    @property
    def opens(self) -> bool:
        """Whether a key of ours opens all of its secrets."""
        return self.headers is not None and self.signing_secret is not None and self.secrets is not None

    @property
    def shown_url(self) -> str:
        """Its URL as people may see it: one that is a secret, masked."""
        return channels_of.shown_url(self.config)


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
    ignoring: Mapping[str, Since] = field(default_factory=lambda: NOTHING_IGNORED, compare=False)
    life: Life | None = field(default=None, compare=False)

    @property
    def judged(self) -> Rule:
        """The rule as the judgement sees it."""
        return Rule(
            id=RuleId(self.id),
            namespace=self.namespace,
            name=self.name,
            spec=self.spec,
            channels=self.channels,
            ignoring=self.ignoring,
        )


def is_deleted(one: StoredChannel | StoredRule) -> bool:
    """Whether it is kept for its history alone."""
    return one.life is not None and one.life.deleted_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of a namespace's channels or rules, and in which order.

    Attributes:
        features: of rules: those that name one of these; None: all.
        channels: of rules: those that send to one of these; None: all.
        order_by: id, type, createdAt or updatedAt.
        limit, offset: of a page.
        bytes: of what a page has room for.
    """

    with_deleted: bool = False
    with_disabled: bool = False
    features: Sequence[str] | None = None
    channels: Sequence[str] | None = None
    order_by: str = "id"
    descending: bool = False
    limit: int = 100
    offset: int = 0
    bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Selected(Generic[T]):
    """A part of what was selected, and how many there are in all."""

    parts: Sequence[T]
    total: int


@dataclass(frozen=True, slots=True)
class ReadPage(Generic[T]):
    """The same, read part by part: a thousand rules take a hundred times of what is stored of them.

    Attributes:
        rows: as they are stored: those that have room.
        left_out: how many have none.
        size: bytes of what is stored of those that have.
    """

    rows: Sequence[asyncpg.Record]
    read: Callable[[asyncpg.Record], T]
    left_out: int
    size: int
    total: int

    def parts(self, size: int) -> Iterator[list[T]]:
        """Give them by *size*."""
        for at in range(0, len(self.rows), size):
            yield [self.read(row) for row in self.rows[at : at + size]]


class Reader(Protocol):
    """The database, or a connection within a transaction."""

    async def rows(self, name: str, /, **arguments: object) -> list[asyncpg.Record]:
        """Run the statement *name*; return its rows."""
        ...


async def channel(reader: Reader, cipher: Cipher, namespace: str, channel_id: str) -> StoredChannel | None:
    """Return a channel, deleted or not; None where the namespace has none of that id.

    Raises:
        StoreUnavailable: Postgres cannot be reached; so in all of these.
    """
    rows = await reader.rows("configuration/channel", id=channel_id, namespace=namespace)
    return _channel(rows[0], cipher) if rows else None


async def rule(reader: Reader, namespace: str, rule_id: str) -> StoredRule | None:
    """Return a rule, deleted or not; None where the namespace has none of that id."""
    rows = await reader.rows("configuration/rule", id=rule_id, namespace=namespace)
    return _rule(rows[0]) if rows else None


async def ids_of(reader: Reader, namespace: str, kind: Kind, names: Sequence[str]) -> list[str]:
    """Return *names*, with the id of the channel or rule of that key in place of each `key:NAME`.

    One that is not there, or deleted, stays as it is: it is no id.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    keys = [name.removeprefix(BY_KEY) for name in names if name.startswith(BY_KEY)]
    if not keys:
        return list(names)
    by_key = "configuration/channel_keys" if kind == "channel" else "configuration/rule_keys"
    rows = await reader.rows(by_key, namespace=namespace, keys=keys)
    found = {f"{BY_KEY}{row['key']}": row["id"] for row in rows}
    return [found.get(name, name) for name in names]


async def channels(reader: Reader, cipher: Cipher, namespace: str) -> list[StoredChannel]:
    """Return all channels that are not deleted, in id order."""
    return [_channel(row, cipher) for row in await reader.rows("configuration/channels", namespace=namespace)]


async def some_channels(reader: Reader, cipher: Cipher, namespace: str, ids: Collection[str]) -> list[StoredChannel]:
    """Return channels by their ids, in id order; without those that are deleted, or that the namespace has not."""
    rows = await reader.rows("configuration/some_channels", namespace=namespace, ids=list(ids))
    return [_channel(row, cipher) for row in rows]


async def namespaces(reader: Reader) -> list[str]:
    """Return the namespaces that have a channel."""
    return [row["namespace"] for row in await reader.rows("configuration/namespaces")]


async def rules(reader: Reader, namespace: str) -> list[StoredRule]:
    """Return all rules that are not deleted, in id order."""
    return [_rule(row) for row in await reader.rows("configuration/rules", namespace=namespace)]


async def rules_of(reader: Reader, namespace: str, ids: Collection[str]) -> dict[str, StoredRule]:
    """Return rules by their ids, deleted or not; without those that the namespace has not."""
    rows = await reader.rows("configuration/rules_of", namespace=namespace, ids=list(ids))
    return {row["id"]: _rule(row) for row in rows}


async def channel_names(reader: Reader, namespace: str, ids: Collection[str]) -> dict[str, str]:
    """Return what channels are called, by their ids, deleted or not; without those that the namespace has not."""
    if not ids:
        return {}
    rows = await reader.rows("configuration/channel_names", namespace=namespace, ids=list(ids))
    return {row["id"]: row["name"] for row in rows}


async def channel_page(reader: Reader, cipher: Cipher, namespace: str, wanted: Selection) -> ReadPage[StoredChannel]:
    """Return a page of channels."""
    which = {"namespace": namespace, "with_deleted": wanted.with_deleted, "with_disabled": wanted.with_disabled}
    rows = await reader.rows("configuration/channel_page", **which, **_order(wanted))
    (count,) = await reader.rows("configuration/channel_count", **which)
    return _page(rows, lambda row: _channel(row, cipher), count["total"])


async def rule_page(reader: Reader, namespace: str, wanted: Selection) -> ReadPage[StoredRule]:
    """Return a page of rules."""
    which: dict[str, object] = {
        "namespace": namespace,
        "with_deleted": wanted.with_deleted,
        "with_disabled": wanted.with_disabled,
        "features": None if wanted.features is None else list(wanted.features),
        "channels": None if wanted.channels is None else list(wanted.channels),
    }
    rows = await reader.rows("configuration/rule_page", **which, **_order(wanted))
    (count,) = await reader.rows("configuration/rule_count", **which)
    return _page(rows, _rule, count["total"])


def _page(rows: Sequence[asyncpg.Record], read: Callable[[asyncpg.Record], T], total: int) -> ReadPage[T]:
    having = [row for row in rows if row["has_room"]]
    return ReadPage(having, read, len(rows) - len(having), sum(row["size"] for row in having), total)


def _order(wanted: Selection) -> dict[str, object]:
    return {
        "order_by": wanted.order_by,
        "descending": wanted.descending,
        "limit": wanted.limit,
        "offset": wanted.offset,
        "bytes": wanted.bytes,
    }


def _life(row: asyncpg.Record) -> Life:
    return Life(created_at=row["created_at"], updated_at=row["updated_at"], deleted_at=row["deleted_at"])


def _channel(row: asyncpg.Record, cipher: Cipher) -> StoredChannel:
    at = f"channel/{row['id']}"
    headers = _opened(cipher, row["headers"], f"{at}/headers") if row["headers"] else Secret("{}")
    sealed = _opened(cipher, row["sealed"], f"{at}/sealed") if row["sealed"] else Secret("{}")
    hidden = json.loads(sealed.reveal()) if sealed else {}
    return StoredChannel(
        id=row["id"],
        namespace=row["namespace"],
        config=_config(row, hidden.get("url", row["url"])),
        headers={n: Secret(v) for n, v in json.loads(headers.reveal()).items()} if headers else None,
        signing_secret=_opened(cipher, row["signing_secret"], f"{at}/signing_secret"),
        secrets={n: Secret(v) for n, v in hidden.get("secrets", {}).items()} if sealed else None,
        disabled_by=row["disabled_by"],
        life=_life(row),
        disabled_reason=row["disabled_reason"],
        paused_until=row["paused_until"],
        allowed_rate=row["allowed_rate"],
    )


def _config(row: asyncpg.Record, url: str) -> ChannelConfig:
    """Return the configuration as it was stored: not validated again, for it may be older than a rule of today's."""
    rest = json.loads(row["config"])
    return ChannelConfig.model_construct(
        type=row["type"],
        name=row["name"],
        url=url,
        key=row["key"],
        format=row["format"].partition(":")[0],
        template=None if row["template"] is None else exact(row["template"]),
        retry_schedule=None if row["retry_schedule"] is None else tuple(row["retry_schedule"]),
        concurrency=row["concurrency"],
        expire_after=row["expire_after"],
        request_origin=row["request_origin"],
        permanent_statuses=None if row["permanent_statuses"] is None else tuple(row["permanent_statuses"]),
        **{name: rest[alias] for name, alias in channels_of.REST.items() if alias in rest},
    )


def _opened(cipher: Cipher, sealed: bytes, at: str) -> Secret | None:
    try:
        return cipher.decrypt(sealed, row=at)
    except Refused:  # its key is lost: what a person sets next replaces it
        return None


def _rule(row: asyncpg.Record) -> StoredRule:
    return StoredRule(
        id=row["id"],
        namespace=row["namespace"],
        key=row["key"],
        name=row["name"],
        spec=stored_spec(row),
        channels=tuple(row["channels"]),
        metadata=json.loads(row["metadata"]),
        disabled=row["disabled"],
        ignoring=read_ignoring(row["ignoring"]),
        life=_life(row),
    )
