"""What this process has claimed: in flight, or ahead of a slot. No await and no clock, like `slots`.

Ahead are deliveries of channels that work and have more due than slots. When an attempt ends, its slot is the next
one's at once: it does not stand empty for a look, a claim, and whatever else the loop has to do before them. The next
one is of the same channel; where more channels have something due than there are slots, of whoever's turn it is.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from msgspec import Struct

from consumer.decide.outcome import OutcomeClass
from consumer.deliver.slots import NAMESPACE_SHARE, Limits, allot, namespace_share
from consumer.store.deliveries import Claimed, DueChannel, Ended
from consumer.store.outbox import Slots

SLOW_PART: Final = 0.5  # of the timeout; an attempt that takes that long makes its channel a slow one
AHEAD_SECONDS: Final = 1.0  # what is older is handed back: its channel may have been changed, paused or disabled
QUICK_MS: Final = AHEAD_SECONDS * 1000 / 2  # who takes longer than that would let it grow old
SOME_OF: Final = 16  # of so many in flight one that is free is worth a claim: at most 6 % of the slots wait for it


class Leased(Struct, frozen=True):
    """A claimed delivery, and when it was asked for (monotonic): its lease began then at the earliest."""

    delivery: Claimed
    asked_at: float


class Allotted(Struct, frozen=True):
    """How many may be claimed of each channel: to start at once, and ahead of a slot."""

    now: Mapping[str, int]
    ahead: Mapping[str, int]

    @property
    def slots(self) -> dict[str, int]:
        """Both."""
        return dict(Counter(self.now) + Counter(self.ahead))


class Taken:
    """Who has which slot, and who is next.

    Attributes:
        unsent: claimed and not to be sent: to be handed back, and then cleared.
        wants_more: a claim is worth its while: set when slots are free, or little is left ahead, of who has more due.
    """

    def __init__(self, limits: Limits, *, timeout_seconds: float) -> None:
        self.unsent: list[Claimed] = []
        self.wants_more = False
        self._limits = limits
        self._most_total = limits.total  # lowered while we are short of what a connection takes
        self._slow_ms = timeout_seconds * 1000 * SLOW_PART
        self._in_flight: Counter[str] = Counter()
        self._recording: Counter[str] = Counter()  # failed: they hold their channel's slots until they are recorded
        self._of_namespace: Counter[str] = Counter()  # in flight
        self._ahead: defaultdict[str, deque[Leased]] = defaultdict(deque)
        self._namespaces: dict[str, str] = {}
        self._most: dict[str, int] = {}  # in flight, of each channel with something due
        self._most_of_namespace = limits.total
        self._slow: set[str] = set()
        self._well: set[str] = set()
        self._more: dict[str, int] = {}  # of who has more due: so few in flight are too few
        self._is_full = False  # channels wait for slots
        self._promised: Counter[str] = Counter()  # slots that get free, to who may have nothing ahead
        self._claiming: Counter[str] = Counter()  # slots of the claim under way
        self._claiming_of_namespace: Counter[str] = Counter()
        self._freed: Counter[str] = Counter()  # since the last allotment
        self._let_go = 0  # since then, of channels that must not have them again yet
        self._running = 0  # in flight, of all channels
        self._left = self._few = 0  # ahead, of all channels; and when that is little

    def allot(self, due: Sequence[DueChannel]) -> Allotted:
        """Return how many deliveries of each channel of *due* may be claimed."""
        self._most = most = {channel.id: channel.concurrency or self._limits.channel for channel in due}
        known = {id_: name for id_, name in self._namespaces.items() if id_ in self._in_flight or id_ in self._ahead}
        self._namespaces = known | {channel.id: channel.namespace for channel in due}
        self._most_of_namespace = namespace_share(due, self._limits)
        # Who was promised a slot is first at those that are free, and last at the turns after them.
        due = sorted(due, key=lambda channel: channel.id in self._promised)
        now = allot(due[::-1], self._in_flight, self._slow, self._limits, self._namespaces, self._recording)
        self._is_full = any(id_ not in now and self._of_channel(id_) < most[id_] for id_ in most)
        self._well.intersection_update(most)
        works = {channel.id for channel in due if channel.id in self._well and channel.most is None}
        waiting = Counter({channel: len(leased) for channel, leased in self._ahead.items()})
        self._promised.clear()
        if self._is_full:
            ahead = self._turns(due, works, waiting + Counter(now))
        else:
            of_works = [channel for channel in due if channel.id in works]
            ahead = allot(of_works, waiting, (), self._limits, self._namespaces)
        self._more = {id_: count // 2 for id_, count in most.items()}
        self._claiming = Counter(now)
        self._claiming_of_namespace = Counter()
        for id_, count in now.items():
            self._claiming_of_namespace[self._namespaces[id_]] += count
        self._freed.clear()
        self._let_go = 0
        self.wants_more = False
        return Allotted(now, ahead)

    def take(self, claimed: Sequence[Claimed], asked_at: float, allotted: Allotted) -> list[Leased]:
        """Take what was *claimed* for *allotted*; return what is to start now. The rest is ahead."""
        asked, given = allotted.slots, Counter(one.channel_id for one in claimed)
        self._claiming.clear()
        self._claiming_of_namespace.clear()
        self._more = {id_: few for id_, few in self._more.items() if given[id_] == asked.get(id_, 0)}
        room = Counter(allotted.now)
        if not self._is_full:  # else what gets free meanwhile is not the same channel's
            room += self._freed
        starting: list[Leased] = []
        for one in claimed:
            if room[one.channel_id] > 0:
                room[one.channel_id] -= 1
                self._begin(one.channel_id)
                starting.append(Leased(one, asked_at))
            elif one.channel_id in self._well:
                self._ahead[one.channel_id].append(Leased(one, asked_at))
                self._left += 1
            else:  # it has failed meanwhile
                self.unsent.append(one)
        while (leased := self._turn(asked_at)) is not None:
            starting.append(leased)
        self._few = self._left // 2
        return starting

    def keep(self, wanted: Mapping[tuple[str, str], int]) -> dict[str, Slots]:
        """Keep slots for deliveries that are about to be made, by namespace and channel, as if they were in flight.

        Only while half of all slots are free: then it is nobody else's share, whoever has something due meanwhile.
        None for a slow channel, which has its share; nor for one with deliveries ahead, which are first.
        """
        half = 0 if self._is_full else self._limits.total // NAMESPACE_SHARE
        room = half - self._running - self._claiming.total()
        kept: dict[str, Slots] = {}
        for (namespace, channel), count in wanted.items():
            in_flight = self._of_channel(channel) + self._claiming[channel]
            free = min(count, self._limits.channel - in_flight, room)
            if free <= 0 or channel in self._slow or channel in self._ahead:
                continue
            self._namespaces[channel] = namespace
            for _ in range(free):
                self._begin(channel)
            self._freed[channel] = max(self._freed[channel] - free, 0)
            room -= free
            kept[channel] = Slots(free, in_flight)
        return kept

    def see(self, ended: Ended) -> None:
        """See how the channel fares: of one that does not work, or is slow, nothing is kept ahead.

        Slow by more than the class: who answers at once and never ends its body, or just in time, holds a slot as long.
        """
        channel, outcome = ended.delivery.channel_id, ended.outcome
        is_slow = outcome.kind is OutcomeClass.TIMEOUT or outcome.duration_ms >= self._slow_ms
        if is_slow:
            self._slow.add(channel)
        else:
            self._slow.discard(channel)
        if outcome.is_success and not is_slow and outcome.duration_ms <= QUICK_MS:  # a timeout may be short
            self._well.add(channel)
        else:
            self._well.discard(channel)
            self._withdraw(channel)

    def lack(self) -> None:
        """Have fewer in flight than now: there is nothing left to make another connection of."""
        self._limits = replace(self._limits, total=max(self._running // 2, 1))

    def lack_less(self) -> bool:
        """Have more in flight again, up to all; return whether it is still less than that."""
        self._limits = replace(self._limits, total=min(self._limits.total * 2, self._most_total))
        return self._limits.total < self._most_total

    def works(self, channel: str) -> bool:
        """Whether its last attempt succeeded, and quickly."""
        return channel in self._well

    def is_slow(self, channel: str) -> bool:
        """Whether its last attempt took a good part of the timeout, or all of it."""
        return channel in self._slow

    def free(self, channel: str, now: float) -> Leased | None:
        """Let go of a slot of *channel*; return what has it now, if anything: it is to start."""
        if not self._is_full and (following := self._following(channel, now)) is not None:
            self.wants_more |= self._left <= self._few and channel in self._more
            return following
        left = self._end(channel)
        if (following := self._turn(now)) is not None:  # though none waits any more: what is ahead must go
            self.wants_more |= self._left <= self._few
            return following
        self._freed[channel] += 1
        has_more = channel in self._more
        self.wants_more |= has_more and left <= self._more[channel]
        self.wants_more |= (has_more or self._is_full) and self._are_some_free()
        return None

    def let_go(self, channel: str, now: float) -> Leased | None:
        """Let go of a slot whose attempt failed, before that is recorded; return what has it now: another channel's.

        Its own channel may not have one more until then (`recorded`): it may be about to be paused.
        """
        self._end(channel)
        self._recording[channel] += 1
        if (following := self._turn(now)) is not None:
            self.wants_more |= self._left <= self._few
            return following
        self._let_go += 1
        self.wants_more |= self._is_full and self._are_some_free()
        return None

    def recorded(self, channel: str) -> None:
        """Let *channel* have slots again for one that was let go of: its attempt is recorded."""
        self._recording[channel] -= 1
        if not self._recording[channel]:
            del self._recording[channel]
        self.wants_more |= channel in self._more

    def stop(self) -> None:
        """Keep nothing ahead: it is all `unsent`."""
        for channel in list(self._ahead):
            self._withdraw(channel)

    def _turns(self, due: Sequence[DueChannel], works: AbstractSet[str], taken: Counter[str]) -> dict[str, int]:
        """Return who of *due* is ahead for the slots that get free next, as if there were twice as many.

        Who does not work may not be ahead, but has its turns: so many slots are left free, and it is first at them.
        """
        twice = replace(self._limits, total=2 * self._limits.total)
        turns = allot(due, self._in_flight + taken, self._slow, twice, self._namespaces, self._recording)
        ahead = {id_: count for id_, count in turns.items() if id_ in works}
        self._promised = Counter(turns) - Counter(ahead)
        return ahead

    def _turn(self, now: float) -> Leased | None:
        """Give a slot that is free, and not promised, to whoever is ahead the longest and may have one more."""
        if self._limits.total - self._running <= self._promised.total():
            return None
        for channel in list(self._ahead):
            if self._of_channel(channel) + self._claiming[channel] >= self._most.get(channel, self._limits.channel):
                continue
            namespace = self._namespaces[channel]
            if self._of_namespace[namespace] + self._claiming_of_namespace[namespace] >= self._most_of_namespace:
                continue
            if (leased := self._following(channel, now)) is not None:
                self._begin(channel)
                if channel in self._ahead:
                    self._ahead[channel] = self._ahead.pop(channel)
                return leased
        return None

    def _of_channel(self, channel: str) -> int:
        """Return how many of its slots are taken."""
        return self._in_flight[channel] + self._recording[channel]

    def _are_some_free(self) -> bool:
        return (self._freed.total() + self._let_go) * SOME_OF >= self._running

    def _begin(self, channel: str) -> None:
        self._in_flight[channel] += 1
        self._of_namespace[self._namespaces[channel]] += 1
        self._running += 1

    def _end(self, channel: str) -> int:
        """Count one less in flight; return how many are left of *channel*."""
        self._in_flight[channel] -= 1
        self._of_namespace[self._namespaces[channel]] -= 1
        self._running -= 1
        if not (left := self._in_flight[channel]):
            del self._in_flight[channel]
        return left

    def _following(self, channel: str, now: float) -> Leased | None:
        ahead = self._ahead.get(channel)
        while ahead:
            leased = ahead.popleft()
            self._left -= 1
            if now - leased.asked_at <= AHEAD_SECONDS:
                return leased
            self.unsent.append(leased.delivery)
        self._ahead.pop(channel, None)
        return None

    def _withdraw(self, channel: str) -> None:
        ahead = self._ahead.pop(channel, ())
        self._left -= len(ahead)
        self.unsent.extend(leased.delivery for leased in ahead)
