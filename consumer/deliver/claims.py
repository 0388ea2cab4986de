"""What is claimed: of all channels at once, and where Postgres fails that, of each alone, then each delivery alone.

So a row that cannot be read holds up itself, and a channel whose rows all fail that channel.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Final

from consumer import clock, log
from consumer.errors import DataRefused, TollbellError, Unavailable
from consumer.metrics import Metrics
from consumer.set_aside import FAILURES, Failure, SetAside
from consumer.store import deliveries
from consumer.store.database import Database
from consumer.store.deliveries import Claimed, DueChannel

HOLD: Final = 5.0  # seconds a channel is left alone whose statement Postgres has failed
logger = log.get("deliver")


class Claims:
    """Claims deliveries for this process."""

    def __init__(self, database: Database, metrics: Metrics, lease: dt.timedelta, *, steps: int) -> None:
        self._database = database
        self._lease = lease
        self._steps = steps
        self._held: dict[str, float] = {}  # until when (monotonic)
        self._aside = SetAside[int]("delivery", metrics, lambda delivery: {"delivery_id": delivery})

    async def channels(self) -> list[DueChannel]:
        """Return the channels with something due, now or later, but those that are held.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        now = clock.monotonic()
        self._held = {channel: until for channel, until in self._held.items() if until > now}
        return [one for one in await deliveries.due_channels(self._database) if one.id not in self._held]

    async def claim(self, slots: dict[str, int]) -> list[Claimed]:
        """Claim for all of *slots*; hold the channels, and set aside the deliveries, that fail alone.

        Raises:
            StoreUnavailable: Postgres cannot be reached.
        """
        but = self._aside.keys()
        try:
            return await deliveries.claim(self._database, slots, self._lease, steps=self._steps, but=but)
        except FAILURES as exc:
            if len(slots) == 1:
                ((channel, free),) = slots.items()
                return await self._claim_one_by_one(channel, free, exc)
        return [one for channel, free in slots.items() for one in await self.claim({channel: free})]

    def hold(self, channel: str, exc: TollbellError, called: Mapping[str, object]) -> None:
        """Leave *channel*, which *called* names, alone for a while, as Postgres fails what is to be done for it."""
        self._held[channel] = clock.monotonic() + HOLD
        logger.failed("deliver.held", exc, **called, seconds=HOLD)

    def rest(self, channel: str, seconds: float) -> None:
        """Leave *channel* alone for *seconds* at least."""
        until = clock.monotonic() + seconds
        self._held[channel] = max(self._held.get(channel, until), until)

    async def _claim_one_by_one(self, channel: str, free: int, exc: Failure) -> list[Claimed]:
        claimed: list[Claimed] = []
        failed: dict[int, Failure] = {}
        due = await deliveries.due(self._database, channel, limit=free, but=self._aside.keys())
        for delivery in due:
            try:
                claimed += await deliveries.claim(
                    self._database, {channel: 1}, self._lease, steps=self._steps, only=[delivery]
                )
            except FAILURES as of_one:
                failed[delivery] = of_one
        if len(failed) == len(due) != 1:
            self.hold(channel, exc, await self._called(channel))
            return []
        for delivery, why in failed.items():
            self._aside.put(delivery, why)
        return claimed

    async def _called(self, channel: str) -> Mapping[str, object]:
        """Return the fields by which a line names *channel*: its id alone where Postgres fails that, too."""
        try:
            key, name = await deliveries.called(self._database, channel)
        except (Unavailable, DataRefused):
            return {"channel_id": channel}
        return log.named("channel", channel, key, name)
