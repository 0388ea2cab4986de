"""Each filter of the list of entitlements is served by an index: a page reads about as many rows as it shows.

On 100,000 entitlements; the statements run on the service's pool, as the service runs them.
"""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from consumer import clock
from consumer.decide.model import Document
from consumer.demo.servers.contracts import PostgresServer as Server
from consumer.store import levels, migrate
from consumer.store.history import MOST_COUNTED
from consumer.store.levels import LevelCursor, LevelFilter
from consumer.store.memory import EntitlementKey
from tests.support.places import new_database
from tests.support.plans import Explained, ExplainedDatabase

ENTITLEMENTS, PAGE = 100_000, 100
FILL = """
INSERT INTO entitlement (namespace, id, version, period_from, period_to, about, marks, feature_id, feature_key, level,
                         level_at)
SELECT 'default', 'e' || n, 1, now() - interval '1 day', now() + interval '30 days',
       json_build_object('customer', json_build_object('id', 'c-' || n % 97, 'key', 'customer-' || n % 97)), '{}',
       'f-' || n % 9, 'feature-' || n % 9, n % 11 * 10, now()
FROM generate_series(1, $1::int) n
"""
RULES = """
INSERT INTO rule (id, namespace, type, name, spec)
VALUES ('r', 'default', 'entitlements.reset', 'R', '{}'), ('o', 'other', 'entitlements.reset', 'R', '{}')
"""
# What is asked for, the indexes that find the page, and how many lists of theirs are merged for it.
ASKED: list[tuple[dict[str, Any], set[str], int]] = [
    ({}, {"entitlement_by_level"}, 1),
    ({"at_least": 80}, {"entitlement_by_level"}, 1),
    ({"at_least": 80, "after": LevelCursor(90, "e5")}, {"entitlement_by_level"}, 1),
    ({"after": LevelCursor(0, "e5")}, {"entitlement_by_level"}, 1),
    ({"feature": "feature-7"}, {"entitlement_by_feature"}, 1),
    ({"feature": "feature-7", "at_least": 100}, {"entitlement_by_feature"}, 1),
    ({"feature": "feature-7", "after": LevelCursor(50, "e5")}, {"entitlement_by_feature"}, 1),
    ({"customer": "c-7"}, {"entitlement_by_customer", "entitlement_by_customer_key"}, 2),
    ({"customer": "customer-7", "at_least": 50}, {"entitlement_by_customer", "entitlement_by_customer_key"}, 2),
]


@pytest.fixture(scope="module")
async def explained(postgres: Server) -> AsyncIterator[ExplainedDatabase]:
    async with new_database(postgres.url) as url:
        database = await ExplainedDatabase.connect(url, size=2)
        await migrate.migrate(database)
        connection = await asyncpg.connect(url)
        await connection.execute(FILL, ENTITLEMENTS)
        await connection.execute(RULES)
        await connection.execute("ANALYZE entitlement")
        await connection.close()
        yield database
        await database.close()


@pytest.mark.parametrize(("asked", "indexes", "lists"), ASKED)
async def test_a_page_reads_what_it_shows_of_the_filters_own_index(
    explained: ExplainedDatabase, asked: dict[str, Any], indexes: set[str], lists: int
) -> None:
    explained.seen = Explained(frozenset({"levels/find"}))

    page = await levels.page(explained, "default", LevelFilter(**asked, limit=PAGE), most_bytes=10_000_000)

    found, count = explained.seen.plans
    assert len(page.entitlements) == PAGE
    assert indexes >= found.indexes - {"entitlement_pkey"} > set()
    for plan, most in ((found, PAGE), (count, MOST_COUNTED)):
        assert (plan.mode, plan.read_whole) == ("force_custom_plan", set())
        assert plan.rows_read <= lists * (most + 2) + 5, plan.indexes


async def test_a_page_has_as_many_as_have_room_and_one_always(explained: ExplainedDatabase) -> None:
    few = await levels.page(explained, "default", LevelFilter(limit=PAGE), most_bytes=1_000)
    one = await levels.page(explained, "default", LevelFilter(limit=PAGE), most_bytes=1)

    assert 1 < len(few.entitlements) < PAGE
    assert len(few.entitlements) + few.left_out == PAGE
    assert len(one.entitlements) == 1


async def test_another_namespace_has_none_of_them(explained: ExplainedDatabase) -> None:
    for wanted in (LevelFilter(), LevelFilter(feature="feature-7"), LevelFilter(customer="c-7")):
        found = await levels.page(explained, "other", wanted, most_bytes=1_000)

        assert (found.entitlements, found.total) == ([], 0)


async def test_levels_are_written_by_their_keys_alone(explained: ExplainedDatabase) -> None:
    explained.seen = Explained(frozenset({"levels/write"}))
    later = clock.now() + dt.timedelta(days=1)
    keys = [EntitlementKey("default", f"e{n}") for n in range(1, ENTITLEMENTS, 1000)]

    async with explained.transaction() as explaining:
        written = await levels.write(explaining, {key: Document(version=1, level=110, level_at=later) for key in keys})

    (plan,) = explained.seen.plans
    assert written == set(keys)
    assert (plan.indexes, plan.read_whole) == ({"entitlement_pkey"}, set())
    assert plan.rows_read <= 4 * len(keys), "each is given, found and locked, kept, and written"
