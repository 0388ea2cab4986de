"""Events are found as asked for, whichever statement finds them: page by page against a look at every row."""

import itertools
from typing import Any

import pytest

from consumer.store import history
from consumer.store.history import EventFilter
from tests.support.stores import Store

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
async def test_pages_hold_each_event_once_and_in_order(stored: Store, descending: bool) -> None:
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
            wanted = EventFilter(channels=channels, states=states, descending=descending, limit=2, offset=offset)
            page = await history.page(stored.database, "default", wanted)
            assert (page.total, len(page.parts)) == (len(expected), len(expected[offset : offset + 2])), wanted
            pages += [event.id for event in page.parts]
        assert pages == expected, (keys, states)


async def test_the_total_is_the_same_on_every_page(stored: Store) -> None:
    made = await fill(stored)
    for descending, keys in itertools.product((False, True), CHANNELS):
        after, channels = None, [stored.ids[key] for key in keys]
        expected = await history.page(stored.database, "default", EventFilter(channels=channels, descending=descending))
        walked: list[str] = []
        while True:
            wanted = EventFilter(channels=channels, descending=descending, after=after, limit=3)
            page = await history.page(stored.database, "default", wanted)
            assert page.total == expected.total
            if not page.parts:
                break
            walked += [event.id for event in page.parts]
            after = walked[-1]
        assert walked == [event.id for event in expected.parts]
        assert set(walked) <= set(made)


async def test_events_are_counted_up_to_a_bound_whatever_is_asked_for(
    stored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(stored)
    for keys, states in itertools.product(CHANNELS, ASKED):
        wanted = EventFilter(channels=[stored.ids[key] for key in keys], states=states, limit=2)
        monkeypatch.setattr(history, "MOST_COUNTED", 100)
        there_are = (await history.page(stored.database, "default", wanted)).total
        monkeypatch.setattr(history, "MOST_COUNTED", 5)
        counted = (await history.page(stored.database, "default", wanted)).total
        assert counted == min(there_are, 5), (keys, states)


async def test_several_values_find_what_each_of_them_finds(stored: Store) -> None:
    made = await fill(stored)
    parties = "UPDATE event SET subject_key = $2, customer_id = $3, customer_key = $4, type = $5 WHERE id = $1"
    rows = [
        (event, f"subject-{n % 3}", f"c-{n % 4}", "c-0" if n % 4 == 0 else "acme" if n % 2 else None, f"type-{n % 2}")
        for n, event in enumerate(made)
    ]
    for row in rows:
        await stored.sql(parties, *row)
    asked: list[dict[str, Any]] = [
        {"subjects": ["subject-1"]},
        {"subjects": ["subject-2", "subject-1", "subject-1"]},
        {"subjects": ["subject-2", "subject-1"], "types": ["type-0", "type-1"]},
        {"subjects": ["subject-0"], "types": ["type-0", "type-7"]},
        {"types": ["type-1", "type-0"], "customer": "acme"},
        {"customer": "c-0"},  # by id and by key
        {"customer": "c-1"},
    ]
    for one, descending in itertools.product(asked, (False, True)):
        expected = [
            event
            for event, subject, id_, key, kind in rows
            if subject in one.get("subjects", [subject])
            and kind in one.get("types", [kind])
            and one.get("customer") in {None, id_, key}
        ]
        pages: list[str] = []
        for offset in range(0, len(made), 2):
            page = await history.page(
                stored.database, "default", EventFilter(**one, descending=descending, limit=2, offset=offset)
            )
            assert page.total == len(expected), one
            pages += [event.id for event in page.parts]
        assert pages == sorted(expected, reverse=descending), one


async def test_an_often_resent_delivery_shows_its_newest_attempts(stored: Store) -> None:
    await stored.configure({"a": {}})
    (event,) = await stored.events(1)
    await stored.sql(
        "INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, duration_ms, detail, body)"
        " SELECT event_id, id, n, now(), 'status', 1, '', repeat('x', 100) FROM delivery, generate_series(1, 250) n"
    )

    found = await history.get(stored.database, "default", event)
    (listed,) = (await history.page(stored.database, "default", EventFilter())).parts

    assert found is not None
    assert [one.number for one in found.deliveries[0].attempts] == list(range(250, 150, -1))
    assert listed.attempts == 100 * (100 + 250)
