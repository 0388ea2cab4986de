"""Batches in hand: one is judged while Postgres writes the one before it. What is owed to Kafka keeps their order."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition

from consumer.consume.held import Batches
from consumer.consume.offsets import Offsets
from consumer.errors import Unavailable

DEPTH: Final = 2  # batches; records that have come wait for less than one of them then, instead of for all of one


@dataclass(frozen=True, slots=True)
class Failed:
    """Batches that are to be read again: why, and from which offsets."""

    why: Unavailable
    offsets: Mapping[TopicPartition, int]


class Hand:
    """Takes batches to their effects, a few at once, and has their offsets committed in the order of reading."""

    def __init__(self, effects: Callable[[Batches], Coroutine[None, None, None]], offsets: Offsets) -> None:
        """Prepare.

        Args:
            effects: takes a batch to its effects; begun in the order of reading.
            offsets: of batches whose effects are durable, and those of all before them.
        """
        self._effects = effects
        self._offsets = offsets
        self._taken: deque[tuple[Batches, asyncio.Task[None]]] = deque()

    async def take(self, batches: Batches) -> None:
        """Begin with *batches*; return when there is room for others, or something has failed."""
        task = asyncio.create_task(self._effects(batches), name="batch")
        self._taken.append((batches, task))
        task.add_done_callback(lambda _: self._let_go())
        while len(self._taken) >= DEPTH and not (first := self._taken[0][1]).done():
            await asyncio.wait({first})

    async def ended(self) -> None:
        """Return when none is being worked on; what has failed is still in hand."""
        if self._taken:
            await asyncio.wait({task for _, task in self._taken})
        self._let_go()

    async def failed(self) -> Failed | None:
        """Return what has failed, if anything has, once; with it all that was read after it.

        Raises:
            Refused: Kafka or Postgres answers, and it will not work like this.
        """
        self._let_go()
        if not self._taken or not self._taken[0][1].done():
            return None
        await self.ended()
        taken, self._taken = self._taken, deque()
        offsets: dict[TopicPartition, int] = {}
        for batches, task in taken:
            task.exception()  # of all but the first it comes again, with the records
            for tp, records in batches.items():
                if records:
                    offsets.setdefault(tp, records[0].offset)
        try:
            taken[0][1].result()
        except Unavailable as exc:
            return Failed(exc, offsets)
        raise AssertionError("what has not failed is let go")

    def stop(self) -> None:
        """Give up what is in hand."""
        for _, task in self._taken:
            task.cancel()

    def _let_go(self) -> None:
        """Owe the offsets of what has ended well, up to the first that has not."""
        while self._taken and _has_ended_well(self._taken[0][1]):
            batches, _ = self._taken.popleft()
            self._offsets.owe({tp: records[-1].offset + 1 for tp, records in batches.items() if records})


def _has_ended_well(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
