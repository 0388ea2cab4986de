"""Kafka's batches as bytes, and produced as they are: what no client library would send."""

import struct
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer, codec
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c, encode_varint

from consumer.demo.servers.contracts import Broker

Header = tuple[bytes | None, bytes | None]
TIME = 1_795_342_530_000
HEAD = struct.Struct(">qiibIhiqqqhii")
LEADER_EPOCH, MAGIC = -1, 2
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
ENCODE = {
    "none": bytes,
    "gzip": codec.gzip_encode,
    "snappy": codec.snappy_encode,
    "lz4": codec.lz4_encode,
    "zstd": codec.zstd_encode,
}


def _number(value: int) -> bytes:
    out = bytearray()
    encode_varint(value, out.append)
    return bytes(out)


def _text(value: bytes | None) -> bytes:
    return _number(-1) if value is None else _number(len(value)) + value


def record(value: bytes | None, *headers: Header, key: bytes | None = None, delta: int = 0) -> bytes:
    """Return a record, the *delta*th of its batch; anything may be a header's name."""
    body = bytes(1) + _number(delta) + _number(delta) + _text(key) + _text(value) + _number(len(headers))
    body += b"".join(_text(name) + _text(text) for name, text in headers)
    return _number(len(body)) + body


def batch(records: Sequence[bytes], *, offset: int = 0, compression: str = "none") -> bytes:
    """Return a batch of *records*, with the checksum that it has."""
    body = ENCODE[compression](b"".join(records))
    last = len(records) - 1
    checked = struct.pack(">hiqqqhii", CODECS[compression], last, TIME, TIME + last, -1, -1, -1, len(records)) + body
    head = struct.pack(">ibI", LEADER_EPOCH, MAGIC, calc_crc32c(checked))
    return struct.pack(">qi", offset, len(head) + len(checked)) + head + checked


async def send(kafka: Broker, topic: str, *batches: bytes, partition: int = 0) -> None:
    """Produce *batches* as they are; return when they are there.

    Raises:
        KafkaError: the broker refuses one.
    """
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        await producer.partitions_for(topic)
        leader = next(one.leader for one in producer.client.cluster._partitions[topic].values())  # noqa: SLF001
        for one in batches:
            request = ProduceRequest(None, -1, 10_000, [(topic, [(partition, one)])])
            answer = await producer.client.send(leader, request)
            ((_, [(_, code, *_)]),) = answer.topics
            if code:
                raise for_code(code)(topic)
