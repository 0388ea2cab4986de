"""Deliveries: claimed by lease, recorded in batches."""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from consumer.decide import breaker
from consumer.decide.breaker import Run
from consumer.decide.outcome import Outcome
from consumer.decide.verdict import FREE_INTERRUPTIONS, Delivered, Disable, GiveUp, RetryIn, Verdict
from consumer.store import rendered
from consumer.store.database import Database, columns
from consumer.store.rendered import Hole
from schemas import urls
from schemas.tracing import Traced

CHANNEL_STATES: Final = ("enabled", "paused", "disabled_by_person", "disabled_by_tollbell")
CHANNEL: Final = "tollbell_outbox"  # of LISTEN and NOTIFY
HELD_BYTES: Final = 32_768  # of a body that comes with its claim; those of usual records have 2 to 4 KiB
# A rate's unused slots pile up to so much of a second's worth, at least one. Below 20 a second there is thus
# no burst: the rate reads literally. Above, a tenth more goes out in any one second at most: the price of claiming
# several at once instead of one by one.
BURST_SECONDS: Final = 0.1
_traced: Final = msgspec.json.Decoder(Traced)


class DueChannel(Struct, frozen=True):
    """A channel with open deliveries: the next may be sent in *due_in* seconds (0 or less: now)."""

    id: str
    namespace: str
    due_in: float
    concurrency: int | None = None  # its own, of each process; None: the service's
    most: int | None = None  # to claim at once, by its rate or because it waits for a probe; None: neither counts


class Claimed(Struct, frozen=True, kw_only=True):
    """A delivery leased to this process, with what it takes to send it. Secrets are still encrypted."""

    id: int
    event_id: str
    channel_id: str
    token: uuid.UUID
    number: int  # of the attempt to make now
    step: int  # steps of the schedule spent in this round
    interrupted: int  # attempts of this round that were interrupted
    round: int  # grows with each resend and recovery
    was_lost: bool  # another process' lease ran out on it
    was_due_at: dt.datetime  # its place among others, and its state, before it was claimed: a hand-back restores them
    was_state: str
    slot_until: dt.datetime | None = None  # for so long its channel's rate has it take place; None: there is none
    revision: int  # of the channel: its URL, and when it was enabled
    rule_id: str = ""  # of the event
    rule_key: str | None = None
    rule_name: str = ""
    record: Traced | None = None  # that the event was made of
    is_test: bool = False  # a person tests the rule or the channel: nothing has happened
    channel_key: str | None = None
    channel_name: str = ""
    payload: bytes | None  # the event's data, as frozen; None: it is large, and `whole` has it
    size: int = 0  # of it, and of `rendered`
    recorded_at: dt.datetime
    url: str
    format: str  # of this round
    headers: bytes | None
    sealed: bytes | None = None  # its URL, where that is a secret (`url` shows the origin alone), and secrets by name
    signing_secret: bytes
    old_secrets: Sequence[bytes] = ()  # those that a rotation has replaced, while they are valid
    retry_schedule: Sequence[dt.timedelta] | None  # the channel's own; None: the service's
    permanent_statuses: Sequence[int] = ()  # the channel's own
    request_origin: str | None = None  # the name that asks its receiver for consent; None: not asked
    has_consent: bool | None = None  # False: it is to be asked for once more; None: there is none
    rendered: bytes | None  # the body in the format, where that is not the event's data itself and was made
    holes: Sequence[Hole] = ()  # in it: where secrets go when it is sent, and which
    unrendered: str = ""  # why it can't be made, where that was found out


class OfEvent(Struct, frozen=True):
    """What a delivery has of its event beside the payload."""

    rule_id: str
    recorded_at: dt.datetime
    record: Traced | None
    is_test: bool = False
    rule_key: str | None = None
    rule_name: str = ""


class Ended(Struct, frozen=True):
    """An attempt that ended, and what it means."""

    delivery: Claimed
    outcome: Outcome
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recorded attempts have moved.

    Attributes:
        is_freeing: another delivery, or a resend that waited, may start now.
        runs: of the channels that have failed since they last worked.
        closed: the channels whose breaker an answer has closed.
        ends: how many deliveries ended, by state and reason: `answered`, `attempts` (none is left), or the row's own.
        called: each channel's key, None where it has none, and name, by id.
    """

    is_freeing: bool
    runs: tuple[Run, ...]
    closed: tuple[str, ...]
    ends: Mapping[tuple[str, str], int]
    called: Mapping[str, tuple[str | None, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What the tables hold now."""

    states: dict[str, int]
    due: int
    oldest_seconds: float
    oldest_sendable_seconds: float
    channels: dict[str, int]


