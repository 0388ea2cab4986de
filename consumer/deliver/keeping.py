"""Bodies kept before they are sent: those of all deliveries that are about to be, in one statement.

Alone each would cost as much as all the rest of its delivery. Nothing waits for more to come: what is ready while a
statement is under way is of the next one.
"""

import asyncio
from typing import Final

from consumer import clock
from consumer.errors import DataRefused, StoreFailed, StoreUnavailable
from consumer.store import rendered
from consumer.store.database import Database
from consumer.store.rendered import Body, Key

MOST_BYTES: Final = 1_048_576  # of a statement's bodies: one that is over it is the last
MOST: Final = 500  # bodies of a statement


class _Batch:
    """Bodies of one statement, and what came of it; None: it has not been made yet."""

    def __init__(self) -> None:
        self.bodies: dict[Key, Body] = {}
        self.size = 0
        self.kept: dict[Key, Body] | StoreUnavailable | None = None

    @property
    def is_full(self) -> bool:
        return self.size >= MOST_BYTES or len(self.bodies) >= MOST


class Keeper:
    """Keeps bodies; safe for many tasks at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = _Batch()
        self._turn = asyncio.Lock()

    async def kept(self, key: Key, body: Body) -> Body:
        """Keep *body*, unless one is kept already; return the one that is.

        Raises:
            StoreUnavailable: it could not be kept, or whether it is is unknown: nothing may be sent.
            DataRefused: Postgres does not take it.
        """
        batch = self._next
        if key not in batch.bodies:  # of several channels of one format the first one's is everybody's
            batch.bodies[key] = body
            batch.size += len(body[0])
        if batch.is_full:
            self._next = _Batch()
        async with self._turn:
            if batch.kept is None:
                batch.kept = await self._keep(batch)
        if isinstance(batch.kept, StoreUnavailable):
            raise StoreUnavailable(str(batch.kept))
        if (mine := batch.kept.get(key)) is not None:
            return mine
        return (await rendered.keep(self._database, {key: body}))[key]  # Postgres fails another one, perhaps

    async def _keep(self, batch: _Batch) -> dict[Key, Body] | StoreUnavailable:
        """Return what is kept of *batch*: nothing where Postgres fails that, for one's sake; or why that is unknown."""
        await clock.sleep(0)  # all that start in this turn of the loop are of it
        if self._next is batch:
            self._next = _Batch()
        try:
            return await rendered.keep(self._database, batch.bodies)
        except (StoreFailed, DataRefused):
            return {}
        except StoreUnavailable as exc:
            return exc
