"""What follows from recorded attempts for others: a channel is paused or disabled, or somebody may start."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from consumer import clock, log
from consumer.decide import breaker
from consumer.decide.breaker import Breaker, Endurance, Open, Run, StopSending
from consumer.errors import DataRefused, StoreFailed, Unavailable
from consumer.metrics import Metrics
from consumer.store import paces
from consumer.store.database import Database
from consumer.store.deliveries import Recorded

FAILING_LONG: Final = dt.timedelta(minutes=5)  # then a person should look: most deploys are over by then
MOST_SAID: Final = 1_000  # channels of which it is remembered that they were called failing
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
    said: dict[str, dt.datetime] = field(default_factory=dict)  # since when a channel fails that was called failing

    async def heed(self, recorded: Recorded) -> None:
        """Do what follows from *recorded*. Where Postgres is away, nothing does: the next failure is judged again.

        Likewise where it fails that for one channel: the others are paused or disabled all the same.
        """
        for (state, reason), count in recorded.ends.items():
            self.metrics.ended(state, reason, count)
        self._say_failing(recorded.runs)
        await self._judge(recorded.runs)
        for channel_id in recorded.closed:
            logger.info("channel.resumed", channel_id=channel_id)
        if recorded.is_freeing or recorded.closed:
            self.announce()

    def _say_failing(self, runs: Sequence[Run]) -> None:
        """Call a channel failing that has had no success for five minutes: once for each time that it fails so long."""
        for run in runs:
            if run.failing_since is None or run.failing_for < FAILING_LONG:
                continue
            if self.said.get(run.channel_id) != run.failing_since:
                logger.error(
                    "channel.failing",
                    channel_id=run.channel_id,
                    for_s=round(run.failing_for.total_seconds()),
                    failures=run.failures,
                    since=run.failing_since.isoformat(),
                )
                self.said.pop(run.channel_id, None)
                if len(self.said) >= MOST_SAID:
                    del self.said[next(iter(self.said))]
                self.said[run.channel_id] = run.failing_since

    async def _judge(self, runs: Sequence[Run]) -> None:
        opening: list[tuple[Run, dt.timedelta]] = []
        stopping: list[tuple[Run, str]] = []
        for run in runs:
            match breaker.judge(run, breaker=self.breaker, endurance=self.endurance, jitter=clock.jitter()):
                case None:
                    pass
                case Open(pause):
                    opening.append((run, pause))
                case StopSending(reason):
                    stopping.append((run, reason))
                case never:
                    assert_never(never)
        try:
            if opening:
                await self._open(opening)
            for run, reason in stopping:
                await self._disable(run, reason)
        except Unavailable as exc:
            logger.warning("deliver.waiting", error=str(exc))

    async def _open(self, opening: Sequence[tuple[Run, dt.timedelta]]) -> None:
        """Open breakers, all at once: of a thousand, each alone would hold up what waits to be recorded for seconds."""
        try:
            opened = await paces.open_breakers(self.database, opening)
        except (StoreFailed, DataRefused) as exc:
            if len(opening) > 1:
                for one in opening:
                    await self._open([one])
            else:
                logger.failed("deliver.failed", exc, channel_id=opening[0][0].channel_id)
            return
        for run, pause in opening:
            if run.channel_id in opened:
                logger.warning(
                    "channel.paused",
                    channel_id=run.channel_id,
                    pause_s=round(pause.total_seconds(), 3),
                    failures=run.downs,
                )

    async def _disable(self, run: Run, reason: str) -> None:
        try:
            if await paces.disable(self.database, run, reason):
                logger.error("channel.disabled", channel_id=run.channel_id, by="tollbell", reason=reason)
        except (StoreFailed, DataRefused) as exc:
            logger.failed("deliver.failed", exc, channel_id=run.channel_id)
