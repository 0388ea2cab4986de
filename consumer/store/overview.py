"""What a namespace's tables hold now, in numbers: for people who look whether all is well."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consumer.store.database import Database
from consumer.store.intervals import lowest_id

HOURS: Final = 24
MOST_OF_HOUR: Final = 2_000  # events counted of an hour: 24 of them take some 5 ms
MOST_COUNTED: Final = 20_000  # deliveries counted of each kind
MOST_TROUBLED: Final = 20
MOST_NAMESPACES: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Deliveries by state: open ones, and of the last day's events those that have ended; counted to `MOST_COUNTED`."""

    pending: int
    sending: int
    resending: int
    due: int
    oldest_due_at: dt.datetime | None
    success: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubled:
    """A channel that a person should look at, and its newest attempt, where it has one."""

    id: str
    name: str
    disabled_by: str | None
    disabled_reason: str | None
    paused_until: dt.datetime | None
    failures: int | None
    failing_since: dt.datetime | None
    event_id: str | None
    started_at: dt.datetime | None
    outcome: str | None
    status: int | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """How many channels and rules there are, and how many of these are disabled."""

    channels: int
    channels_disabled: int
    rules: int
    rules_disabled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All of it.

    Attributes:
        at: the database's time.
        hours: events of each of the last 24 hours, the oldest first; each counted up to `MOST_OF_HOUR`.
    """

    at: dt.datetime
    hours: Sequence[int]
    deliveries: Deliveries
    troubled: Sequence[Troubled]
    configured: Configured


async def overview(database: Database, namespace: str) -> Overview:
    """Return what *namespace* has now.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    at = await database.now()
    starts = [at - dt.timedelta(hours=hours) for hours in range(HOURS, 0, -1)]
    bounds = [lowest_id(start) for start in (*starts, at + dt.timedelta(hours=1))]
    hours = await database.rows("overview/activity", namespace=namespace, bounds=bounds, most=MOST_OF_HOUR)
    (deliveries,) = await database.rows(
        "overview/deliveries", namespace=namespace, from_id=bounds[0], most=MOST_COUNTED
    )
    troubled = await database.rows("overview/troubled", namespace=namespace, limit=MOST_TROUBLED)
    (counts,) = await database.rows("overview/configured", namespace=namespace)
    return Overview(
        at=at,
        hours=[row["total"] for row in hours],
        deliveries=Deliveries(**dict(deliveries)),
        troubled=[Troubled(**dict(row)) for row in troubled],
        configured=Configured(**dict(counts)),
    )


@dataclass(frozen=True, slots=True)
class NamespaceCounts:
    """A namespace, and how much of it is configured."""

    name: str
    channels: int
    rules: int


async def namespaces(database: Database) -> list[NamespaceCounts]:
    """Return the namespaces that have something, the first `MOST_NAMESPACES` of them by name.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows("overview/namespaces", most=MOST_NAMESPACES)
    return [NamespaceCounts(row["namespace"], row["channels"], row["rules"]) for row in rows]
