"""Deliveries' lives against a model: whatever is done to them, in any order, by the statements that the service runs.

Two deliveries on one channel, of which one waits for the other. The model knows the requests that were begun; Postgres
must number each once, without a gap, never have two in flight but after a lease ran out, keep each one's answer, and
end both deliveries.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consumer.decide.outcome import OutcomeClass
from consumer.decide.verdict import Delivered, Disable, GiveUp, RetryIn, Verdict
from consumer.errors import Refused
from consumer.store import deliveries, jobs, sweeps
from consumer.store.deliveries import Claimed, Ended
from consumer.store.sweeps import HoldCursor
from tests.support.jobs import LONG_AGO, work_off
from tests.support.stores import ENDS, Store, ended, identity

Step = tuple[str, int]
LATER = dt.timedelta(hours=1)
BEGINNING = HoldCursor()
OUTCOMES: Sequence[tuple[int | None, Verdict, OutcomeClass]] = (
    (200, Delivered(), OutcomeClass.STATUS),
    (503, RetryIn(dt.timedelta()), OutcomeClass.STATUS),
    (503, RetryIn(LATER), OutcomeClass.STATUS),
    (429, RetryIn(LATER, pause=LATER), OutcomeClass.STATUS),
    (500, GiveUp(), OutcomeClass.STATUS),
    (410, Disable("gone"), OutcomeClass.STATUS),
    (None, RetryIn(dt.timedelta(), spends_step=False), OutcomeClass.INTERRUPTED),
)
STEPS = st.tuples(
    st.sampled_from(
        ["claim"] * 6
        + ["record"] * 4
        + ["run out", "resend"] * 2
        + ["record all", "hand back", "recover", "time", "url", "disable", "enable", "sweep"]
    ),
    st.integers(0, 41),
)
CHANGES = {
    "time": """
        UPDATE delivery SET due_at = now() WHERE token IS NULL AND due_at < 'infinity';
        UPDATE channel_pace SET paused_until = NULL
    """,
    "url": "UPDATE channel SET url = 'http://127.0.0.1:8080/$1'",
    "disable": "UPDATE channel SET disabled_by = coalesce(disabled_by, 'person')",
    "enable": "UPDATE channel SET disabled_by = NULL",
}
CLEAR = """
    TRUNCATE delivery, attempt, event, event_identity, entitlement, job, job_delivery;
    UPDATE channel SET disabled_by = NULL, disabled_reason = NULL, rounds_end_before = NULL, is_hurried = false;
    UPDATE channel_pace SET paused_until = NULL, downs = 0, failures = 0, failing_since = NULL, failing_events = '{}'
"""
STANDING = """
    SELECT d.id, d.attempts, d.token, d.state, d.reason,
           ARRAY(SELECT a.number FROM attempt a WHERE a.delivery_id = d.id ORDER BY a.number)
    FROM delivery d
    ORDER BY d.id
