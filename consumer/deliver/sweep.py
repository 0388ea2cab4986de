"""What happens to deliveries without an attempt, each second: some end, and some become due."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from consumer import log
from consumer.metrics import Metrics
from consumer.set_aside import FAILURES, SetAside
from consumer.store import sweeps
from consumer.store.database import Database
from consumer.store.sweeps import SWEEP_LIMIT, Ends, HoldCursor, Swept
from schemas.events import DeliveryState

logger = log.get("deliver")
HOLD_PARTS: Final = 10  # statements in a second, 13 ms of Postgres: a walk through 300,000 that wait takes a minute


class Sweep:
    """The duty beside the dispatcher. Any number of processes may have it."""

    def __init__(self, database: Database, metrics: Metrics, ends: Ends, announce: Callable[[], None]) -> None:
        self._database = database
        self._ends = ends
        self._metrics = metrics
        self._announce = announce
        self._aside = SetAside[int]("delivery_end", metrics, lambda delivery: {"delivery_id": delivery})
        self._place = HoldCursor()  # among those that wait for another

    async def once(self) -> None:
        """End what no attempt will end; make due what waits no longer, or was sent somewhere else before.

        Raises:
            StoreUnavailable: Postgres cannot be reached, or fails one of these.
        """
        ended = await self._end()
        is_freeing = await self._hold()
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
        but, swept = self._aside.keys(), list[Swept]()
        try:
            ended = await sweeps.sweep(self._database, self._ends, but=but, swept=swept)
        except FAILURES as exc:

            async def of(ids: Sequence[int]) -> int:
                return await sweeps.sweep(self._database, self._ends, ids=ids, swept=swept)

            if not (over := await sweeps.over(self._database, self._ends, but=but)):
                raise
            ended = await self._aside.narrow(over, of, exc)
        for (state, reason), count in Counter((one.state, one.reason) for one in swept).items():
            self._metrics.ended(state, reason, count)
        logger.warnings("delivery.ended", [_lost(one) for one in swept if one.state == DeliveryState.FAILED])
        return ended

    async def _hold(self) -> bool:
        """Look at what waits for another, a part of it where it is much; return whether something is due now."""
        is_freeing = False
        for _ in range(HOLD_PARTS):
            self._place, frees = await sweeps.hold(self._database, self._place)
            is_freeing |= frees
            if not self._place.event:  # at the walk's end
                break
        return is_freeing

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


def _lost(one: Swept) -> dict[str, object]:
    return {
        "event_id": one.event_id,
        **log.named("rule", one.rule_id, one.rule_key, one.rule_name),
        **log.named("channel", one.channel_id, one.channel_key, one.channel_name),
        "state": one.state,
        "reason": one.reason,
        **({} if one.record is None else one.record.fields()),
    }
