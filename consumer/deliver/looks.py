"""What is claimed is looked at once more where the configuration has changed before it is sent.

Deliveries are claimed ahead of their slots, up to a second before they are sent. Postgres notifies of each change when
it is committed; only then is there a query, one for all that are about to be sent. Where notifications do not come,
what was claimed before is sent for a second at most: then it is claimed again.
"""

import asyncio
from typing import Final

from consumer import clock
from consumer.deliver.prefetched import Leased
from consumer.store import deliveries
from consumer.store.database import Database

NEVER: Final = float("-inf")


class _Look:
    """One query: of which channels, and what it found; None before it was made."""

    def __init__(self) -> None:
        self.channels: set[str] = set()
        self.found: dict[str, int] | None = None


class Looks:
    """Whether deliveries may still be sent as they were claimed. To be set at each notification of a change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed_at = NEVER  # monotonic
        self._next = _Look()
        self._turn = asyncio.Lock()

    def set(self) -> None:
        """Take note that the configuration has changed, or may have."""
        self._changed_at = clock.monotonic()

    async def still(self, leased: Leased) -> bool:
        """Return whether *leased* may be sent: its channel is enabled, and where it was when that was claimed.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        if leased.asked_at > self._changed_at:
            return True
        delivery, look = leased.delivery, self._next
        look.channels.add(delivery.channel_id)
        async with self._turn:  # who comes while a query is made is of the next one
            if look.found is None:
                if self._next is look:
                    self._next = _Look()
                look.found = await deliveries.standing(self._database, sorted(look.channels))
        return look.found.get(delivery.channel_id) == delivery.revision
