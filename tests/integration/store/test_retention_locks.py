"""Retention takes locks in the order in which everybody does: else two might wait for each other."""

import asyncio

from consumer.decide.verdict import GiveUp
from tests.integration.deliver.test_deliverers import holding, until
from tests.support.jobs import LONG_AGO
from tests.support.stores import Store, ended

WAITING = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def test_deliveries_are_removed_by_id_and_a_reopened_one_stays(stored: Store) -> None:
    await stored.configure({"hook": {}})
    first, second = await stored.events(2)
    await stored.record(*(ended(one, 500, GiveUp()) for one in await stored.claim("hook")))
    await stored.sql("UPDATE delivery SET event_id = '0' WHERE event_id = $1", second)  # by event it is the first one
    over_by = await stored.one("SELECT now()")

    async with holding(stored, first):
        asked = {"from_id": "", "to_id": "~", "over_by": over_by, "limit": 10}
        removal = asyncio.create_task(stored.database.row("retention/remove_deliveries", **asked))
        await until(stored, WAITING)
        await stored.sql("SELECT 1 FROM delivery WHERE event_id = '0' FOR UPDATE NOWAIT")
        await stored.sql(
            "UPDATE delivery SET state = 'RESENDING', due_at = now(), ended_at = NULL, created_at = $1"
            " WHERE event_id = '0'",
            LONG_AGO,
        )
    removed = await removal

    assert removed is not None
    assert (removed["removed"], removed["seen"], removed["last"]) == (1, 2, first)
    assert await stored.sql("SELECT event_id FROM delivery") == [("0",)]
