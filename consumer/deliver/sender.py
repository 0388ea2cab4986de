"""One claimed delivery: attempted while its lease lasts, or handed back. HTTP is in `attempt.py`."""

import asyncio
import contextlib
import datetime as dt
from typing import Final

from consumer import clock, log
from consumer.deliver import attempt_log
from consumer.deliver.attempt import Attempts
from consumer.deliver.claims import Claims
from consumer.deliver.looks import Looks
from consumer.deliver.prefetched import Leased
from consumer.deliver.rooms import Rooms
from consumer.deliver.taken import Taken
from consumer.errors import DataRefused, StoreFailed, Unavailable
from consumer.store import deliveries
from consumer.store.database import Database
from consumer.store.deliveries import HELD_BYTES, Claimed, Ended

NO_BODY: Final = 2.0  # seconds a channel rests, of whose deliveries one has no body now: others have its slots
logger = log.get("deliver")


class Sender:
    """Attempts deliveries, each once.

    Attributes:
        looks: to be set when the configuration has changed.
    """

    def __init__(
        self, database: Database, attempts: Attempts, taken: Taken, claims: Claims, *, start_within: dt.timedelta
    ) -> None:
        """Make one that begins none later than *start_within* after its claim: its lease would run out under it."""
        self.looks = Looks(database)
        self._database = database
        self._attempts = attempts
        self._taken = taken
        self._claims = claims
        self._start_within = start_within.total_seconds()
        self._rooms = Rooms()

    async def attempted(self, leased: Leased) -> Ended | None:
        """Attempt a delivery; None where that may not be: it is handed back.

        Where the drain's deadline cancels this nothing was sent, or `Attempts.attempt` had returned how it ended.
        """
        # The lease is the database's; by our own clock it began at the latest when we asked for it.
        start_by = leased.asked_at + self._start_within
        delivery = leased.delivery
        try:
            if delivery.size <= HELD_BYTES:
                ended = await self._sent(leased, start_by)
            else:
                ended = await self._sent_large(leased, start_by)
            if ended is None:
                await deliveries.hand_back(self._database, [delivery])
        except (Unavailable, DataRefused) as exc:
            logger.warning("deliver.not_handed_back", **attempt_log.followed(delivery), error=str(exc))
            return None
        except asyncio.CancelledError:
            self._taken.unsent.append(delivery)  # also where it was being handed back: that was undone, or is again
            raise
        return ended

    async def _sent_large(self, leased: Leased, start_by: float) -> Ended | None:
        """Do as `_sent` does, once there is room for the body."""
        delivery, channel = leased.delivery, leased.delivery.channel_id
        works, is_slow = self._taken.works(channel), self._taken.is_slow(channel)
        async with contextlib.AsyncExitStack() as room:
            try:
                async with asyncio.timeout(max(start_by - clock.monotonic(), 0)):
                    await room.enter_async_context(
                        self._rooms.taken(channel, delivery.size, works=works, is_slow=is_slow)
                    )
            except TimeoutError:
                return None
            return await self._sent(leased, start_by)

    async def _sent(self, leased: Leased, start_by: float) -> Ended | None:
        """Attempt a delivery; None where it has no body, its channel has changed, or it is too late to begin."""
        prepared = await self._prepared(leased.delivery)
        if prepared is None or not await self.looks.still(leased) or clock.monotonic() >= start_by:
            return None
        return await self._attempts.attempt(prepared)

    async def _prepared(self, delivery: Claimed) -> Claimed | None:
        """Return *delivery* with its body; None where there is none now, or Postgres fails it: its channel rests."""
        try:
            prepared = await self._attempts.prepared(delivery)
        except (StoreFailed, DataRefused) as exc:
            self._claims.hold(delivery.channel_id, exc, attempt_log.named_channel(delivery))
            return None
        if prepared is None:
            self._claims.rest(delivery.channel_id, NO_BODY)
        return prepared
