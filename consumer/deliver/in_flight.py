"""What is in flight, by channel and namespace: counted, nothing decided. No await and no clock."""

from collections import Counter


class InFlight:
    """Counts attempts.

    Attributes:
        total: how many are in flight, of all channels.
        by_channel: how many of each channel are.
        by_namespace: how many of each namespace are.
        recording: attempts that failed, by channel: they hold their channel's slots alone until they are recorded.
        namespaces: of the channels that are in flight, ahead or due.
    """

    def __init__(self) -> None:
        self.total = 0
        self.by_channel: Counter[str] = Counter()
        self.by_namespace: Counter[str] = Counter()
        self.recording: Counter[str] = Counter()
        self.namespaces: dict[str, str] = {}

    def taken(self, channel: str) -> int:
        """Return how many of a channel's slots are taken."""
        return self.by_channel[channel] + self.recording[channel]

    def begin(self, channel: str) -> None:
        """Count one more of *channel*, whose namespace is known."""
        self.by_channel[channel] += 1
        self.by_namespace[self.namespaces[channel]] += 1
        self.total += 1

    def end(self, channel: str) -> int:
        """Count one less of *channel*; return how many are left of it."""
        self.by_channel[channel] -= 1
        self.by_namespace[self.namespaces[channel]] -= 1
        self.total -= 1
        if not (left := self.by_channel[channel]):
            del self.by_channel[channel]
        return left

    def end_unrecorded(self, channel: str) -> None:
        """Count one less of *channel* that failed, and is still to be recorded."""
        self.end(channel)
        self.recording[channel] += 1

    def recorded(self, channel: str) -> None:
        """Count one less to be recorded."""
        self.recording[channel] -= 1
        if not self.recording[channel]:
            del self.recording[channel]
