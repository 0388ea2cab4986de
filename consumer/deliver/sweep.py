"""What happens to deliveries without an attempt, each second: some end, and some become due."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from consumer.metrics import Metrics
from consumer.set_aside import FAILURES, SetAside
from consumer.store import sweeps
from consumer.store.database import Database
from consumer.store.sweeps import SWEEP_LIMIT, Ends, Place

START: Final = Place()


class Sweep:
    """The duty beside the dispatcher. Any number of processes may have it."""

    def __init__(self, database: Database, metrics: Metrics, ends: Ends, announce: Callable[[], None]) -> None:
        self._database = database
        self._ends = ends
        self._metrics = metrics
        self._announce = announce
        self._aside = SetAside[int]("delivery_end", metrics, lambda delivery: {"delivery_id": delivery})
        self._place = START  # among those that wait for another

    async def once(self) -> None:
        """End what no attempt will end; make due what waits no longer, or was sent somewhere else before.

        Raises:
            StoreUnavailable: Postgres cannot be reached, or fails one of these.
        """
        ended = await self._end()
        self._place, is_freeing = await sweeps.hold(self._database, self._place)
        hurried = await self._follow()
        if ended or is_freeing or hurried:
            self._announce()  # others may have waited for what has just ended

    async def _end(self) -> int:
        """End all that is to end, as disabling a channel is one act; return how many."""
        total = 0
        while ended := await self._end_some():
            total += ended
            if ended < SWEEP_LIMIT:
                break
        return total

    async def _end_some(self) -> int:
        """End some; what Postgres fails to end is set aside, for the others to go on."""
        but, counted = self._aside.keys(), Counter[tuple[str, str]]()
        try:
            ended = await sweeps.sweep(self._database, self._ends, but=but, counted=counted)
        except FAILURES as exc:

            async def of(ids: Sequence[int]) -> int:
                return await sweeps.sweep(self._database, self._ends, ids=ids, counted=counted)

            if not (over := await sweeps.over(self._database, self._ends, but=but)):
                raise
            ended = await self._aside.narrow(over, of, exc)
        for (state, reason), count in counted.items():
            self._metrics.ended(state, reason, count)
        return ended

    async def _follow(self) -> int:
        """Do what follows from a channel's new URL, and from its having been enabled; return how many are due now."""
        total = 0
        for channel in await sweeps.changed_channels(self._database):
            if channel.is_hurried:
                while hurried := await sweeps.hurry(self._database, channel):
                    total += hurried
                    if hurried < SWEEP_LIMIT:
                        break
            if channel.may_be_settled:
                await sweeps.settle(self._database, channel)
        return total
