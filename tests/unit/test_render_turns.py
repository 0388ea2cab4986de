"""Bodies that take long to make: one after another, and others meanwhile. By the real CPU: it is what is shared."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from consumer import clock
from consumer.deliver.render_turns import COSTLY, IN_A_ROW, MOST_WAITING, SHARE, RenderTurns


def spin(seconds: float) -> Callable[[], float]:
    """Return what takes so much CPU to make; it is when that began."""

    def make() -> float:
        began, until = clock.monotonic(), clock.spent() + seconds
        while clock.spent() < until:
            pass
        return began

    return make


def ends_at_once(work: Coroutine[Any, Any, object]) -> None:
    """See that *work* does not wait."""
    with pytest.raises(StopIteration):
        work.send(None)


costly, cheap = spin(COSTLY), spin(0)


async def costly_formats(*formats: str) -> RenderTurns:
    """Return turns that know *formats* to be costly."""
    turns = RenderTurns()
    for fmt in formats * IN_A_ROW:
        await turns.made(fmt, costly)
    return turns


async def test_what_is_costly_has_a_part_of_the_time() -> None:
    turns = await costly_formats("a")

    began = [await turns.made("a", costly) or 0 for _ in range(4)]

    assert all(later - earlier >= SHARE * COSTLY for earlier, later in itertools.pairwise(began))


async def test_what_is_not_costly_waits_for_nothing() -> None:
    turns = await costly_formats("a")
    waiting = asyncio.create_task(turns.made("a", costly))
    await clock.sleep(0)

    ends_at_once(turns.made("b", cheap))

    assert not waiting.done()
    await waiting


async def test_what_was_costly_once_is_so_until_it_is_cheap_again() -> None:
    turns = await costly_formats("a")
    await turns.made("a", cheap)

    ends_at_once(turns.made("a", cheap))


async def test_one_costly_body_may_have_paid_for_something_else() -> None:
    turns = RenderTurns()
    for _ in range(3):
        await turns.made("a", costly)
        ends_at_once(turns.made("a", cheap))


async def test_few_wait_and_each_format_has_its_share_of_them() -> None:
    turns = await costly_formats("a", "b")

    of_a = [asyncio.create_task(turns.made("a", costly)) for _ in range(MOST_WAITING)]
    of_b = [asyncio.create_task(turns.made("b", costly)) for _ in range(2)]
    made_a, made_b = await asyncio.gather(*of_a), await asyncio.gather(*of_b)

    assert len([one for one in made_a if one is not None]) == MOST_WAITING // 2
    assert None not in made_b
    assert await turns.made("a", costly) is not None, "those that waited hold nothing any more"


async def test_a_cancelled_waiter_lets_the_next_one_go_on() -> None:
    turns = await costly_formats("a")
    cancelled, next_one = (asyncio.create_task(turns.made("a", costly)) for _ in range(2))
    await clock.sleep(0)

    cancelled.cancel()

    assert await next_one is not None
    assert cancelled.cancelled()
