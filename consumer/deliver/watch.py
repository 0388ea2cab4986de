"""What follows from recorded attempts for others: a channel is paused or disabled, or somebody may start."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from consumer import clock, log
from consumer.decide import breaker
from consumer.decide.breaker import Breaker, Endurance, Open, Run, StopSending
from consumer.errors import DataRefused, StoreFailed, Unavailable
from consumer.metrics import Metrics
from consumer.store import paces
from consumer.store.database import Database
from consumer.store.deliveries import Recorded

logger = log.get("deliver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Heeds what was recorded.

    Attributes:
        database: where channels' runs are kept.
        breaker: when a channel is paused.
        endurance: when it is disabled.
        announce: wakes this process' dispatcher, and those of others.
        metrics: where what ended is counted.
    """

    database: Database
    breaker: Breaker
    endurance: Endurance
    announce: Callable[[], None]
    metrics: Metrics

    async def heed(self, recorded: Recorded) -> None:
        """Do what follows from *recorded*. Where Postgres is away, nothing does: the next failure is judged again.

        Likewise where it fails that for one channel: the others are paused or disabled all the same.
        """
        for (state, reason), count in recorded.ends.items():
            self.metrics.ended(state, reason, count)
        for run in recorded.runs:
            try:
                await self._judge(run)
            except (StoreFailed, DataRefused) as exc:
                logger.failed("deliver.failed", exc, channel_id=run.channel_id)
            except Unavailable as exc:
                logger.warning("deliver.waiting", error=str(exc))
                break
        for channel_id in recorded.closed:
            logger.info("channel.resumed", channel_id=channel_id)
        if recorded.is_freeing or recorded.closed:
            self.announce()

    async def _judge(self, run: Run) -> None:
        decided = breaker.judge(run, breaker=self.breaker, endurance=self.endurance, jitter=clock.jitter())
        match decided:
            case None:
                return
            case Open(pause):
                if await paces.open_breaker(self.database, run, pause):
                    logger.warning(
                        "channel.paused",
                        channel_id=run.channel_id,
                        pause_s=round(pause.total_seconds(), 3),
                        failures=run.downs,
                    )
            case StopSending(reason):
                if await paces.disable(self.database, run, reason):
                    logger.error("channel.disabled", channel_id=run.channel_id, by="tollbell", reason=reason)
            case _:
                assert_never(decided)
