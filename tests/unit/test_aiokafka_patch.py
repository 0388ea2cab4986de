"""What aiokafka's own classes cannot do yet. Where one fails, aiokafka can: take that part of our patch away."""

import inspect

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

from consumer.consume.aiokafka_patch.records import UNPACKED_LIMIT
from tests.support.batches import batch, record


def read(data: bytes) -> list[ConsumerRecord]:
    tp = TopicPartition("usage", 0)
    return list(PartitionRecords(tp, MemoryRecords(data), [], 0, None, None, True, READ_COMMITTED))


def test_aiokafka_itself_reads_a_good_batch() -> None:
    (found,) = read(batch([record(b"{}", (b"ce_id", b"1"))]))

    assert (found.value, list(found.headers)) == (b"{}", [("ce_id", b"1")])


def test_aiokafka_raises_at_a_damaged_batch_issue_321() -> None:
    damaged = bytearray(batch([record(b"{}")]))
    damaged[-2] ^= 1

    with pytest.raises(CorruptRecordException):
        read(bytes(damaged))


def test_aiokafka_raises_at_a_header_name_that_is_not_utf_8() -> None:
    with pytest.raises(UnicodeDecodeError):
        read(batch([record(b"{}", (b"caf\xe9", b"1"))]))


def test_aiokafka_unpacks_a_batch_without_a_limit() -> None:
    packed = batch([record(bytes(UNPACKED_LIMIT + 1))], compression="zstd")

    (found,) = read(packed)

    assert len(packed) < 100_000
    assert len(found.value) > UNPACKED_LIMIT


def test_aiokafka_bounds_no_poll_in_bytes() -> None:
    of_polls = inspect.signature(AIOKafkaConsumer.getmany).parameters
    of_consumers = inspect.signature(AIOKafkaConsumer.__init__).parameters

    assert of_polls.keys() == {"self", "partitions", "timeout_ms", "max_records"}
    assert {name for name in of_consumers if "bytes" in name} == {
        "fetch_min_bytes",
        "fetch_max_bytes",
        "max_partition_fetch_bytes",
    }
