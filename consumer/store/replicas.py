"""Processes of a deployment: each writes that it is there, and how far it is; people look at all of them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from consumer.store.database import Database

MOST: Final = 500  # shown


class Partition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A partition that a process reads.

    Attributes:
        lag: records that are not yet taken; None: not known now.
        seconds: age of the oldest of them; None likewise.
    """

    topic: str
    partition: int
    lag: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReplica:
    """A process, as it says it is.

    Attributes:
        failing: checks that do not pass, each with why: none where it is ready.
        partitions, records, dead_letters: what it reads, and what it has taken and put aside since its start; None
            where its roles read nothing.
    """

    id: str
    host: str
    pid: int
    version: str
    roles: Sequence[str]
    failing: Mapping[str, str]
    partitions: Sequence[Partition] | None
    records: int | None
    dead_letters: Mapping[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A process as it was when it was last heard of, *silent_seconds* ago."""

    replica: StoredReplica
    started_at: dt.datetime
    seen_at: dt.datetime
    silent_seconds: float


_failing: Final = msgspec.json.Decoder(dict[str, str])
_partitions: Final = msgspec.json.Decoder(list[Partition] | None)
_dead_letters: Final = msgspec.json.Decoder(dict[str, int] | None)


async def write(database: Database, replica: StoredReplica) -> None:
    """Write how *replica* is now.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    await database.rows(
        "replicas/write",
        id=replica.id,
        host=replica.host,
        pid=replica.pid,
        version=replica.version,
        roles=list(replica.roles),
        failing=_json(dict(replica.failing)),
        partitions=None if replica.partitions is None else _json(list(replica.partitions)),
        records=replica.records,
        dead_letters=None if replica.dead_letters is None else _json(dict(replica.dead_letters)),
    )


async def leave(database: Database, replica_id: str) -> None:
    """Take a process away that ends as it should.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    await database.rows("replicas/leave", id=replica_id)


async def seen(database: Database) -> list[Seen]:
    """Return the processes that have not left, the `MOST` heard of last; silent ones too, until retention removes them.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    return [
        Seen(
            replica=StoredReplica(
                id=row["id"],
                host=row["host"],
                pid=row["pid"],
                version=row["version"],
                roles=row["roles"],
                failing=_failing.decode(row["failing"]),
                partitions=_partitions.decode(row["partitions"] or "null"),
                records=row["records"],
                dead_letters=_dead_letters.decode(row["dead_letters"] or "null"),
            ),
            started_at=row["started_at"],
            seen_at=row["seen_at"],
            silent_seconds=row["silent_seconds"],
        )
        for row in await database.rows("replicas/all", most=MOST)
    ]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