async def due_channels(database: Database) -> list[DueChannel]:
    """Return the channels that have open deliveries and may send, now or later.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows("deliveries/due_channels", burst_seconds=BURST_SECONDS)
    return [
        DueChannel(row["channel_id"], row["namespace"], row["due_in"], row["concurrency"], row["most"]) for row in rows
    ]


async def claim(
    database: Database,
    slots: dict[str, int],
    lease: dt.timedelta,
    *,
    steps: int,
    but: Sequence[int] = (),
    only: Sequence[int] | None = None,
) -> list[Claimed]:
    """Lease to this process, of each channel in *slots*, at most so many due deliveries: none of *but*, *only* these.

    Safe to call from any number of processes: of a channel with a rate, all together get what it allows; of one whose
    breaker is open, one gets the probe when its pause is over. What is not recorded is due again after *lease*, but for
    what has used up its schedule so: *steps*, where the channel has none of its own.

    Raises:
        StoreUnavailable: Postgres did not answer; what was leased, if anything, comes back after *lease*.
    """
    rows = await database.rows(
        "deliveries/claim",
        channels=list(slots),
        free=list(slots.values()),
        lease=lease,
        steps=steps,
        free_interruptions=FREE_INTERRUPTIONS,
        burst_seconds=BURST_SECONDS,
        held_bytes=HELD_BYTES,
        but=but,
        only=only,
    )
    return [_claimed(row, row["payload"], row["size"], _of_event(row)) for row in rows]


def claimed_of(row: asyncpg.Record, payload: bytes, event: OfEvent) -> Claimed:
    """Return the delivery of a row that leased it as it was written, with the event's *payload* unless it is large."""
    size = len(payload)
    return _claimed(row, payload if size <= HELD_BYTES else None, size, event)


def _of_event(row: asyncpg.Record) -> OfEvent:
    by = {"rule_key": row["rule_key"], "rule_name": row["rule_name"] or ""}
    return OfEvent(row["rule_id"], row["recorded_at"], read_record(row["record"]), row["is_test"], **by)


def read_record(stored: str | None) -> Traced | None:
    """Return the record of an event, as it is *stored*; None of what the clock has made, and of tests."""
    return None if stored is None else _traced.decode(stored)


async def due(database: Database, channel: str, *, limit: int, but: Sequence[int] = ()) -> list[int]:
    """Return ids of the deliveries of *channel* that a claim takes first, without *but*.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows("deliveries/due", channel=channel, limit=limit, but=but)
    return [row["id"] for row in rows]


async def whole(database: Database, delivery: Claimed) -> Claimed | None:
    """Return *delivery* with its payload, and its body in the channel's format where that was made.

    None where the event is not there any more.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    if delivery.payload is not None:
        return delivery
    row = await database.row("deliveries/body", event_id=delivery.event_id, format=delivery.format)
    return (
        None if row is None else replace(delivery, payload=row["payload"], rendered=row["rendered"], holes=_holes(row))
    )


def _claimed(row: asyncpg.Record, payload: bytes | None, size: int, event: OfEvent) -> Claimed:
    return Claimed(
        id=row["id"],
        event_id=row["event_id"],
        channel_id=row["channel_id"],
        token=row["token"],
        number=row["attempts"] + 1,
        step=row["step"],
        interrupted=row["interrupted"],
        round=row["round"],
        was_lost=row["was_lost"],
        was_due_at=row["was_due_at"],
        was_state=row["was_state"],
        slot_until=row["slot_until"],
        revision=row["revision"],
        payload=payload,
        size=size,
        recorded_at=event.recorded_at,
        rule_id=event.rule_id,
        rule_key=event.rule_key,
        rule_name=event.rule_name,
        record=event.record,
        is_test=event.is_test,
        channel_key=row["key"],
        channel_name=row["name"],
        url=row["url"],
        format=row["format"],
        headers=row["headers"],
        sealed=row["sealed"],
        signing_secret=row["signing_secret"],
        old_secrets=row["old_secrets"] or (),
        retry_schedule=row["retry_schedule"],
        permanent_statuses=row["permanent_statuses"] or (),
        request_origin=row["request_origin"],
        has_consent=row["has_consent"],
        rendered=row["rendered"],
        holes=_holes(row),
    )


