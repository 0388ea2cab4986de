"""How far each assigned partition is: what may be committed, and what lag is counted from.

Progress is the first offset polled and not yet safe, else the consumer's position. The position steps over what makes
no record (transaction markers, aborted records, gaps that compaction leaves), so it is not a count of records.
"""

from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer import clock
from consumer.consume.aiokafka_patch.records import AFTER_ALL, UnreadableBatch
from consumer.consume.batch import KafkaRecord
from consumer.consume.kafka import positions

Batches = Mapping[TopicPartition, Sequence[KafkaRecord]]


class Progress:
    """Progress of the assigned partitions.

    It is looked at between two polls alone: within one, a position may be beyond records that were not handed out yet.

    Attributes:
        offsets: as last looked at; none of a partition whose position is not known yet.
        moved_at: when that changed last, monotonic seconds.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._unsafe: dict[TopicPartition, int] = {}  # of the batch in flight: its first offsets
        self.offsets: dict[TopicPartition, int] = {}
        self.moved_at: dict[TopicPartition, float] = {}

    @property
    def is_batch_in_flight(self) -> bool:
        """Whether a batch is: positions do not move then, since nothing is polled."""
        return bool(self._unsafe)

    def begin(self, batches: Batches) -> None:
        """Note that *batches*, just polled, are in flight: their effects are not durable yet."""
        self._unsafe = first_offsets(batches)

    def end(self) -> dict[TopicPartition, int]:
        """Note that none is in flight; return the first offsets of the one that was, of partitions still assigned."""
        unsafe, self._unsafe = self._unsafe, {}
        return unsafe

    def look(self) -> Mapping[TopicPartition, int]:
        """Return the progress of each partition, as it is now."""
        now = clock.monotonic()
        found = {tp: at for tp, at in (positions(self._consumer) | self._unsafe).items() if at < AFTER_ALL}
        for tp, offset in found.items():
            if self.offsets.get(tp) != offset:
                self.moved_at[tp] = now
        self.offsets = found
        return found

    def forget(self, revoked: Iterable[TopicPartition]) -> None:
        """Leave *revoked* to their next owner."""
        for tp in revoked:
            for known in (self._unsafe, self.offsets, self.moved_at):
                known.pop(tp, None)


def first_offsets(batches: Batches) -> dict[TopicPartition, int]:
    """Return where each partition's records begin; a batch that cannot be read begins at its own first offset."""
    return {
        tp: records[0].value.at if isinstance(records[0].value, UnreadableBatch) else records[0].offset
        for tp, records in batches.items()
        if records
    }
