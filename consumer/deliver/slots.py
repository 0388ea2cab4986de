"""Who may start how many requests now. Pure: the fairness of the dispatcher, in one place."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from consumer.store.deliveries import DueChannel

SLOW_SHARE = 4  # slow channels share one slot in four: 63 black holes of 8 must not fill 500
NAMESPACE_SHARE = 2  # one namespace has at most one slot in two while another has something due
NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests in flight: of the process, and of one channel in it."""

    total: int
    channel: int


def namespace_share(due: Sequence[DueChannel], limits: Limits) -> int:
    """Return how many slots one namespace may have: all, or half while another one has something due."""
    return limits.total if len({channel.namespace for channel in due}) <= 1 else -(-limits.total // NAMESPACE_SHARE)


def allot(
    due: Sequence[DueChannel],
    in_flight: Mapping[str, int],
    slow: Collection[str],
    limits: Limits,
    namespaces: Mapping[str, str],
    recording: Mapping[str, int] = NOTHING,
) -> dict[str, int]:
    """Return how many deliveries of each channel of *due* may be claimed and started at once.

    One slot a turn for each channel, in the order of *due* (shuffle it), so that the room is shared evenly; never more
    than can start now.

    Args:
        due: channels with something due now.
        in_flight: requests in flight, by channel.
        slow: channels whose last attempt took a good part of the timeout, or all of it.
        limits: of the process and of a channel.
        namespaces: of the channels in flight.
        recording: attempts that failed and are not recorded yet, by channel: they count against their channel alone.
    """
    used = Counter(in_flight)
    of_slow = sum(count for busy, count in used.items() if busy in slow)
    of_namespace: Counter[str] = Counter()
    for busy, count in used.items():
        of_namespace[namespaces.get(busy, "")] += count
    room = limits.total - used.total()
    most = namespace_share(due, limits)
    given: Counter[str] = Counter()
    waiting = list(due)
    while waiting and room > 0:
        still: list[DueChannel] = []
        for channel in waiting:
            is_slow = channel.id in slow
            if (
                room <= 0
                or used[channel.id] + recording.get(channel.id, 0) >= (channel.concurrency or limits.channel)
                or (channel.most is not None and given[channel.id] >= channel.most)
                or (is_slow and of_slow >= max(limits.total // SLOW_SHARE, 1))
                or of_namespace[channel.namespace] >= most
            ):
                continue
            given[channel.id] += 1
            used[channel.id] += 1
            of_slow += is_slow
            of_namespace[channel.namespace] += 1
            room -= 1
            still.append(channel)
        waiting = still
    return dict(given)
