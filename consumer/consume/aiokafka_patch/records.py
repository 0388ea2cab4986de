r"""Kafka's batches, read so that no record, from any producer, stops the others.

aiokafka 0.14 raises where it cannot read a record. Such an exception does not say which partition it is about, drops
what the same poll has already taken of other partitions, and comes again with every poll. So nothing is raised here:

* A header name that is not UTF-8 is read with its bytes escaped (`caf\xe9`). Any producer may send one, the broker
  takes it, every other client reads it, and the record around it may be a good one.
* A batch that is as it was produced, and holds no records for us (a few kilobytes that unpack to gigabytes), becomes
  one record whose value is a `BadBatch`: a dead letter. So what is packed is unpacked here, once, up to a limit.
* A batch that is not as it was produced (its checksum is wrong), or whose codec we do not know, becomes one record
  whose value is an `UnreadableBatch`: it holds up its own partition, in its own place, since elsewhere or later it may
  be read.
"""

import mmap
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

import cramjam
from aiokafka import codec
from aiokafka.errors import KafkaError, UnsupportedCodecError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint_py as decode_varint  # the compiled one reads past the end

from schemas.parse import Reject
from schemas.reading import RejectReason

Headers: TypeAlias = list[tuple[str, bytes | None]]
UNPACKED_LIMIT: Final = 32 * 1024 * 1024  # bytes of a batch: producers' own limit is 1 MiB, before they compress it
AFTER_ALL: Final = 2**62  # an offset that no record has, so that what stands for a batch is never taken for read
_HEAD: Final = struct.Struct(">qiibIhiqqqhii")  # of a batch, https://kafka.apache.org/documentation/#recordbatch
_MAGIC: Final = 16  # where the version is, in every one
_HAS_HEADERS: Final = 2  # the version
_FOLLOWS: Final = 12  # the length, in bytes 8 to 12, counts what follows it
_CODEC: Final = 0b111
_ATTRIBUTES: Final = 22  # the byte of them that has the codec
_IS_BROKERS_TIME: Final = 0b1000
_GZIP, _SNAPPY, _LZ4, _ZSTD = range(1, 5)
# Not aiokafka's own gzip, which is Python's: 320 ms for 30 MB, in which nothing else runs; this one takes 80.
_CODECS: Final[dict[int, Any]] = {_GZIP: cramjam.gzip, _LZ4: cramjam.lz4, _ZSTD: cramjam.zstd}
_MOST: Final = {0: 1, _GZIP: 1032, _SNAPPY: 22, _LZ4: 255, _ZSTD: 2**15}  # what a byte may unpack to, by each's format
_XERIAL: Final = bytes((0x82, *b"SNAPPY\0"))  # how Java writes snappy: 16 bytes of head, then blocks with their lengths
# What aiokafka, and what is below it, raises at bytes that are no batch.
_BROKEN: Final = (
    KafkaError,
    ValueError,
    IndexError,
    EOFError,
    OSError,
    struct.error,
    zlib.error,
    cramjam.DecompressionError,
)


class UnreadableBatch(bytes):
    """The value of what stands for a batch that cannot be read.

    Attributes:
        at: the batch's first offset.
        why: for a person.
    """

    at: int
    why: str


class BadBatch(bytes):
    """The value of what stands for a batch that holds no records for us: its bytes.

    Attributes:
        reject: why.
    """

    reject: Reject


class Record(NamedTuple):
    """A record, with what aiokafka's fetcher asks of one."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    checksum: None = None


class Records:
    """What a fetch brought of one partition; takes the place of aiokafka's class of that duty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._is_broken = False
        self._strict = MemoryRecords(data)

    def size_in_bytes(self) -> int:
        """Return how much was fetched; the last batch may be cut off."""
        return len(self._data)

    def has_next(self) -> bool:
        """Return whether there is a whole batch left, and none before it was broken."""
        return not self._is_broken and bool(self._strict.has_next())

    def next_batch(self) -> Any:
        """Return the next batch: a `Batch`, or `Broken`, or aiokafka's own for a format that is older than headers."""
        start = self._at
        self._at += _FOLLOWS + int.from_bytes(self._data[start + 8 : start + _FOLLOWS], "big")
        data = self._data[start : self._at]
        try:
            strict: Any = self._strict.next_batch()
            if strict.validate_crc():
                return Batch(strict, data) if data[_MAGIC] >= _HAS_HEADERS else strict
            why = "its checksum is wrong"
        except _BROKEN as exc:
            why = _line(exc)
        self._is_broken = True
        return Broken(_unreadable(data, why))


