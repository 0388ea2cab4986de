"""Pages of channels and rules are read as far as they have room, in the order that is asked for."""

import pytest

from consumer.store import configured
from consumer.store.configured import Selection
from tests.support.stores import CIPHER, Store

ROOM = 3_000  # for two with 1,000 characters of metadata, beside what else is stored of them


async def made(stored: Store) -> None:
    """Make three channels with a rule each, `a` to `c`, all with a thousand characters of metadata."""
    await stored.configure({key: {"metadata": {"note": "x" * 1000}} for key in "abc"}, metadata={"note": "x" * 1000})
    await stored.sql(
        "INSERT INTO rule (id, namespace, type, name, spec, metadata)"
        " SELECT r.id || k.n, r.namespace, r.type, r.name, r.spec, r.metadata FROM rule r, generate_series(1, 2) k (n)"
    )


@pytest.mark.parametrize("descending", [False, True])
async def test_those_beyond_what_has_room_are_left_out(stored: Store, *, descending: bool) -> None:
    await made(stored)
    every, some = Selection(descending=descending), Selection(descending=descending, bytes=ROOM)

    for whole, cut in (
        [await configured.rule_page(stored.database, "default", which) for which in (every, some)],
        [await configured.channel_page(stored.database, CIPHER, "default", which) for which in (every, some)],
    ):
        found = [one.id for part in whole.parts(2) for one in part]
        assert (found, whole.left_out, whole.total) == (sorted(found, reverse=descending), 0, len(found))
        assert ([one.id for part in cut.parts(1) for one in part], cut.left_out) == (found[:2], len(found) - 2)


async def test_the_first_one_has_always_room(stored: Store) -> None:
    await made(stored)
    which = Selection(limit=2, offset=1, bytes=1)

    rules = await configured.rule_page(stored.database, "default", which)
    channels = await configured.channel_page(stored.database, CIPHER, "default", which)

    assert [(len(page.rows), page.left_out, page.total) for page in (rules, channels)] == [(1, 1, 3), (1, 1, 3)]
