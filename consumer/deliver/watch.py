"""What follows from recorded attempts for others: a channel is paused or disabled, or a delivery may start."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from consumer import clock, log
from consumer.decide import breaker
from consumer.decide.breaker import Breaker, Endurance, Open, Run, StopSending
from consumer.errors import DataRefused, StoreFailed, Unavailable
from consumer.metrics import Metrics
from consumer.patience import Outage
from consumer.store import paces
from consumer.store.database import Database
from consumer.store.deliveries import Recorded

FAILING_LONG: Final = dt.timedelta(minutes=5)  # then a person should look: most deploys are over by then
MOST_SAID: Final = 1_000  # channels of which it is remembered that they were called failing
logger = log.get("deliver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Pauses and disables channels by what was recorded, and says so.

    Attributes:
        database: where channels' runs are kept.
        breaker: when a channel is paused.
        endurance: when it is disabled.
        announce: wakes this process' dispatcher, and those of others.
        metrics: where what ended is counted.
        outage: says that what was recorded has yet to pause or disable a channel, which its next failure will.
    """

    database: Database
    breaker: Breaker
    endurance: Endurance
    announce: Callable[[], None]
    metrics: Metrics
    outage: Outage = field(default_factory=lambda: Outage(logger, "breakers"))
    said: dict[str, dt.datetime] = field(default_factory=dict)  # since when a channel fails that was called failing

    async def follow_up(self, recorded: Recorded) -> None:
        """Do what follows from *recorded*. Where Postgres is away, nothing does: the next failure is judged again.

        Likewise where it fails that for one channel: the others are paused or disabled all the same.
        """
        for (state, reason), count in recorded.ends.items():
            self.metrics.ended(state, reason, count)
        self._say_failing(recorded)
        await self._judge(recorded)
        for channel_id in recorded.closed:
            logger.info("channel.resumed", **_named(recorded, channel_id))
        if recorded.is_freeing or recorded.closed:
            self.announce()

    def _say_failing(self, recorded: Recorded) -> None:
        """Call a channel failing that has had no success for five minutes: once for each time that it fails so long."""
        for run in recorded.runs:
            if run.failing_since is None or run.failing_for < FAILING_LONG:
                continue
            if self.said.get(run.channel_id) != run.failing_since:
                logger.error(
                    "channel.failing",
                    **_named(recorded, run.channel_id),
                    for_s=round(run.failing_for.total_seconds()),
                    failures=run.failures,
                    since=run.failing_since.isoformat(),
                )
                self.said.pop(run.channel_id, None)
                if len(self.said) >= MOST_SAID:
                    del self.said[next(iter(self.said))]
                self.said[run.channel_id] = run.failing_since

    async def _judge(self, recorded: Recorded) -> None:
        opening: list[tuple[Run, dt.timedelta]] = []
        stopping: list[tuple[Run, str]] = []
        for run in recorded.runs:
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
                await self._open(recorded, opening)
            for run, reason in stopping:
                await self._disable(recorded, run, reason)
        except Unavailable as exc:
            self.outage.met(str(exc))
        else:
            self.outage.over()

    async def _open(self, recorded: Recorded, opening: Sequence[tuple[Run, dt.timedelta]]) -> None:
        """Open breakers, all at once: of a thousand, each alone would hold up what waits to be recorded for seconds."""
        try:
            opened = await paces.open_breakers(self.database, opening)
        except (StoreFailed, DataRefused) as exc:
            if len(opening) > 1:
                for one in opening:
                    await self._open(recorded, [one])
            else:
                logger.failed("deliver.failed", exc, channel_id=opening[0][0].channel_id)
            return
        for run, pause in opening:
            if run.channel_id in opened:
                logger.warning(
                    "channel.paused",
                    **_named(recorded, run.channel_id),
                    pause_s=round(pause.total_seconds(), 3),
                    failures=run.downs,
                )

    async def _disable(self, recorded: Recorded, run: Run, reason: str) -> None:
        try:
            if await paces.disable(self.database, run, reason):
                logger.error("channel.disabled", **_named(recorded, run.channel_id), by="tollbell", reason=reason)
        except (StoreFailed, DataRefused) as exc:
            logger.failed("deliver.failed", exc, channel_id=run.channel_id)


def _named(recorded: Recorded, channel_id: str) -> dict[str, object]:
    """Return the fields by which a line names a channel of *recorded*."""
    key, name = recorded.called[channel_id]
    return log.named("channel", channel_id, key, name)
