"""Deliveries: claimed by lease, recorded in batches, ended by a sweep where no attempt can."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consumer.decide.outcome import Outcome
from consumer.decide.verdict import FREE_INTERRUPTIONS, Delivered, Disable, RetryIn, Verdict
from consumer.store.database import Database, columns

CHANNEL: Final = "tollbell_outbox"  # of LISTEN and NOTIFY
SWEEP_LIMIT: Final = 1000  # rows of one sweep: short locks; the next sweep takes the rest


@dataclass(frozen=True, slots=True)
class DueChannel:
    """A channel with open deliveries: the next is due in *due_in* seconds (0 or less: now)."""

    id: str
    namespace: str
    due_in: float
    concurrency: int | None = None  # its own, of each process; None: the service's


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery leased to this process, with what it takes to send it. Secrets are still encrypted."""

    id: int
    event_id: str
    channel_id: str
    token: uuid.UUID
    number: int  # of the attempt to make now
    step: int  # steps of the schedule spent in this round
    interrupted: int  # attempts of this round that were interrupted
    was_lost: bool  # another process' lease ran out on it
    payload: bytes  # the event's data, as frozen
    recorded_at: dt.datetime
    url: str
    format: str
    headers: bytes | None
    signing_secret: bytes
    retry_schedule: Sequence[dt.timedelta] | None  # the channel's own; None: the service's


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that ended, and what it means."""

    delivery: Claimed
    outcome: Outcome
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What the tables hold now."""

    states: dict[str, int]
    due: int
    oldest_seconds: float
    channels: dict[str, int]


async def due_channels(database: Database) -> list[DueChannel]:
    """Return the channels that have open deliveries and may send.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows("deliveries/due_channels")
    return [DueChannel(row["channel_id"], row["namespace"], row["due_in"], row["concurrency"]) for row in rows]


async def claim(database: Database, slots: dict[str, int], lease: dt.timedelta) -> list[Claimed]:
    """Lease to this process, of each channel in *slots*, at most so many due deliveries.

    Safe to call from any number of processes. What is not recorded is due again after *lease*.

    Raises:
        StoreUnavailable: nobody answered; what was leased, if anything, comes back after *lease*.
    """
    rows = await database.rows(
        "deliveries/claim",
        channels=list(slots),
        free=list(slots.values()),
        lease=lease,
        free_interruptions=FREE_INTERRUPTIONS,
    )
    return [
        Claimed(
            id=row["id"],
            event_id=row["event_id"],
            channel_id=row["channel_id"],
            token=row["token"],
            number=row["attempts"] + 1,
            step=row["step"],
            interrupted=row["interrupted"],
            was_lost=row["was_lost"],
            payload=row["payload"],
            recorded_at=row["recorded_at"],
            url=row["url"],
            format=row["format"],
            headers=row["headers"],
            signing_secret=row["signing_secret"],
            retry_schedule=row["retry_schedule"],
        )
        for row in rows
    ]


async def record(database: Database, ended: Sequence[Ended]) -> None:
    """Record *ended* in one statement. Safe to repeat: a second time changes nothing.

    Raises:
        StoreUnavailable: nobody answered; call again.
    """
    rows = [_row(one) for one in sorted(ended, key=lambda one: one.delivery.id)]
    names = (
        "ids", "tokens", "numbers", "started", "outcomes", "statuses", "durations", "details", "bodies", "delivered",
        "delays", "spends", "pauses", "disables",
    )  # fmt: skip
    await database.rows("deliveries/record", **dict(zip(names, columns(rows, len(names)), strict=True)))


def _row(one: Ended) -> tuple[object, ...]:
    retry = one.verdict if isinstance(one.verdict, RetryIn) else None
    return (
        one.delivery.id,
        one.delivery.token,
        one.delivery.number,
        one.outcome.started_at,
        one.outcome.kind.value,
        one.outcome.status,
        one.outcome.duration_ms,
        one.outcome.detail,
        one.outcome.body,
        isinstance(one.verdict, Delivered),
        retry.delay if retry else None,
        retry is None or retry.spends_step,
        retry.pause if retry else None,
        one.verdict.reason if isinstance(one.verdict, Disable) else None,
    )


async def hand_back(database: Database, claimed: Sequence[Claimed]) -> None:
    """Undo the claims of *claimed*, for which nothing was sent.

    Raises:
        StoreUnavailable: nobody answered; their leases run out.
    """
    ids, tokens = columns([(one.id, one.token) for one in claimed], 2)
    await database.rows("deliveries/hand_back", ids=ids, tokens=tokens)


async def sweep(database: Database, *, longest_round: dt.timedelta) -> int:
    """End what no attempt will end; return how many.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    return len(await database.rows("deliveries/sweep", longest_round=longest_round, limit=SWEEP_LIMIT))


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
        channels={name: row[name] for name in ("enabled", "disabled_by_person", "disabled_by_tollbell")},
    )