def _holes(row: asyncpg.Record) -> Sequence[Hole]:
    return rendered.read_holes(row["holes"]) if row["holes"] else ()


async def record(database: Database, ended: Sequence[Ended]) -> Recorded:
    """Record *ended* in one statement; return what that moved. Safe to repeat: a second time changes nothing.

    Raises:
        StoreUnavailable: Postgres did not answer; call again.
    """
    rows = [_row(one) for one in sorted(ended, key=lambda one: one.delivery.id)]
    names = (
        "ids", "tokens", "rounds", "numbers", "revisions", "started", "urls", "outcomes", "statuses", "durations",
        "details", "bodies", "delivered", "delays", "spends", "pauses", "disables", "answered", "failed",
    )  # fmt: skip
    given = dict(zip(names, columns(rows, len(names)), strict=True))
    fared = await database.rows("deliveries/record", **given, max_events=breaker.MAX_EVENTS)
    return Recorded(
        any(row["is_freeing"] for row in fared),
        tuple(_run(row) for row in fared if row["channel_id"] is not None and row["failures"]),
        tuple(row["channel_id"] for row in fared if row["has_closed"]),
        _ends(fared[0]["succeeded"], fared[0]["failed_for"]),
        {(of := one.delivery).channel_id: (of.channel_key, of.channel_name) for one in ended},
    )


def _ends(succeeded: int, failed_for: Sequence[str] | None) -> Counter[tuple[str, str]]:
    """Return how many ended how; of a statement's rows the first one says it for all."""
    return Counter({("SUCCESS", "answered"): succeeded}) + Counter(("FAILED", reason) for reason in failed_for or ())


def _run(row: asyncpg.Record) -> Run:
    return Run(
        channel_id=row["channel_id"],
        downs=row["downs"],
        opened=row["opened"],
        is_probe=row["is_probe"],
        failures=row["failures"],
        failing_since=row["failing_since"],
        failing_for=row["failing_for"],
        events=row["events"],
    )


def _row(one: Ended) -> tuple[object, ...]:
    retry = one.verdict if isinstance(one.verdict, RetryIn) else None
    return (
        one.delivery.id,
        one.delivery.token,
        one.delivery.round,
        one.delivery.number,
        one.delivery.revision,
        one.outcome.started_at,
        urls.redacted(one.delivery.url),
        one.outcome.kind.value,
        one.outcome.status,
        one.outcome.duration_ms,
        one.outcome.detail,
        one.outcome.body,
        isinstance(one.verdict, Delivered),
        retry.delay if retry else None,
        retry is None or retry.spends_step,
        one.verdict.pause if isinstance(one.verdict, RetryIn | GiveUp) else None,
        one.verdict.reason if isinstance(one.verdict, Disable) else None,
        breaker.answered(one.outcome),
        breaker.is_receivers_failure(one.outcome),
    )


async def hand_back(database: Database, claimed: Sequence[Claimed]) -> None:
    """Undo the claims of *claimed*, for which nothing was sent: each is in its former place, its slot free again.

    Raises:
        StoreUnavailable: Postgres did not answer; their leases run out.
    """
    rows = [(one.id, one.token, one.was_due_at, one.was_state, one.slot_until) for one in claimed]
    names = ("ids", "tokens", "due_at", "states", "slots_until")
    await database.rows("deliveries/hand_back", **dict(zip(names, columns(rows, len(names)), strict=True)))


async def standing(database: Database, channels: Sequence[str]) -> dict[str, int]:
    """Return the revisions of those of *channels* that are neither disabled nor deleted now.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows("deliveries/standing", channels=channels)
    return {row["id"]: row["revision"] for row in rows}


async def called(database: Database, channel: str) -> tuple[str | None, str]:
    """Return the key of *channel*, None where it has none, and its name.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    row = await database.row("deliveries/called", channel=channel)
    return (None, "") if row is None else (row["key"], row["name"])


async def gauges(database: Database) -> Gauges:
    """Return what is open and due.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    row = await database.row("deliveries/gauges")
    assert row is not None  # noqa: S101 - an aggregate has one row
    return Gauges(
        states={"PENDING": row["pending"], "SENDING": row["sending"], "RESENDING": row["resending"]},
        due=row["due"],
        oldest_seconds=max(row["oldest_seconds"], 0.0),
        oldest_sendable_seconds=max(row["oldest_sendable_seconds"], 0.0),
        channels={name: row[name] for name in CHANNEL_STATES},
    )
