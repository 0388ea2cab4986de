"""Whatever a fetch unpacks to, polls of bounded bytes hand out every record once, in order, and stop where they say."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState
from hypothesis import example, given
from hypothesis import strategies as st

from consumer import clock
from consumer.consume import aiokafka_patch
from consumer.consume.aiokafka_patch import polls
from tests.support.batches import CODECS, batch, record

POLL_BYTES = 4_000
FETCHED_BYTES = 3_000
# Of a partition: batches of records with values of so many bytes, which pack well.
PARTITIONS = st.lists(
    st.lists(st.lists(st.integers(0, 3_000), min_size=1, max_size=5), min_size=1, max_size=4), min_size=1, max_size=4
)


class Brokers:
    """Takes the place of aiokafka's client: one broker with all partitions, that answers with some batches of each."""

    _metadata_max_age_ms = 30_000

    def __init__(
        self, partitions: list[list[list[int]]], compression: str, batches_at_once: int, *, most: int = 100
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: 0)
        self._at_once = batches_at_once
        self._most = most  # partitions of one answer
        self.logs: dict[int, list[tuple[int, int, bytes]]] = {}  # from, to, bytes of each batch
        for number, batches in enumerate(partitions):
            self.logs[number], offset = [], 0
            for sizes in batches:
                values = [record(b"%d:" % (offset + n) + b"x" * size, delta=n) for n, size in enumerate(sizes)]
                packed = batch(values, offset=offset, compression=compression)
                self.logs[number].append((offset, offset + len(sizes), packed))
                offset += len(sizes)

    async def send(self, _: int, request: Any) -> Any:
        """Answer a fetch."""
        await clock.sleep(0)
        ((topic, asked),) = request.topics
        found = [(number, 0, 0, 0, [], self._from(number, offset)) for number, offset, _ in asked[: self._most]]
        return SimpleNamespace(API_VERSION=4, topics=[(topic, found)])

    def _from(self, number: int, offset: int) -> bytes:
        found = [packed for _, end, packed in self.logs[number] if end > offset]
        return b"".join(found[: self._at_once])


class Reading:
    """A fetcher that reads all of *brokers* from the start, and what it has polled."""

    def __init__(self, brokers: Brokers, **settings: float) -> None:
        self.brokers = brokers
        self.polled: dict[int, list[bytes]] = {number: [] for number in brokers.logs}
        self.subscription = SubscriptionState()
        self.subscription.assign_from_user({TopicPartition("usage", number) for number in brokers.logs})
        for number in brokers.logs:
            self.subscription.seek(TopicPartition("usage", number), 0)
        self.fetcher = polls.Fetcher(
            brokers, self.subscription, isolation_level="read_committed", auto_offset_reset="none", **settings
        )

    async def poll(self, max_records: int) -> list[Any]:
        """Poll once, and see that what it says of itself is true."""
        found = await self.fetcher.fetched_records((), timeout=5, max_records=max_records)
        for tp, some in found.items():
            assert [one.offset for one in some] == list(range(some[0].offset, some[-1].offset + 1))
            assert self.subscription.subscription.assignment.state_value(tp).position == some[-1].offset + 1
            self.polled[tp.partition] += [one.value for one in some]
        waiting = [one._partition_records for one in self.fetcher._records.values()]  # noqa: SLF001 - it says it nowhere
        begun = [one for one in waiting if not self._is_start(one._tp.partition, one.next_fetch_offset)]  # noqa: SLF001
        assert len(begun) <= 1, "one batch at the most is unpacked, and waits"
        return [one for some in found.values() for one in some]

    def _is_start(self, number: int, offset: int) -> bool:
        return any(offset in (start, end) for start, end, _ in self.brokers.logs[number])


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "POLL_BYTES", POLL_BYTES)
    monkeypatch.setattr(polls, "FETCHED_BYTES", FETCHED_BYTES)
    aiokafka_patch.install()


# Two records that fill a poll to the byte, of which neither has a key, and a third.
@example([[[0, POLL_BYTES - 2 * polls.RECORD_BYTES - 4, 0]]], "gzip", 1, 3)
@given(PARTITIONS, st.sampled_from(sorted(CODECS)), st.integers(1, 3), st.integers(1, 12))
def test_polls_of_bounded_bytes_lose_nothing_and_keep_order(
    partitions: list[list[list[int]]], compression: str, batches_at_once: int, max_records: int
) -> None:
    async def read() -> None:
        reading = Reading(Brokers(partitions, compression, batches_at_once))
        left = sum(len(sizes) for batches in partitions for sizes in batches)
        while left:
            found = await reading.poll(max_records)

            assert 1 <= len(found) <= max_records
            sizes = [polls.RECORD_BYTES + len(one.value) for one in found]
            assert sum(sizes[:-1]) < POLL_BYTES
            left -= len(found)
        await reading.fetcher.close()

        for number, batches in enumerate(partitions):
            offsets = [int(value.partition(b":")[0]) for value in reading.polled[number]]
            assert offsets == list(range(sum(map(len, batches))))

    asyncio.run(read())


async def test_nothing_more_is_fetched_while_enough_is_waiting() -> None:
    brokers = Brokers([[[1_000, 1_000]]] * 10, "none", 1, most=1)
    reading = Reading(brokers, prefetch_backoff=0)  # it fetches for other partitions at once
    fetched = []
    for _ in range(10):
        await reading.poll(1)
        for _ in range(50):  # turns of the loop: a fetch takes two
            await clock.sleep(0)
        fetched.append(sum(one.size_in_bytes for one in reading.fetcher._waiting()))  # noqa: SLF001

    assert max(fetched) < FETCHED_BYTES + 2_200
    assert sum(one.size_in_bytes > 0 for one in reading.fetcher._waiting()) > 0  # noqa: SLF001
    await reading.fetcher.close()


def test_a_record_alone_may_be_larger_than_a_poll() -> None:
    async def read() -> list[int]:
        reading = Reading(Brokers([[[10, 9_000, 10]]], "gzip", 1))
        found = [len(await reading.poll(100)) for _ in range(2)]
        await reading.fetcher.close()
        return found

    assert asyncio.run(read()) == [2, 1]
