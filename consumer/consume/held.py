"""Partitions that are held up by a batch that cannot be read: each alone, in its place, until it can be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer import clock, log
from consumer.consume.aiokafka_patch.records import UnreadableBatch
from consumer.consume.batch import KafkaRecord
from consumer.consume.progress import Batches
from consumer.metrics import Metrics

LOOK_AGAIN: Final = 5.0  # seconds: another replica of the partition may have the bytes as they were
logger = log.get("consume")


@dataclass(slots=True)
class Hold:
    """Why a partition is blocked, and until when (monotonic seconds) it is not tried again."""

    why: str
    until: float


class Held:
    """Takes out of polls what cannot be read, and reads it again later. Nothing is passed over: only a person may."""

    def __init__(self, consumer: AIOKafkaConsumer, metrics: Metrics) -> None:
        self._consumer = consumer
        self._metrics = metrics
        self._holds: dict[TopicPartition, Hold] = {}

    def __contains__(self, tp: TopicPartition) -> bool:
        return tp in self._holds

    @property
    def why(self) -> str | None:
        """What is held up, for `/readyz`; None while nothing is."""
        return "; ".join(hold.why for hold in self._holds.values()) or None

    def readable(self, batches: Batches) -> Batches:
        """Return what of *batches* is before anything unreadable; the partitions with such stand still there."""
        readable: dict[TopicPartition, Sequence[KafkaRecord]] = {}
        for tp, records in batches.items():
            broken = next((n for n, one in enumerate(records) if isinstance(one.value, UnreadableBatch)), None)
            if broken is None:
                readable[tp] = records
                self._release([tp])
                continue
            readable[tp] = records[:broken]
            self._hold(tp, records[broken].value, records[broken - 1].offset + 1 if broken else None)
        return readable

    def look_again(self) -> None:
        """Let those be read whose time has come."""
        now = clock.monotonic()
        due = [tp for tp, hold in self._holds.items() if hold.until <= now]
        self._consumer.resume(*(self._consumer.paused() & set(due)))

    def forget(self, tps: Iterable[TopicPartition]) -> None:
        """Leave *tps* to their new owners."""
        for tp in tps:
            self._holds.pop(tp, None)
        self._metrics.held(len(self._holds))

    def _hold(self, tp: TopicPartition, what: UnreadableBatch, offset: int | None) -> None:
        if tp not in self._consumer.assignment():  # it has moved on meanwhile: its new owner sees the same
            return
        self._consumer.seek(tp, what.at if offset is None else offset)
        self._consumer.pause(tp)
        where = {"topic": tp.topic, "partition": tp.partition, "offset": what.at}
        if tp not in self._holds:
            logger.error("partition.held", **where, error=what.why)
        why = f"Kafka: {tp.topic}/{tp.partition}: what is at offset {what.at} cannot be read: {what.why}"
        self._holds[tp] = Hold(why, clock.monotonic() + LOOK_AGAIN)
        self._metrics.held(len(self._holds))

    def _release(self, tps: Sequence[TopicPartition]) -> None:
        for tp in tps:
            if tp in self._holds:
                logger.info("partition.released", topic=tp.topic, partition=tp.partition)
                self.forget([tp])
