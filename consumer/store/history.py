"""Events as people look at them: found by what they ask for, with deliveries and attempts."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncpg
import msgspec

from consumer.store.configured import Selected
from consumer.store.database import Database, DatabaseConnection
from consumer.store.intervals import lowest_id
from schemas.tracing import Traced

MOST_COUNTED: Final = 10_000  # of a list: about 7 ms; 100,000 were 50 to 90, most of a page (tests/bench/api.py)
MOST_ATTEMPTS: Final = 100  # shown of a delivery, the newest: people may resend it without end
_BESIDE: Final = 250  # bytes that an attempt takes in an answer, beside what its receiver said
OPEN: Final = frozenset({"PENDING", "SENDING", "RESENDING"})
ENDED: Final = frozenset({"SUCCESS", "FAILED"})
_traced: Final = msgspec.json.Decoder(Traced)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events. None, or nothing: all of them.

    Attributes:
        features: keys.
        channels: ids, of those who really got it.
        states: of its deliveries, or of those to *channels*.
        customer: id or key.
        since: created then or later.
        until: created before.
        after: an event's id: only what comes behind it in the order asked for.
        limit, offset: of a page.
    """

    rules: Sequence[str] = ()
    types: Sequence[str] = ()
    subjects: Sequence[str] = ()
    features: Sequence[str] = ()
    channels: Sequence[str] = ()
    states: Sequence[str] = ()
    customer: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    after: str | None = None
    descending: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAttempt:
    """One request, as it was recorded."""

    number: int
    started_at: dt.datetime
    url: str | None
    outcome: str
    status: int | None
    duration_ms: int
    detail: str
    body: str
    next_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one channel, its attempts newest first.

    Attributes:
        due_at: when its next attempt may begin; None where it has ended.
        is_in_flight: an attempt is being made; *due_at* is then when its lease runs out.
    """

    channel_id: str
    state: str
    reason: str | None
    due_at: dt.datetime | None
    is_in_flight: bool
    created_at: dt.datetime
    ended_at: dt.datetime | None
    attempts: Sequence[StoredAttempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event, whole."""

    id: str
    type: str
    rule_id: str
    payload: bytes
    is_test: bool
    created_at: dt.datetime
    record: Traced | None  # that it was made of; None: the clock's, a test's, or of an older release
    deliveries: Sequence[Delivery]


@dataclass(frozen=True, slots=True)
class Listed:
    """An event that was found, and how many bytes it takes: of its own and its rule's, and of its attempts."""

    id: str
    bytes: int
    attempts: int


async def page(database: Database, namespace: str, wanted: EventFilter) -> Selected[Listed]:
    """Return a page of events, and how many there are in all, counted up to 10,000.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    async with database.transaction() as connection:
        await connection.rows("history/own_plan")
        ids = await _ids(connection, namespace, wanted)
        total = await _count(connection, namespace, wanted)
        return Selected(await _sizes(connection, namespace, ids), total)


async def _count(connection: DatabaseConnection, namespace: str, wanted: EventFilter) -> int:
    counted = replace(wanted, after=None, descending=False, offset=0, limit=MOST_COUNTED)
    total: int = (await _found(connection, namespace, counted, only_count=True))["total"]
    return total


async def some(database: Database, namespace: str, wanted: EventFilter) -> list[Listed]:
    """Return a page of events without counting them.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    async with database.transaction() as connection:
        await connection.rows("history/own_plan")
        return await _sizes(connection, namespace, await _ids(connection, namespace, wanted))


async def read(database: Database, namespace: str, ids: Sequence[str], *, with_payload: bool = True) -> list[Event]:
    """Return events of *namespace* by *ids*, in their order, without those that are not there.

    With the newest attempts of each delivery, `MOST_ATTEMPTS` of them.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    async with database.transaction() as connection:
        await connection.rows("history/own_plan")
        return await _events(connection, namespace, ids, with_payload=with_payload)


async def get(database: Database, namespace: str, event_id: str) -> Event | None:
    """Return an event of *namespace*, or None.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    found = await read(database, namespace, [event_id])
    return found[0] if found else None


async def _sizes(connection: DatabaseConnection, namespace: str, ids: Sequence[str]) -> list[Listed]:
    if not ids:
        return []
    given = {"ids": ids, "namespace": namespace, "most": MOST_ATTEMPTS, "beside": _BESIDE}
    by_id = {row["id"]: row for row in await connection.rows("history/sizes", **given)}
    found = [by_id[one] for one in ids if one in by_id]
    return [Listed(row["id"], row["bytes"], row["attempts"]) for row in found]


async def _ids(connection: DatabaseConnection, namespace: str, wanted: EventFilter) -> list[str]:
    """Return the ids of the page, in order."""
    ids: list[str] = (await _found(connection, namespace, wanted, only_count=False))["ids"]
    return ids


