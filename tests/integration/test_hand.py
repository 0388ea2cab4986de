"""Two batches in hand: whichever ends first, their offsets are committed in the order of reading; on a real Kafka."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.consume import offsets
from consumer.consume.hand import Hand
from consumer.consume.held import Batches
from consumer.consume.offsets import Offsets
from consumer.errors import SourceUnavailable, StoreUnavailable
from consumer.servers.contracts import Broker
from tests.conftest import MakeTopic, Produce


class Work:
    """Effects that end when the test says so, by the offset of a batch's first record."""

    def __init__(self) -> None:
        self._begun: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._ends: dict[int, asyncio.Future[None]] = {}

    async def __call__(self, batches: Batches) -> None:
        (records,) = batches.values()
        at = records[0].offset
        self._ends[at] = asyncio.get_running_loop().create_future()
        self._begun[at].set()
        await self._ends[at]

    async def end(self, at: int, why: Exception | None = None) -> None:
        """Let the batch from offset *at* end, once it has begun."""
        await self._begun[at].wait()
        if why is None:
            self._ends[at].set_result(None)
        else:
            self._ends[at].set_exception(why)


@asynccontextmanager
async def three_batches(
    kafka: Broker, make_topic: MakeTopic, produce: Produce
) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition, list[Batches]]]:
    """Give a consumer that has read six records of a partition, two by two."""
    await produce(topic := await make_topic(1), *[b"%d" % n for n in range(6)], partition=0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, group_id=topic, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    async with consumer:
        consumer.assign([tp := TopicPartition(topic, 0)])
        yield consumer, tp, [await consumer.getmany(timeout_ms=10_000, max_records=2) for _ in range(3)]


async def test_what_was_read_later_and_is_written_first_is_committed_with_what_was_read_before(
    kafka: Broker, make_topic: MakeTopic, produce: Produce
) -> None:
    async with three_batches(kafka, make_topic, produce) as (consumer, tp, (first, second, third)):
        hand = Hand(work := Work(), owing := Offsets(consumer))

        await hand.take(first)
        taking = asyncio.create_task(hand.take(second))
        await work.end(2)
        await asyncio.wait({taking}, timeout=0.1)
        is_full = not taking.done()
        await owing.ended()
        early = await consumer.committed(tp)
        await work.end(0)
        await taking
        await hand.take(third)
        await work.end(4)
        await hand.ended()
        await owing.ended()

        assert is_full
        assert early is None
        assert (await consumer.committed(tp), await hand.failed()) == (6, None)


async def test_what_has_failed_is_read_again_and_all_that_was_read_after_it(
    kafka: Broker, make_topic: MakeTopic, produce: Produce
) -> None:
    async with three_batches(kafka, make_topic, produce) as (consumer, tp, (first, second, third)):
        hand = Hand(work := Work(), owing := Offsets(consumer))
        await hand.take(first)
        await work.end(0)
        await hand.ended()

        taking = asyncio.gather(hand.take(second), hand.take(third))
        await work.end(4, StoreUnavailable("away too"))
        await work.end(2, away := StoreUnavailable("away"))
        await taking
        failed = await hand.failed()
        await owing.ended()

        assert failed is not None
        assert (failed.why, failed.offsets) == (away, {tp: 2})
        assert await consumer.committed(tp) == 2
        assert await hand.failed() is None


async def test_a_commit_that_failed_is_told_though_more_is_owed_since_and_all_of_it_goes_with_the_next(
    kafka: Broker, make_topic: MakeTopic, produce: Produce, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with three_batches(kafka, make_topic, produce) as (consumer, tp, _):
        owing = Offsets(consumer)
        with monkeypatch.context() as patch:
            patch.setattr(offsets, "COMMIT_TIMEOUT", 0)
            owing.owe({tp: 2})
            await owing.ended()
        owing.owe({tp: 4})
        await owing.ended()
        failure, again = owing.failure(), owing.failure()

        owing.owe({})
        await owing.ended()

        assert isinstance(failure, SourceUnavailable)
        assert again is None
        assert (owing.failure(), await consumer.committed(tp)) == (None, 4)
