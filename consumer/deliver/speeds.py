"""Which channels are healthy and which are slow, by their last attempts. No await and no clock."""

from typing import Final

from consumer.decide.outcome import OutcomeClass
from consumer.deliver.prefetched import AHEAD_SECONDS
from consumer.store.deliveries import Ended

SLOW_PART: Final = 0.5  # of the timeout; an attempt that takes that long makes its channel a slow one
QUICK_MS: Final = AHEAD_SECONDS * 1000 / 2  # a channel that takes longer than that would let it grow old


class ChannelSpeeds:
    """Remembers how each channel's last attempt went.

    Attributes:
        healthy: it succeeded, and quickly.
        slow: it took a good part of the timeout, or all of it.
    """

    def __init__(self, *, timeout_seconds: float) -> None:
        self.healthy: set[str] = set()
        self.slow: set[str] = set()
        self._slow_ms = timeout_seconds * 1000 * SLOW_PART

    def see(self, ended: Ended) -> bool:
        """Take note of an attempt; return whether its channel is healthy.

        Slow by more than the class: who answers at once and never ends its body, or just in time, holds a slot as long.
        """
        channel, outcome = ended.delivery.channel_id, ended.outcome
        is_slow = outcome.kind is OutcomeClass.TIMEOUT or outcome.duration_ms >= self._slow_ms
        if is_slow:
            self.slow.add(channel)
        else:
            self.slow.discard(channel)
        is_healthy = outcome.is_success and not is_slow and outcome.duration_ms <= QUICK_MS  # a timeout may be short
        if is_healthy:
            self.healthy.add(channel)
        else:
            self.healthy.discard(channel)
        return is_healthy
