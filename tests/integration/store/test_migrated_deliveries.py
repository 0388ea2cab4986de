"""What an older release left open is sent by this one, whatever its state was when the schema changed under it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from consumer.store import deliveries, migrate, sweeps
from consumer.store.database import Database
from consumer.store.sweeps import HoldCursor
from tests.support.stores import ENDS, LEASE, STEPS, Store, ended

NEW = "0002_03_deliveries"
CHANNEL = """
    INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
    VALUES ('hook', 'default', 'WEBHOOK', 'Hook', 'http://127.0.0.1:8080/', 'openmeter', 's');
    INSERT INTO channel_pace (channel_id) VALUES ('hook')
"""
EVENT = """
    INSERT INTO event (id, namespace, rule_id, type, action, payload, occurred_at, recorded_at)
    VALUES ($1, 'default', 'r', 't', 'triggered', '{}', now(), now())
"""
# Each event's delivery: what differs from a new one that is due.
OPEN = {
    "due": {},
    "first": {},
    "waits for an open one": {"waits_for": "'first'"},
    "waits for one that waits": {"waits_for": "'waits for an open one'"},
    "waits for one that was never made": {"waits_for": "'nothing'"},
    "waits for one that has ended": {"waits_for": "'ended'"},
    "leased": {"state": "'SENDING'", "token": "gen_random_uuid()", "due_at": "now() + interval '1 min'"},
    "its lease has run out": {"state": "'SENDING'", "token": "gen_random_uuid()", "due_at": "now() - interval '1 s'"},
    "leased, and to be resent": {
        "state": "'SENDING'", "token": "gen_random_uuid()", "due_at": "now() - interval '1 s'", "resend_asked": "true",
    },
    "leased while what it waits for is open": {
        "state": "'SENDING'", "token": "gen_random_uuid()", "waits_for": "'between two attempts'",
    },
    "between two attempts": {"state": "'SENDING'", "due_at": "now() + interval '1 h'", "attempts": "1", "step": "1"},
    "its senders have died": {"state": "'SENDING'", "attempts": "6", "interrupted": "6", "step": "1"},
    "to be sent again": {"state": "'RESENDING'", "round": "2", "attempts": "3"},
    "to be sent again after another": {"state": "'RESENDING'", "round": "2", "waits_for": "'due'"},
}  # fmt: skip
ENDED = {"state": "'SUCCESS'", "due_at": "NULL", "ended_at": "now()"}


@pytest.fixture
async def old(database: str) -> AsyncIterator[Store]:
    """Give a store whose deliveries an older release has made, on the schema of now."""
    before = [one.sql for one in migrate.migrations() if one.name < NEW]
    after = [one.sql for one in migrate.migrations() if one.name >= NEW]
    connection = await asyncpg.connect(database)
    for statement in [*before, CHANNEL]:
        await connection.execute(statement)
    for event, differs in {**OPEN, "ended": ENDED}.items():
        await connection.execute(EVENT, event)
        row = {"state": "'PENDING'", "due_at": "now()", **differs}
        insert = f"INSERT INTO delivery (event_id, channel_id, namespace, {', '.join(row)})"
        await connection.execute(f"{insert} VALUES ($1, 'hook', 'default', {', '.join(row.values())})", event)
    for statement in after:
        await connection.execute(statement)
    await connection.close()
    opened = await Database.connect(database, size=2)
    yield Store(opened, database)
    await opened.close()


async def test_each_migrated_open_delivery_is_claimed_and_ends(old: Store) -> None:
    order: list[str] = []
    for _ in range(4):  # the longest chain is of three; a lease runs out meanwhile
        await sweeps.sweep(old.database, ENDS)
        await sweeps.hold(old.database, HoldCursor())
        claimed = await deliveries.claim(old.database, {"hook": 100}, LEASE, steps=STEPS)
        order += [one.event_id for one in claimed]
        await old.record(*(ended(one, 200) for one in claimed))
        await old.sql("UPDATE delivery SET due_at = now() WHERE due_at < 'infinity'")

    assert sorted(order) == sorted(OPEN)
    assert await old.sql("SELECT DISTINCT state, due_at FROM delivery") == [("SUCCESS", None)]
    waiting = {event: differs["waits_for"].strip("'") for event, differs in OPEN.items() if "waits_for" in differs}
    assert all(order.index(first) < order.index(event) for event, first in waiting.items() if first in order)
