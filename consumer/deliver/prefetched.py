"""Deliveries claimed ahead of a slot, by channel. No await and no clock.

When an attempt ends, its slot is the next one's at once: it does not stand empty for a look, a claim, and whatever else
the loop has to do before them.
"""

from collections import Counter, defaultdict, deque
from typing import Final

from msgspec import Struct

from consumer.store.deliveries import Claimed

AHEAD_SECONDS: Final = 1.0  # what is older is handed back: its channel may have been changed, paused or disabled


class Leased(Struct, frozen=True):
    """A claimed delivery, and when it was asked for (monotonic): its lease began then at the earliest."""

    delivery: Claimed
    asked_at: float


class Prefetched:
    """Queues of channels, themselves in the order in which they are served.

    Attributes:
        unsent: claimed and not to be sent: to be handed back, and then cleared.
    """

    def __init__(self) -> None:
        self.unsent: list[Claimed] = []
        self._queues: defaultdict[str, deque[Leased]] = defaultdict(deque)
        self._total = 0
        self._few = 0  # so few that more are wanted

    def __contains__(self, channel: str) -> bool:
        return channel in self._queues

    @property
    def channels(self) -> list[str]:
        """Those with something ahead, in their order."""
        return list(self._queues)

    @property
    def counts(self) -> Counter[str]:
        """How many of each channel."""
        return Counter({channel: len(leased) for channel, leased in self._queues.items()})

    @property
    def are_few(self) -> bool:
        """Whether half of what a claim brought has gone."""
        return self._total <= self._few

    def add(self, leased: Leased) -> None:
        """Put *leased* behind what its channel has."""
        self._queues[leased.delivery.channel_id].append(leased)
        self._total += 1

    def claimed(self) -> None:
        """Say that all of a claim is here: from now on it grows less."""
        self._few = self._total // 2

    def next_of(self, channel: str, now: float) -> Leased | None:
        """Take the next one of *channel* that is not too old; those that are become unsent."""
        ahead = self._queues.get(channel)
        while ahead:
            leased = ahead.popleft()
            self._total -= 1
            if now - leased.asked_at <= AHEAD_SECONDS:
                return leased
            self.unsent.append(leased.delivery)
        self._queues.pop(channel, None)
        return None

    def put_last(self, channel: str) -> None:
        """Serve the others before *channel*, if it has more."""
        if channel in self._queues:
            self._queues[channel] = self._queues.pop(channel)

    def withdraw(self, channel: str) -> None:
        """Keep nothing of *channel*: it is all unsent."""
        ahead = self._queues.pop(channel, ())
        self._total -= len(ahead)
        self.unsent.extend(leased.delivery for leased in ahead)
