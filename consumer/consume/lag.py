"""How far behind each partition is, in records and in seconds; what can't be known is absent.

The age of the oldest record not yet taken is exact while its batch is in flight. Before that nothing of it was read:
its time then lies between that of the record before it and the look at which it was not there yet, whichever says more.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import TopicPartition
from msgspec import Struct

from consumer import clock
from consumer.consume.aiokafka_patch.records import UnreadableBatch
from consumer.consume.progress import Batches
from consumer.metrics import Metrics

_MS: Final = 1000


class _Look(Struct, frozen=True):
    """What a look at a partition showed: its end, our progress, and the time of the record there, in Unix seconds."""

    at: float
    end: int
    offset: int
    oldest: float | None


class Lag:
    """Keeps the gauges of lag, and of the newest record, of the partitions that are ours."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._first: dict[TopicPartition, tuple[int, float]] = {}  # of the batch in flight: its offset and time
        self._taken: dict[TopicPartition, float] = {}  # time of the last record taken
        self._looks: dict[TopicPartition, _Look] = {}
        self._newest: dict[str, float] = {}  # by topic

    def begin(self, batches: Batches) -> None:
        """Note the first records of *batches*, which are in flight now."""
        self._first = {
            tp: (records[0].offset, records[0].timestamp / _MS)
            for tp, records in batches.items()
            if records and records[0].timestamp > 0 and not isinstance(records[0].value, UnreadableBatch)
        }

    def taken(self, batches: Batches) -> None:
        """Note that all of *batches* is taken to its effects."""
        now = clock.now().timestamp()
        for tp, records in batches.items():
            if records and records[-1].timestamp > 0:
                at = min(records[-1].timestamp / _MS, now)  # a producer may claim any time
                self._taken[tp] = at
                self._newest[tp.topic] = max(self._newest.get(tp.topic, 0.0), at)
                self._metrics.newest_record(tp.topic, self._newest[tp.topic])

    def measured(self, ends: Mapping[TopicPartition, int], offsets: Mapping[TopicPartition, int]) -> None:
        """Set the lag of each partition of *ends*, by its progress in *offsets*; none where that is not known yet."""
        now = clock.now().timestamp()
        for tp, end in ends.items():
            offset = offsets.get(tp)
            if offset is None:
                self._metrics.lag_unknown(tp.topic, tp.partition)
                continue
            oldest = self._oldest(tp, offset, now) if end > offset else now
            self._looks[tp] = _Look(now, end, offset, oldest)
            seconds = None if oldest is None else max(now - oldest, 0.0)
            self._metrics.lag(tp.topic, tp.partition, max(end - offset, 0), seconds)

    def unknown(self, tps: Iterable[TopicPartition]) -> None:
        """Note that Kafka says nothing of *tps* now."""
        for tp in tps:
            self._metrics.lag_unknown(tp.topic, tp.partition)

    def forget(self, tps: Iterable[TopicPartition]) -> None:
        """Leave *tps* to their next owner."""
        for tp in tps:
            for known in (self._first, self._taken, self._looks):
                known.pop(tp, None)
            self._metrics.lag_unknown(tp.topic, tp.partition)

    def _oldest(self, tp: TopicPartition, offset: int, now: float) -> float | None:
        """Return the time of the record at *offset*, which is not taken; None where nothing is known of it."""
        first, before = self._first.get(tp), self._looks.get(tp)
        if first is not None and first[0] == offset:
            return min(first[1], now)
        if before is not None and before.offset == offset and before.end > offset:
            return before.oldest
        if before is not None and before.end <= offset:
            return before.at  # it was not there yet
        return self._taken.get(tp)
