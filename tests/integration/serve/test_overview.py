"""What the overview counts: a namespace's own deliveries, by state, up to a bound; and what is due longest."""

import pytest

from consumer.store import overview
from tests.support.jobs import fail_all
from tests.support.stores import Store, ended


async def test_each_state_is_counted_and_of_its_own_namespace_alone(stored: Store) -> None:
    await stored.configure({"hook": {}, "other": {}})
    await stored.events(4)
    await fail_all(stored, "other")
    first, second = await stored.claim("hook", 2)
    await stored.record(ended(first, 200))

    found = (await overview.overview(stored.database, "default")).deliveries
    others = (await overview.overview(stored.database, "another")).deliveries

    assert second
    assert (found.pending, found.sending, found.resending, found.success, found.failed) == (2, 1, 0, 1, 4)
    assert (others.pending, others.sending, others.success, others.failed, others.oldest_due_at) == (0, 0, 0, 0, None)


async def test_the_oldest_that_is_due_is_found_and_what_waits_is_not(stored: Store) -> None:
    await stored.configure({"hook": {}, "other": {}})
    await stored.events(2)
    await stored.sql("UPDATE delivery SET due_at = now() - interval '1 h' WHERE id = (SELECT max(id) FROM delivery)")
    await stored.sql("UPDATE delivery SET due_at = 'infinity' WHERE id = (SELECT min(id) FROM delivery)")
    oldest = await stored.one("SELECT min(due_at) FROM delivery")

    found = (await overview.overview(stored.database, "default")).deliveries

    assert (found.pending, found.due, found.oldest_due_at) == (4, 3, oldest)


async def test_what_is_nothing_is_nothing(stored: Store) -> None:
    found = (await overview.overview(stored.database, "default")).deliveries

    assert (found.pending, found.due, found.oldest_due_at, found.success, found.failed) == (0, 0, None, 0, 0)


async def test_no_more_are_counted_than_are_wanted(stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST_COUNTED", 3)
    await stored.configure({"hook": {}, "other": {}})
    await stored.events(5)
    await fail_all(stored, "other")

    found = (await overview.overview(stored.database, "default")).deliveries

    assert (found.pending, found.failed) == (3, 3)


async def test_channels_and_rules_are_counted_and_deleted_ones_are_not(stored: Store) -> None:
    await stored.configure({"hook": {}, "other": {"disabled": True}, "gone": {}})
    await stored.sql("DELETE FROM rule_channel WHERE channel_id = $1", stored.ids["gone"])
    await stored.sql("UPDATE channel SET deleted_at = now() WHERE id = $1", stored.ids["gone"])

    found = (await overview.overview(stored.database, "default")).configured

    assert (found.channels, found.channels_disabled, found.rules, found.rules_disabled) == (2, 1, 1, 0)
