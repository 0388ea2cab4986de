"""Events are found as asked for, whichever statement finds them: page by page against a look at every row."""

import itertools

import pytest

from consumer.store import history
from consumer.store.history import Wanted
from tests.stores import Store

# Of twelve events: to how many of three channels each went, and how it went there.
STATES = ("SUCCESS", "FAILED", "PENDING", "FAILED")
CHANNELS = [(), ("a",), ("a", "b"), ("c",)]
ASKED = [(), ("FAILED",), ("SUCCESS",), ("PENDING",), ("FAILED", "PENDING"), ("SUCCESS", "FAILED")]


async def fill(stored: Store) -> list[str]:
    """Make the events, oldest first; c has none of every second one, and each fourth is as the one before for a."""
    await stored.configure({"a": {}, "b": {}, "c": {}})
    made = await stored.events(12)
    for n, event in enumerate(made):
        for shift, key in enumerate("abc"):
            state = STATES[(n + shift) % len(STATES)]
            await stored.sql(
                "UPDATE delivery SET state = $3, due_at = CASE WHEN $3 = 'PENDING' THEN now() END,"
                " ended_at = CASE WHEN $3 <> 'PENDING' THEN now() END WHERE event_id = $1 AND channel_id = $2",
                event,
                stored.ids[key],
                state,
            )
        if n % 2:
            await stored.sql("DELETE FROM delivery WHERE event_id = $1 AND channel_id = $2", event, stored.ids["c"])
    return made


@pytest.mark.parametrize("descending", [False, True])
async def test_pages_hold_each_event_once_and_in_order_whatever_is_asked_for(stored: Store, descending: bool) -> None:
    made = await fill(stored)
    rows = await stored.sql("SELECT event_id, channel_id, state FROM delivery")
    for keys, states in itertools.product(CHANNELS, ASKED):
        channels = [stored.ids[key] for key in keys]
        hits = {
            event
            for event, channel, state in rows
            if channel in (channels or [channel]) and state in (states or [state])
        }
        expected = sorted(hits, reverse=descending)
        pages: list[str] = []
        for offset in range(0, len(made), 2):
            wanted = Wanted(channels=channels, states=states, descending=descending, limit=2, offset=offset)
            page = await history.page(stored.database, "default", wanted)
            assert (page.total, len(page.parts)) == (len(expected), len(expected[offset : offset + 2])), wanted
            pages += [event.id for event in page.parts]
        assert pages == expected, (keys, states)


async def test_what_comes_behind_an_event_does_not_change_how_many_there_are(stored: Store) -> None:
    made = await fill(stored)
    for descending, keys in itertools.product((False, True), CHANNELS):
        after, channels = None, [stored.ids[key] for key in keys]
        expected = await history.page(stored.database, "default", Wanted(channels=channels, descending=descending))
        walked: list[str] = []
        while True:
            wanted = Wanted(channels=channels, descending=descending, after=after, limit=3)
            page = await history.page(stored.database, "default", wanted)
            assert page.total == expected.total
            if not page.parts:
                break
            walked += [event.id for event in page.parts]
            after = walked[-1]
        assert walked == [event.id for event in expected.parts]
        assert set(walked) <= set(made)