"""


@dataclass
class Request:
    """A request that was begun.

    Attributes:
        may_overlap: its lease ran out, or was taken away as an earlier one was answered.
        recorded: what was recorded of it last.
    """

    claimed: Claimed
    may_overlap: bool = False
    recorded: Ended | None = None


@dataclass
class Life:
    """The model, and what is done to it and to Postgres."""

    stored: Store
    sql: asyncpg.Connection
    begun: dict[int, list[Request]] = field(default_factory=dict)
    in_flight: list[Request] = field(default_factory=list)
    place: HoldCursor = BEGINNING
    made: list[str] = field(default_factory=list)
    wanted: set[str] = field(
        default_factory=set
    )  # events made, or asked for again, since the channel was last disabled

    async def begin(self) -> None:
        await self.sql.execute(CLEAR)
        await self.stored.configure({"hook": {}})
        self.made = await self.stored.events(1) + await self.stored.events(1, after=identity(1))
        self.wanted = set(self.made)
        self.begun = {one: [] for (one,) in await self.sql.fetch("SELECT id FROM delivery")}

    async def step(self, what: str, n: int) -> None:
        match what:
            case "claim":
                await self.claim(1 + n % 2)
            case "record" if self.in_flight:
                await self.record([self.in_flight[n % len(self.in_flight)]], n // 6)
            case "record all":
                await self.record(self.in_flight[:], n)
            case "run out":
                await self.run_out()
            case "hand back" if self.in_flight:
                await self.hand_back(self.in_flight[n % len(self.in_flight)])
            case "resend" | "recover":
                await self.ask(what, self.made[n % 2])
            case "sweep":
                await self.sweep()
            case _ if what in CHANGES:
                await self.sql.execute(CHANGES[what].replace("$1", str(n)))
                await self.see_disabled()

    async def see_disabled(self) -> None:
        """Want nothing any more of a channel that is disabled."""
        if await self.sql.fetchval("SELECT disabled_by IS NOT NULL FROM channel"):
            self.wanted.clear()

    async def run_out(self) -> None:
        moved = "UPDATE delivery SET due_at = now() - interval '1 s' WHERE token IS NOT NULL RETURNING token"
        gone = {token for (token,) in await self.sql.fetch(moved)}
        for one in self.in_flight:
            one.may_overlap |= one.claimed.token in gone

    async def sweep(self) -> None:
        """Do what a deliverer does each second."""
        await sweeps.sweep(self.stored.database, ENDS)
        self.place, _ = await sweeps.hold(self.stored.database, self.place)
        for channel in await sweeps.changed_channels(self.stored.database):
            await sweeps.hurry(self.stored.database, channel)
            await sweeps.settle(self.stored.database, channel)

    async def claim(self, count: int) -> None:
        for claimed in await self.stored.claim("hook", count):
            before = self.begun[claimed.id]
            assert claimed.event_id in self.wanted, "sent though its channel was disabled since that was asked for"
            assert claimed.number == len(before) + 1, "numbered once, and without a gap"
            beside = [one for one in self.in_flight if one.claimed.id == claimed.id]
            assert all(one.may_overlap for one in beside), "two in flight, and no lease ran out"
            if claimed.event_id == self.made[1]:
                first = "SELECT due_at IS NULL FROM delivery WHERE event_id = $1"
                assert await self.sql.fetchval(first, self.made[0]), "sent before the one it waits for has ended"
            request = Request(claimed)
            before.append(request)
            self.in_flight.append(request)

    async def record(self, requests: Sequence[Request], n: int) -> None:
        channel = "SELECT revision, disabled_by FROM channel"
        revision, disabled_by = await self.sql.fetchrow(channel)
        for place, one in enumerate(requests):
            status, verdict, kind = OUTCOMES[(n + place) % len(OUTCOMES)]
            one.recorded = ended(one.claimed, status, verdict, kind=kind)
            self.in_flight.remove(one)
        recorded = [one.recorded for one in requests if one.recorded is not None]
        await self.stored.record(*recorded)
        await self.see_disabled()
        if all(one.delivery.revision != revision for one in recorded):
            assert tuple(await self.sql.fetchrow(channel)) == (revision, disabled_by), (
                "an old address disables the new one"
            )
        tokens = [token for (token,) in await self.sql.fetch("SELECT token FROM delivery")]
        for one in self.in_flight:
            one.may_overlap |= one.claimed.token not in tokens

    async def hand_back(self, request: Request) -> None:
        """Say that nothing was sent; where its lease is another's by now, that is not believed."""
        holder = await self.sql.fetchval("SELECT token FROM delivery WHERE id = $1", request.claimed.id)
        await deliveries.hand_back(self.stored.database, [request.claimed])
        self.in_flight.remove(request)
        if holder == request.claimed.token:
            assert self.begun[request.claimed.id].pop() is request

    async def ask(self, what: str, event: str) -> None:
        try:
            if what == "resend":
                await jobs.resend(self.stored.database, "default", event)
            else:
                await jobs.recover(self.stored.database, "default", self.stored.ids["hook"], since=LONG_AGO)
        except Refused:  # it is disabled
            return
        self.wanted |= {event} if what == "resend" else set(self.made)
        await work_off(self.stored)

    async def check(self) -> None:
        for delivery, attempts, token, state, reason, numbers in await self.sql.fetch(STANDING):
            assert numbers == list(range(1, attempts + 1)), "a row for each attempt that has ended, and no other"
            assert attempts + (token is not None) == len(self.begun[delivery]), "each request counts once"
            assert state != "FAILED" or attempts or reason

    async def end(self) -> None:
        """Let everything come to its end, as a service that goes on would."""
        for _ in range(40):
            for what in ("enable", "sweep", "run out", "time", "claim"):
                await self.step(what, 1)
                await self.check()
            await self.record(self.in_flight[:], 4)
            await self.check()
            if await self.sql.fetchval("SELECT bool_and(due_at IS NULL) FROM delivery"):
                break
        else:
            raise AssertionError("a delivery stays open for ever")
        rows = {
            (d, n): (o, s)
            for d, n, o, s in await self.sql.fetch("SELECT delivery_id, number, outcome, status FROM attempt")
        }
        for requests in self.begun.values():
            for one in requests:
                if one.recorded is not None and one.recorded.outcome.kind is not OutcomeClass.INTERRUPTED:
                    row = rows[one.claimed.id, one.claimed.number]
                    assert row == (one.recorded.outcome.kind.value, one.recorded.outcome.status), "its answer is kept"


TAKEN_OVER = [("claim", 0), ("run out", 0), ("claim", 0)]


@given(st.lists(STEPS, min_size=5, max_size=40))
@example([*TAKEN_OVER, ("record", 0), ("record", 24), ("resend", 0), ("claim", 0)])
@example([*TAKEN_OVER, ("resend", 0), ("record", 0), ("claim", 0)])
@example([("claim", 0), ("resend", 0), ("disable", 0), ("enable", 0), ("record", 0), ("claim", 0)])
@example([("claim", 0), ("url", 1), ("record", 30), ("claim", 0)])
@example([("claim", 0), ("resend", 0), ("record", 0), ("disable", 0), ("sweep", 0)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_delivery_ends_and_each_attempt_counts_once(stored: Store, steps: list[Step]) -> None:
    connection = await asyncpg.connect(stored.url)
    life = Life(Store(stored.database, stored.url), connection)
    await life.begin()

    for what, n in steps:
        await life.step(what, n)
        await life.check()

    await life.end()
    await connection.close()
