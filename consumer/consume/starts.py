"""Where a partition begins that has no committed offset.

A topic new to the group begins where TOLLBELL_KAFKA_START says, resolved once for the partitions it then has and
remembered in Postgres, so that all replicas agree. A partition added later, or one whose offset was lost, begins at its
earliest record: rather judged again, which is harmless, than lost.
"""

import asyncio
from collections.abc import Iterable
from typing import Literal

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer import log
from consumer.consume.kafka import COMMIT_TIMEOUT, COMMITTED_TIMEOUT, translated
from consumer.metrics import Metrics
from consumer.store import offsets
from consumer.store.database import Database
from consumer.store.offsets import StartOffset

Start = Literal["earliest", "latest"]
logger = log.get("consume")


class Starts:
    """Resolves starts for one group."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        database: Database,
        metrics: Metrics,
        *,
        group_id: str,
        start: Start,
    ) -> None:
        self._consumer = consumer
        self._database = database
        self._metrics = metrics
        self._group_id = group_id
        self._start = start

    async def resolve(self, topics: dict[str, list[int]]) -> None:
        """Remember where each topic that is new to the group begins.

        Raises:
            SourceUnavailable, StoreUnavailable: nothing is remembered of the topic at hand; call again.
        """
        for topic, partitions in topics.items():
            if await offsets.known(self._database, self._group_id, topic):
                continue
            tps = [TopicPartition(topic, partition) for partition in partitions]
            with translated("resolving where to start"):
                async with asyncio.timeout(COMMITTED_TIMEOUT):
                    committed = {tp: await self._consumer.committed(tp) for tp in tps}
                    earliest = await self._consumer.beginning_offsets(tps)
                    latest = await self._consumer.end_offsets(tps)
            # With an offset of any partition the topic is not new; its others begin at their earliest.
            is_new = all(offset is None for offset in committed.values())
            begin = latest if is_new and self._start == "latest" else earliest
            await offsets.remember(
                self._database,
                self._group_id,
                topic,
                [StartOffset(tp.partition, _first(committed[tp], begin[tp]), committed[tp] is not None) for tp in tps],
            )
            logger.info("topic.start_resolved", topic=topic, partitions=len(tps), start=self._start, is_new=is_new)

    async def begin(self, tps: Iterable[TopicPartition]) -> None:
        """Move each of *tps*, assigned and without a usable offset, to where it begins; commit that.

        Raises:
            SourceUnavailable, StoreUnavailable: call again; a partition not yet moved asks again by itself.
        """
        for tp in tps:
            known = (await offsets.known(self._database, self._group_id, tp.topic)).get(tp.partition)
            with translated("moving a partition to its start"):
                if known is None or known.committed:
                    offset = (await self._consumer.beginning_offsets([tp]))[tp]
                    self._metrics.offset_lost()
                    logger.warning(
                        "partition.begun_at_earliest",
                        topic=tp.topic,
                        partition=tp.partition,
                        offset=offset,
                        why="new" if known is None else "offset_lost",
                    )
                else:
                    offset = known.offset
                if tp not in self._consumer.assignment():
                    continue
                self._consumer.seek(tp, offset)
                async with asyncio.timeout(COMMIT_TIMEOUT):
                    await self._consumer.commit({tp: offset})
            begun = [StartOffset(tp.partition, offset, committed=True)]
            await offsets.remember(self._database, self._group_id, tp.topic, begun)


def _first(committed: int | None, begin: int) -> int:
    return begin if committed is None else committed
