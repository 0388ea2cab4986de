"""Batches that fail: why, of which partitions, and when they are narrowed down to what is at fault."""

from collections.abc import Collection
from typing import Final

from aiokafka import TopicPartition

from consumer.errors import StoreFailed, Unavailable

NARROW_AFTER: Final = 3  # times in a row that Postgres fails the same batch for an unknown reason


class Failures:
    """Failures in a row. Those of one partition are, whatever is taken of others between two: they may be far behind.

    Attributes:
        count: of them, for an unknown reason.
        why: the last one, for `/readyz`; None where nothing is to be taken again.
    """

    def __init__(self) -> None:
        self._partitions: set[TopicPartition] = set()
        self.count = 0
        self.why: str | None = None

    @property
    def is_narrowed(self) -> bool:
        """Whether what fails next is split, until the record at fault is alone."""
        return self.count >= NARROW_AFTER

    def failed(self, partitions: Collection[TopicPartition], exc: Unavailable) -> None:
        """Note that a batch of *partitions* has failed; it is taken again."""
        self._partitions |= set(partitions)
        self.count = self.count + 1 if isinstance(exc, StoreFailed) else 0
        self.why = f"{exc} ({self.count} times in a row)" if self.count else str(exc)

    def taken(self, partitions: Collection[TopicPartition], *, failed_alone: int) -> None:
        """Note that a batch of *partitions* was taken. Where records of it failed alone, more of them may come."""
        self._partitions -= set(partitions)
        if not self._partitions:
            self.why = None
            self.count = self.count if failed_alone else 0

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Leave *partitions* to their next owner, or what failed in them to the past."""
        self._partitions -= set(partitions)
        if not self._partitions:
            self.why = None
