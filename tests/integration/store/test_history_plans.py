"""Each filter of the list of events is served by an index: a page reads about as many rows as it shows.

On 100,000 events over twelve weeks; the statements run on the service's pool, as the service runs them.
"""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from consumer import clock
from consumer.demo.servers.contracts import PostgresServer as Server
from consumer.store import history, migrate
from consumer.store.history import MOST_COUNTED, EventFilter
from consumer.store.intervals import lowest_id
from tests.support.many_events import WEEKS, fill
from tests.support.places import new_database
from tests.support.plans import Explained, ExplainedDatabase, Plan

EVENTS = 100_000
PAGE = 100
FIRST_OF_EACH = WEEKS + 4  # of a merge of all partitions: past weeks, two ahead, the default one
OPEN = EVENTS // 99 + 1  # deliveries: no index has these in the order of events
NOW = clock.now()
MIDDLE = NOW - dt.timedelta(weeks=WEEKS) / 2
FINDING = ("history/by_event", "history/by_delivery")

# What is asked for, the indexes that find the page, and how many lists of theirs are merged for it.
ASKED: list[tuple[dict[str, Any], set[str], int]] = [
    ({}, {"event_namespace_id_idx"}, 1),
    ({"since": MIDDLE}, {"event_namespace_id_idx"}, 1),
    ({"until": MIDDLE}, {"event_namespace_id_idx"}, 1),
    ({"after": lowest_id(MIDDLE)}, {"event_namespace_id_idx"}, 1),
    ({"rules": ["mine"]}, {"event_namespace_rule_id_id_idx"}, 1),
    ({"rules": ["mine", "rule-7"]}, {"event_namespace_rule_id_id_idx"}, 2),
    ({"types": ["entitlements.reset"]}, {"event_namespace_type_id_idx"}, 1),
    ({"types": ["entitlements.reset", "invoice.created"]}, {"event_namespace_type_id_idx"}, 2),
    ({"subjects": ["subject-7"]}, {"event_namespace_subject_key_id_idx"}, 1),
    ({"subjects": ["subject-7", "subject-8"]}, {"event_namespace_subject_key_id_idx"}, 2),
    ({"features": ["feature-7"]}, {"event_namespace_feature_key_id_idx"}, 1),
    ({"features": ["feature-7", "feature-8"]}, {"event_namespace_feature_key_id_idx"}, 2),
    ({"customer": "c-7"}, {"event_namespace_customer_id_id_idx", "event_namespace_customer_key_id_idx"}, 2),
    ({"customer": "customer-7"}, {"event_namespace_customer_id_id_idx", "event_namespace_customer_key_id_idx"}, 2),
    ({"channels": ["c8"], "states": ["SUCCESS"]}, {"delivery_ended"}, 1),
    ({"channels": ["c8"], "states": ["FAILED"]}, {"delivery_ended"}, 1),
    ({"channels": ["c8", "c9"], "states": ["SUCCESS", "FAILED"]}, {"delivery_ended"}, 4),
    ({"states": ["SUCCESS"]}, {"delivery_ended_by_namespace"}, 1),
    ({"states": ["FAILED"]}, {"delivery_ended_by_namespace"}, 1),
    ({"states": ["FAILED", "SUCCESS"]}, {"delivery_ended_by_namespace"}, 2),
    ({"states": ["SUCCESS"], "after": lowest_id(MIDDLE)}, {"delivery_ended_by_namespace"}, 1),
]
# The same, where what is open is asked for too: how much of that is read besides.
ASKED_OF_OPEN: list[tuple[dict[str, Any], set[str], int]] = [
    ({"states": ["PENDING"]}, set(), OPEN),
    ({"states": ["SENDING"]}, set(), OPEN),
    ({"states": ["RESENDING"]}, set(), OPEN),
    ({"states": ["FAILED", "PENDING"]}, {"delivery_ended_by_namespace"}, OPEN),
    ({"channels": ["c8"]}, {"delivery_ended"}, OPEN),
    ({"channels": ["c8", "c9"]}, {"delivery_ended"}, OPEN),
    ({"channels": ["c8"], "states": ["PENDING"]}, set(), OPEN),
]


@pytest.fixture(scope="module")
async def explained(postgres: Server) -> AsyncIterator[ExplainedDatabase]:
    async with new_database(postgres.url) as url:
        database = await ExplainedDatabase.connect(url, size=2)
        await migrate.migrate(database)
        connection = await asyncpg.connect(url)
        await fill(connection, EVENTS, NOW, rule="mine", channel="c7", payload="{}")
        await connection.close()
        yield database
        await database.close()


async def look(explained: ExplainedDatabase, wanted: EventFilter) -> tuple[Plan, Plan, int]:
    """Return how a page was found, how all were counted, and how many events the page has."""
    explained.seen = Explained(frozenset(FINDING))
    page = await history.page(explained, "default", wanted)
    ids, count = explained.seen.plans
    return ids, count, len(page.parts)


def check(plan: Plan, most: int) -> None:
    assert plan.mode == "force_custom_plan"
    assert plan.read_whole == set()
    assert plan.rows_read <= most, plan.indexes


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize(("asked", "indexes", "lists"), ASKED)
async def test_a_page_reads_what_it_shows_of_the_filters_own_index(
    explained: ExplainedDatabase, asked: dict[str, Any], indexes: set[str], lists: int, descending: bool
) -> None:
    ids, count, shown = await look(explained, EventFilter(**asked, descending=descending, limit=PAGE))

    assert shown > 0
    assert indexes <= ids.indexes
    check(ids, lists * (PAGE + FIRST_OF_EACH + 1) + 5)
    check(count, lists * (MOST_COUNTED + FIRST_OF_EACH + 1) + 5)


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize(("asked", "indexes", "open_"), ASKED_OF_OPEN)
async def test_a_page_with_open_deliveries_reads_only_those_besides(
    explained: ExplainedDatabase, asked: dict[str, Any], indexes: set[str], open_: int, descending: bool
) -> None:
    ids, count, _ = await look(explained, EventFilter(**asked, descending=descending, limit=PAGE))

    assert indexes <= ids.indexes
    check(ids, 4 * (PAGE + 1) + open_ + 20)
    check(count, 4 * (MOST_COUNTED + 1) + open_ + 20)


async def test_a_later_page_reads_what_comes_before_it_besides(explained: ExplainedDatabase) -> None:
    ids, _, shown = await look(explained, EventFilter(subjects=["subject-7"], limit=PAGE, offset=9 * PAGE))

    assert shown == PAGE
    check(ids, 10 * PAGE + FIRST_OF_EACH + 5)


async def test_what_a_page_shows_is_found_by_the_events_ids(explained: ExplainedDatabase) -> None:
    deliveries = "delivery_once_for_each_channel"
    indexes = {
        "history/sizes": {"event_pkey", "rule_pkey", "attempt_pkey", deliveries},
        "history/events": {"event_pkey"},
        "history/attempts": {"attempt_pkey", deliveries},
        "history/deliveries": {deliveries},
    }
    explained.seen = Explained(frozenset(indexes))

    page = await history.page(explained, "default", EventFilter(limit=PAGE))
    read = await history.read(explained, "default", [one.id for one in page.parts])

    assert len(read) == PAGE
    assert [(plan.statement, plan.indexes) for plan in explained.seen.plans] == list(indexes.items())
    for plan in explained.seen.plans:
        check(plan, PAGE * len(indexes[plan.statement]))
