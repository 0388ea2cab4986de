"""Whatever is in a batch, each of its records is read as it was sent, or the batch is said to be unreadable."""

import struct

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from consumer.consume.aiokafka_patch.records import UNPACKED_LIMIT, BadBatch, Records, UnreadableBatch
from schemas.reading import RejectReason
from tests.support.batches import CODECS, batch, record

BYTES = st.none() | st.binary(max_size=20)
NAMES = st.binary(max_size=8) | st.sampled_from([b"", b"ce_id", b"caf\xe9", b"\xff\xfe", b"\xed\xa0\x80", b"\\xe9"])
Sent = list[tuple[bytes | None, bytes | None, list[tuple[bytes, bytes | None]]]]
SENT = st.lists(st.tuples(BYTES, BYTES, st.lists(st.tuples(NAMES, BYTES), max_size=4)), min_size=1, max_size=4)
CHECKED = 21  # where that begins which the checksum is about


def read(data: bytes, offset: int = 0) -> list[tuple[object, ...]]:
    """Return key, value and headers of each record, as aiokafka's fetcher hands them on."""
    tp = TopicPartition("usage", 0)
    found = PartitionRecords(tp, Records(data), [], offset, None, None, True, READ_COMMITTED)
    return [(one.offset, one.key, one.value, list(one.headers)) for one in found]


def encoded(sent: Sent) -> list[bytes]:
    return [record(value, *headers, key=key, delta=n) for n, (key, value, headers) in enumerate(sent)]


@given(SENT, SENT, st.sampled_from(sorted(CODECS)), st.integers(0, 5))
def test_every_record_is_read_as_it_was_sent(
    first: Sent,
    second: Sent,
    compression: str,
    start: int,
) -> None:
    start %= len(first)  # Kafka begins with the batch that holds the offset asked for
    data = batch(encoded(first), compression=compression) + batch(encoded(second), offset=len(first))

    found = read(data + b"cut off", start)

    wanted = [
        (n, key, value, [(name.decode(errors="backslashreplace"), text) for name, text in headers])
        for n, (key, value, headers) in enumerate([*first, *second])
    ]
    assert found == wanted[start:]


@given(SENT, st.sampled_from(sorted(CODECS)), st.data())
def test_a_damaged_batch_is_reported_and_ends_the_fetch(
    sent: Sent,
    compression: str,
    data: st.DataObject,
) -> None:
    whole = batch(encoded(sent), offset=7, compression=compression)
    at = data.draw(st.integers(CHECKED, len(whole) - 1))
    damaged = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]

    ((_, _, value, _),) = read(damaged + whole, 7)

    assert isinstance(value, UnreadableBatch)
    assert (value.at, value.why) == (7, "its checksum is wrong")


@given(SENT, st.sampled_from(sorted(CODECS)), st.data())
def test_a_batch_with_a_right_checksum_and_bad_content_is_safe(
    sent: Sent,
    compression: str,
    data: st.DataObject,
) -> None:
    whole = bytearray(batch(encoded(sent), compression=compression))
    at = data.draw(st.integers(61, len(whole) - 1))
    whole[at : at + 2] = data.draw(st.binary(max_size=6))
    struct.pack_into(">i", whole, 8, len(whole) - 12)
    struct.pack_into(">I", whole, 17, calc_crc32c(bytes(whole[CHECKED:])))

    found = read(bytes(whole))

    assert len(found) <= len(sent)
    assert not any(isinstance(value, UnreadableBatch) for _, _, value, _ in found)
    for _, _, value, _ in found:
        if isinstance(value, BadBatch):
            assert value == whole
            assert value.reject.error.isprintable()


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_unpacks_to_32_mib_and_no_more(compression: str) -> None:
    overhead = len(record(bytes(UNPACKED_LIMIT - 100))) - (UNPACKED_LIMIT - 100)
    largest = bytes(UNPACKED_LIMIT - overhead)

    ((_, _, fits, _),) = read(batch([record(largest)], compression=compression))
    ((offset, _, value, _),) = read(batch([record(largest + b"x")], compression=compression, offset=5))

    assert fits == largest
    assert isinstance(value, BadBatch)
    assert (offset, value.reject.reason) == (5, RejectReason.TOO_LARGE)
    assert value.reject.error == "a whole batch, offsets 5 to 5: unpacked, it is no batch of at most 33554432 bytes"