async def _found(
    connection: DatabaseConnection, namespace: str, wanted: EventFilter, *, only_count: bool
) -> asyncpg.Record:
    """Find events by their deliveries where these are asked for, else by themselves."""
    if wanted.channels or wanted.states:
        name, asked = "history/by_delivery", _by_delivery(namespace, wanted)
    else:
        name, asked = "history/by_event", _by_event(namespace, wanted)
    (row,) = await connection.rows(name, **asked, only_count=only_count)
    return row


def _by_event(namespace: str, wanted: EventFilter) -> dict[str, object]:
    asked = {"subject": wanted.subjects, "feature": wanted.features, "rule": wanted.rules, "type": wanted.types}
    lists = {name: list(dict.fromkeys(values)) for name, values in asked.items()}
    # The one that most likely leaves least.
    each_of = next((name for name, values in lists.items() if len(values) > 1), None)
    arguments: dict[str, object] = {}
    for name, values in lists.items():
        arguments[name] = values[0] if len(values) == 1 else None
        arguments[f"{name}s"] = values if len(values) > 1 and name != each_of else None
    return {
        **_page(namespace, wanted),
        **arguments,
        "each_of": each_of,
        "each": lists[each_of] if each_of else [""],
    }


def _by_delivery(namespace: str, wanted: EventFilter) -> dict[str, object]:
    states = set(wanted.states) or ENDED | OPEN
    return {
        **_page(namespace, wanted),
        "channels": list(wanted.channels) or None,
        "ended": sorted(states & ENDED),
        "open": sorted(states & OPEN),
        "with_open": not OPEN.isdisjoint(states),
        "rules": list(wanted.rules) or None,
        "types": list(wanted.types) or None,
        "subjects": list(wanted.subjects) or None,
        "features": list(wanted.features) or None,
    }


def _page(namespace: str, wanted: EventFilter) -> dict[str, object]:
    from_id, to_id = _bounds(wanted)
    return {
        "namespace": namespace,
        "customer": wanted.customer,
        "from_id": from_id,
        "to_id": to_id,
        "descending": wanted.descending,
        "limit": wanted.limit,
        "offset": wanted.offset,
        "top": wanted.offset + wanted.limit,
    }


def _bounds(wanted: EventFilter) -> tuple[str | None, str | None]:
    """Return the first id that is wanted, and the first that is not any more; an id begins with its time."""
    lowest = lowest_id(wanted.since) if wanted.since else None
    highest = lowest_id(wanted.until) if wanted.until else None
    if wanted.after is None:
        return lowest, highest
    if wanted.descending:
        return lowest, min(wanted.after, highest or wanted.after)
    behind = wanted.after + " "  # byte by byte, this comes after that id and before every other one
    return max(behind, lowest or behind), highest


async def _events(
    connection: DatabaseConnection, namespace: str, ids: Sequence[str], *, with_payload: bool
) -> list[Event]:
    if not ids:
        return []
    rows = await connection.rows("history/events", ids=list(ids), namespace=namespace, with_payload=with_payload)
    by_id = {row["id"]: row for row in rows}
    attempts: dict[int, list[StoredAttempt]] = {}
    for row in await connection.rows("history/attempts", ids=list(by_id), most=MOST_ATTEMPTS):
        attempts.setdefault(row["delivery_id"], []).append(_attempt(row))
    deliveries: dict[str, list[Delivery]] = {}
    for row in await connection.rows("history/deliveries", ids=list(by_id)):
        deliveries.setdefault(row["event_id"], []).append(_delivery(row, attempts.get(row["id"], [])))
    return [_event(by_id[one], deliveries.get(one, [])) for one in ids if one in by_id]


def _event(row: asyncpg.Record, deliveries: Sequence[Delivery]) -> Event:
    return Event(
        id=row["id"],
        type=row["type"],
        rule_id=row["rule_id"],
        payload=row["payload"],
        is_test=row["is_test"],
        created_at=row["created_at"],
        record=_traced.decode(row["record"]) if row["record"] is not None else None,
        deliveries=deliveries,
    )


def _delivery(row: asyncpg.Record, attempts: Sequence[StoredAttempt]) -> Delivery:
    return Delivery(
        channel_id=row["channel_id"],
        state=row["state"],
        reason=row["reason"],
        due_at=row["due_at"],
        is_in_flight=row["is_in_flight"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        attempts=attempts,
    )


def _attempt(row: asyncpg.Record) -> StoredAttempt:
    return StoredAttempt(
        number=row["number"],
        started_at=row["started_at"],
        url=row["url"],
        outcome=row["outcome"],
        status=row["status"],
        duration_ms=row["duration_ms"],
        detail=row["detail"],
        body=row["body"],
        next_at=row["next_at"],
    )
