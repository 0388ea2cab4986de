"""Whose turn a slot is where more channels have something due than there are slots. No await and no clock."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from msgspec import Struct

from consumer.deliver.in_flight import InFlight
from consumer.deliver.slots import Limits, allot, namespace_share
from consumer.store.deliveries import DueChannel


class Allotted(Struct, frozen=True):
    """How many may be claimed of each channel: to start at once, and ahead of a slot."""

    now: Mapping[str, int]
    ahead: Mapping[str, int]

    @property
    def slots(self) -> dict[str, int]:
        """Both."""
        return dict(Counter(self.now) + Counter(self.ahead))


class FairShare:
    """Allots slots to channels, and the turns after them.

    Attributes:
        is_full: channels wait for slots.
        claiming: slots of the claim under way, by channel.
    """

    def __init__(self, limits: Limits) -> None:
        self.is_full = False
        self.claiming: Counter[str] = Counter()
        self._claiming_of_namespace: Counter[str] = Counter()
        self._promised: Counter[str] = Counter()  # slots that get free, to channels that may have nothing ahead
        self._most: dict[str, int] = {}  # in flight, of each channel with something due
        self._most_of_namespace = limits.total

    def allot(
        self,
        due: Sequence[DueChannel],
        in_flight: InFlight,
        ahead: Counter[str],
        *,
        healthy: AbstractSet[str],
        slow: AbstractSet[str],
        limits: Limits,
    ) -> Allotted:
        """Return how many deliveries of each channel of *due* may be claimed, next to those in flight and *ahead*."""
        self._most = most = {channel.id: channel.concurrency or limits.channel for channel in due}
        self._most_of_namespace = namespace_share(due, limits)
        # Who was promised a slot is first at those that are free, and last at the turns after them.
        due = sorted(due, key=lambda channel: channel.id in self._promised)
        now = allot(due[::-1], in_flight.by_channel, slow, limits, in_flight.namespaces, in_flight.recording)
        self.is_full = any(id_ not in now and in_flight.taken(id_) < most[id_] for id_ in most)
        works = {channel.id for channel in due if channel.id in healthy and channel.most is None}
        # Where none was free, what was promised still is: else each look that comes between two takes the turn of those
        # who have waited for it, and they are passed over every time.
        due = sorted(due, key=lambda channel: channel.id in now or channel.id not in self._promised)
        self._promised.clear()
        if self.is_full:
            twice = replace(limits, total=2 * limits.total)
            taken = in_flight.by_channel + (ahead + Counter(now))
            turns = allot(due, taken, slow, twice, in_flight.namespaces, in_flight.recording)
            more = self._turns(turns, works)
        else:
            of_works = [channel for channel in due if channel.id in works]
            more = allot(of_works, ahead, (), limits, in_flight.namespaces)
        self.claiming = Counter(now)
        self._claiming_of_namespace = Counter()
        for id_, count in now.items():
            self._claiming_of_namespace[in_flight.namespaces[id_]] += count
        return Allotted(now, more)

    def claimed(self) -> None:
        """Say that the claim under way has ended."""
        self.claiming.clear()
        self._claiming_of_namespace.clear()

    def has_turn(self, in_flight: InFlight, limits: Limits) -> bool:
        """Whether a slot is free, and not promised."""
        return limits.total - in_flight.total > self._promised.total()

    def may_have(self, channel: str, in_flight: InFlight, limits: Limits) -> bool:
        """Whether *channel*, and its namespace, may have one more in flight."""
        if in_flight.taken(channel) + self.claiming[channel] >= self._most.get(channel, limits.channel):
            return False
        namespace = in_flight.namespaces[channel]
        return in_flight.by_namespace[namespace] + self._claiming_of_namespace[namespace] < self._most_of_namespace

    def _turns(self, turns: Mapping[str, int], works: AbstractSet[str]) -> dict[str, int]:
        """Return who is ahead for the slots that get free next, of *turns* as if there were twice as many.

        Who does not work may not be ahead, but has its turns: so many slots are left free, and it is first at them.
        """
        ahead = {id_: count for id_, count in turns.items() if id_ in works}
        self._promised = Counter(turns) - Counter(ahead)
        return ahead
