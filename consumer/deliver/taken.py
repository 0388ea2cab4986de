"""What this process has claimed: in flight, or ahead of a slot. No await and no clock, like `slots`.

`in_flight` counts, `prefetched` has what is ahead of a slot, `fair_share` says whose turn a slot is, `speeds` which
channels may have something ahead: those that work and have more due than slots. The next one in a slot is of the same
channel; where more channels have something due than there are slots, of the one whose turn it is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from consumer.deliver.fair_share import Allotted, FairShare
from consumer.deliver.in_flight import InFlight
from consumer.deliver.prefetched import Leased, Prefetched
from consumer.deliver.shortage_limits import ShortageLimits
from consumer.deliver.slots import NAMESPACE_SHARE, Limits
from consumer.deliver.speeds import ChannelSpeeds
from consumer.store.deliveries import Claimed, DueChannel, Ended
from consumer.store.outbox import ReservedSlots

SOME_OF: Final = 16  # of so many in flight one that is free is worth a claim: at most 6 % of the slots wait for it


class Taken:
    """Who has which slot, and who is next.

    Attributes:
        wants_more: a claim is worth its while: set when slots are free, or little is left ahead, of who has more due.
    """

    def __init__(self, limits: Limits, *, timeout_seconds: float) -> None:
        self.wants_more = False
        self._shortage = ShortageLimits(limits)
        self._in_flight = InFlight()
        self._prefetched = Prefetched()
        self._fair = FairShare(limits)
        self._speeds = ChannelSpeeds(timeout_seconds=timeout_seconds)
        self._more: dict[str, int] = {}  # of who has more due: so few in flight are too few
        self._freed: Counter[str] = Counter()  # since the last allotment
        self._let_go = 0  # since then, of channels that must not have them again yet

    @property
    def running(self) -> int:
        """How many are in flight."""
        return self._in_flight.total

    @property
    def unsent(self) -> list[Claimed]:
        """What was claimed and is not to be sent: to be handed back, and then cleared."""
        return self._prefetched.unsent

    @property
    def _limits(self) -> Limits:
        return self._shortage.limits

    def allot(self, due: Sequence[DueChannel]) -> Allotted:
        """Return how many deliveries of each channel of *due* may be claimed."""
        in_flight, ahead = self._in_flight, self._prefetched
        known = {id_: of for id_, of in in_flight.namespaces.items() if id_ in in_flight.by_channel or id_ in ahead}
        in_flight.namespaces = known | {channel.id: channel.namespace for channel in due}
        self._speeds.healthy.intersection_update(channel.id for channel in due)
        allotted = self._fair.allot(
            due,
            in_flight,
            ahead.counts,
            healthy=self._speeds.healthy,
            slow=self._speeds.slow,
            limits=self._limits,
        )
        self._more = {channel.id: (channel.concurrency or self._limits.channel) // 2 for channel in due}
        self._freed.clear()
        self._let_go = 0
        self.wants_more = False
        return allotted

    def take(self, claimed: Sequence[Claimed], asked_at: float, allotted: Allotted) -> list[Leased]:
        """Take what was *claimed* for *allotted*; return what is to start now. The rest is ahead."""
        asked, given = allotted.slots, Counter(one.channel_id for one in claimed)
        self._fair.claimed()
        self._more = {id_: few for id_, few in self._more.items() if given[id_] == asked.get(id_, 0)}
        room = Counter(allotted.now)
        if not self._fair.is_full:  # else what gets free meanwhile is not the same channel's
            room += self._freed
        starting: list[Leased] = []
        for one in claimed:
            if room[one.channel_id] > 0:
                room[one.channel_id] -= 1
                self._in_flight.begin(one.channel_id)
                starting.append(Leased(one, asked_at))
            elif one.channel_id in self._speeds.healthy:
                self._prefetched.add(Leased(one, asked_at))
            else:  # it has failed meanwhile
                self.unsent.append(one)
        while (leased := self._turn(asked_at)) is not None:
            starting.append(leased)
        self._prefetched.claimed()
        return starting

    def keep(self, wanted: Mapping[tuple[str, str], int]) -> dict[str, ReservedSlots]:
        """Keep slots for deliveries that are about to be made, by namespace and channel, as if they were in flight.

        Only while half of all slots are free: then it is no other channel's share, whatever becomes due meanwhile.
        None for a slow channel, which has its share; nor for one with deliveries ahead, which are first.
        """
        half = 0 if self._fair.is_full else self._limits.total // NAMESPACE_SHARE
        room = half - self.running - self._fair.claiming.total()
        kept: dict[str, ReservedSlots] = {}
        for (namespace, channel), count in wanted.items():
            in_flight = self._in_flight.taken(channel) + self._fair.claiming[channel]
            free = min(count, self._limits.channel - in_flight, room)
            if free <= 0 or channel in self._speeds.slow or channel in self._prefetched:
                continue
            self._in_flight.namespaces[channel] = namespace
            for _ in range(free):
                self._in_flight.begin(channel)
            self._freed[channel] = max(self._freed[channel] - free, 0)
            room -= free
            kept[channel] = ReservedSlots(free, in_flight)
        return kept

    def see(self, ended: Ended) -> None:
        """See how the channel fares: of one that does not work, or is slow, nothing is kept ahead."""
        if not self._speeds.see(ended):
            self._prefetched.withdraw(ended.delivery.channel_id)

    def lack(self, began: float, now: float) -> None:
        """Have fewer in flight than now: an attempt that *began* then had nothing to make a connection of."""
        self._shortage.lower(began, now, in_flight=self.running)

    def lack_less(self) -> bool:
        """Have more in flight again, up to all; return whether it is still less than that."""
        return self._shortage.give_back()

    def works(self, channel: str) -> bool:
        """Whether its last attempt succeeded, and quickly."""
        return channel in self._speeds.healthy

    def is_slow(self, channel: str) -> bool:
        """Whether its last attempt took a good part of the timeout, or all of it."""
        return channel in self._speeds.slow

    def free(self, channel: str, now: float) -> Leased | None:
        """Let go of a slot of *channel*; return what has it now, if anything: it is to start."""
        if not self._fair.is_full and (following := self._prefetched.next_of(channel, now)) is not None:
            self.wants_more |= self._prefetched.are_few and channel in self._more
            return following
        left = self._in_flight.end(channel)
        if (following := self._turn(now)) is not None:  # though none waits any more: what is ahead must go
            self.wants_more |= self._prefetched.are_few
            return following
        self._freed[channel] += 1
        has_more = channel in self._more
        self.wants_more |= has_more and left <= self._more[channel]
        self.wants_more |= (has_more or self._fair.is_full) and self._are_some_free()
        return None

    def let_go(self, channel: str, now: float) -> Leased | None:
        """Let go of a slot whose attempt failed, before that is recorded; return what has it now: another channel's.

        Its own channel may not have one more until then (`recorded`): it may be about to be paused.
        """
        self._in_flight.end_unrecorded(channel)
        if (following := self._turn(now)) is not None:
            self.wants_more |= self._prefetched.are_few
            return following
        self._let_go += 1
        self.wants_more |= self._fair.is_full and self._are_some_free()
        return None

    def recorded(self, channel: str) -> None:
        """Let *channel* have slots again for one that was let go of: its attempt is recorded."""
        self._in_flight.recorded(channel)
        self.wants_more |= channel in self._more

    def stop(self) -> None:
        """Keep nothing ahead: it is all `unsent`."""
        for channel in self._prefetched.channels:
            self._prefetched.withdraw(channel)

    def _turn(self, now: float) -> Leased | None:
        """Give a slot that is free, and not promised, to the channel waiting the longest that may have one more."""
        if not self._fair.has_turn(self._in_flight, self._limits):
            return None
        for channel in self._prefetched.channels:
            if not self._fair.may_have(channel, self._in_flight, self._limits):
                continue
            if (leased := self._prefetched.next_of(channel, now)) is not None:
                self._in_flight.begin(channel)
                self._prefetched.put_last(channel)
                return leased
        return None

    def _are_some_free(self) -> bool:
        return (self._freed.total() + self._let_go) * SOME_OF >= self.running