class Batch:
    """A batch whose checksum is right: aiokafka's own, and the same bytes for where that one fails."""

    def __init__(self, strict: Any, data: bytes) -> None:
        self._strict = strict
        self._data = data

    def __getattr__(self, name: str) -> object:
        """Return what aiokafka's fetcher asks of its own class: offsets, transactions, control."""
        return getattr(self._strict, name)

    def validate_crc(self) -> bool:
        """Return True: it was validated."""
        return True

    def __next__(self) -> Any:
        return next(self._strict)  # the fetcher asks a control batch for its one record

    def __iter__(self) -> Iterator[Any]:
        read, unpacked = 0, None
        try:
            if (unpacked := _unpacked(self._data)) is None:
                yield _bad(
                    self._data, RejectReason.TOO_LARGE, f"unpacked, it is no batch of at most {UNPACKED_LIMIT} bytes"
                )
                return
            for record in self._strict if unpacked is self._data else type(self._strict)(unpacked):
                yield record
                read += 1
        except UnicodeDecodeError:
            yield from self._tolerantly(unpacked or self._data, read)
        except UnsupportedCodecError as exc:
            yield _unreadable(self._data, _line(exc))
        except _BROKEN as exc:
            yield _bad(self._data, RejectReason.NOT_RECORDS, _line(exc))

    def _tolerantly(self, unpacked: bytes | memoryview, read: int) -> Iterator[Record]:
        try:
            records = list(_records(unpacked))
        except _BROKEN as exc:
            yield _bad(self._data, RejectReason.NOT_RECORDS, _line(exc))
        else:
            yield from records[read:]


class Broken:
    """What stands for a batch that is none: nothing that it says of itself can be believed."""

    producer_id: Final = None
    is_control_batch: Final = False
    next_offset: Final = AFTER_ALL + 1

    def __init__(self, record: Record) -> None:
        self._record = record

    def validate_crc(self) -> bool:
        """Return True: what is wrong is said by its record."""
        return True

    def __iter__(self) -> Iterator[Record]:
        yield self._record


def _unreadable(data: bytes, why: str) -> Record:
    value = UnreadableBatch()
    value.at, value.why = int.from_bytes(data[:8], "big"), why
    return Record(AFTER_ALL, 0, 0, None, value, [])


def _bad(data: bytes, reason: RejectReason, why: str) -> Record:
    first, _, _, _, _, _, last, time, *_ = _HEAD.unpack_from(data)
    value = BadBatch(data)
    value.reject = Reject(reason, f"a whole batch, offsets {first} to {first + last}: {why}")
    return Record(first + last, time, 0, None, value, [])  # its last offset: we may have begun inside it


def _unpacked(data: bytes) -> bytes | memoryview | None:
    """Return a batch as it would be without compression: the same bytes where there is none.

    None where that is more than the limit, or nothing; takes no more memory than that.
    """
    head, body = data[: _HEAD.size], data[_HEAD.size :]
    used = head[_ATTRIBUTES] & _CODEC
    plain = bytes((*head[:_ATTRIBUTES], head[_ATTRIBUTES] & ~_CODEC, *head[_ATTRIBUTES + 1 :]))
    if used == _SNAPPY:
        return None if _unsnapped(body) > UNPACKED_LIMIT else plain + codec.snappy_decode(body)
    if used not in _CODECS:
        return data
    if len(body) * _MOST[used] <= UNPACKED_LIMIT:
        return plain + bytes(_CODECS[used].decompress(body))
    room = memoryview(mmap.mmap(-1, len(plain) + UNPACKED_LIMIT))  # pages not written to take neither time nor memory
    room[: len(plain)] = plain
    try:
        return room[: len(plain) + _CODECS[used].decompress_into(body, room[len(plain) :])]
    except cramjam.DecompressionError:
        return None


def _unsnapped(body: bytes) -> int:
    if not body.startswith(_XERIAL):
        return int(cramjam.snappy.decompress_raw_len(body))
    size, at = 0, 16
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        size += cramjam.snappy.decompress_raw_len(body[at + 4 : at + 4 + length])
        at += 4 + length
    return size


def _line(exc: Exception) -> str:
    text = str(exc).partition("\n")[0]
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _records(data: bytes | memoryview) -> Iterator[Record]:
    """Return the records of a batch of version 2, the only one that has headers, unpacked."""
    offset, _, _, _, _, attributes, _, first_time, latest_time, _, _, _, count = _HEAD.unpack_from(data)
    body = bytearray(data[_HEAD.size :])
    is_brokers = int(bool(attributes & _IS_BROKERS_TIME))
    at = 0
    for _ in range(count):
        length, begin = decode_varint(body, at)
        after, at = decode_varint(body, begin + 1)  # past the record's own attributes, which mean nothing yet
        delta, at = decode_varint(body, at)
        key, at = _bytes(body, at)
        value, at = _bytes(body, at)
        headers, at = _headers(body, at)
        if at != begin + length:
            raise ValueError(f"a record of {length} bytes has {at - begin}")
        time = latest_time if is_brokers else first_time + after
        yield Record(offset + delta, time, is_brokers, key, value, headers)


def _headers(body: bytearray, at: int) -> tuple[Headers, int]:
    count, at = decode_varint(body, at)
    headers: Headers = []
    for _ in range(count):
        name, at = _bytes(body, at)
        value, at = _bytes(body, at)
        headers.append(((name or b"").decode(errors="backslashreplace"), value))
    return headers, at


def _bytes(body: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(body, at)
    return (None, at) if length < 0 else (bytes(body[at : at + length]), at + length)
