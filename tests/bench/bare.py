"""The floor: loops that do one thing, as fast as the libraries allow; each in a process of its own.

python -m tests.bench.bare consume BOOTSTRAP TOPIC FROM UNTIL PARTITIONS
python -m tests.bench.bare post COUNT IN_FLIGHT CA_FILE|- URL…
python -m tests.bench.bare raw COUNT IN_FLIGHT CA_FILE|- URL…

`post` is aiohttp's client; `raw` is asyncio's own protocols, with the bytes made beforehand and answers not looked at:
what no client can do without. They print a JSON object: `rate` a second, `cpu_us` of each.
"""

import asyncio
import gc
import json
import resource
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

BODY = b'{"a": "' + b"x" * 1000 + b'"}'
HEADERS = {
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": "bare",
    "webhook-id": "01J5WM25BAXSCBKG2D9NDYJB6S",
    "webhook-timestamp": "1790000000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}


def measured(count: int, began: float, cpu: float) -> dict[str, float]:
    return {"rate": count / (time.perf_counter() - began), "cpu_us": (used() - cpu) / count * 1e6}


def used() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


async def consume(bootstrap: str, topic: str, begin: int, until: int, partitions: int) -> dict[str, float]:
    """`getmany` from offset *begin* to *until* of every partition, with the service's settings."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
        fetch_max_bytes=16 * 2**20,
        max_partition_fetch_bytes=2**20,
    )
    async with consumer:
        mine = [TopicPartition(topic, n) for n in range(partitions)]
        consumer.assign(mine)
        for tp in mine:
            consumer.seek(tp, begin)
        left = (until - begin) * partitions
        count, began, cpu = left, time.perf_counter(), used()
        while left > 0:
            for records in (await consumer.getmany(timeout_ms=200, max_records=1000)).values():
                left -= len(records)
        return measured(count - left, began, cpu)


async def post(count: int, in_flight: int, ca_file: str, urls: list[str]) -> dict[str, float]:
    """POST *count* bodies, *in_flight* at once, in turn to each of *urls*; answers are read."""
    tls = ssl.create_default_context(cafile=ca_file) if ca_file != "-" else True
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=75, ssl=tls)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:
        numbers = iter(range(count))

        async def worker() -> None:
            for n in numbers:
                async with session.post(
                    urls[n % len(urls)], data=BODY, headers=HEADERS, allow_redirects=False
                ) as answer:
                    await answer.read()

        began, cpu = time.perf_counter(), used()
        await asyncio.gather(*(worker() for _ in range(in_flight)))
        return measured(count, began, cpu)


class Raw(asyncio.Protocol):
    """Sends the same request again when anything has come."""

    def __init__(self, request: bytes, numbers: Iterator[int], done: Callable[[], None]) -> None:
        self._request = request
        self._numbers = numbers
        self._done = done
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.data_received(b"")

    def data_received(self, _data: bytes) -> None:
        if next(self._numbers, None) is None:
            self._transport.abort()
        else:
            self._transport.write(self._request)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._done()


async def raw(count: int, in_flight: int, ca_file: str, urls: list[str]) -> dict[str, float]:
    """POST *count* bodies over *in_flight* connections, as evenly to each of *urls* as they are many."""
    tls = ssl.create_default_context(cafile=ca_file) if ca_file != "-" else None
    loop, numbers, left = asyncio.get_running_loop(), iter(range(count)), asyncio.Semaphore(0)

    async def connect(n: int) -> None:
        parts = urlsplit(urls[n % len(urls)])
        fields = {"host": parts.netloc, **HEADERS, "content-length": str(len(BODY))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"POST {parts.path} HTTP/1.1\r\n{head}\r\n".encode() + BODY
        await loop.create_connection(lambda: Raw(request, numbers, left.release), parts.hostname, parts.port, ssl=tls)

    began, cpu = time.perf_counter(), used()
    await asyncio.gather(*(connect(n) for n in range(in_flight)))
    for _ in range(in_flight):
        await left.acquire()
    return measured(count, began, cpu)


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    what, *rest = sys.argv[1:]
    if what == "consume":
        found = asyncio.run(consume(rest[0], rest[1], int(rest[2]), int(rest[3]), int(rest[4])))
    else:
        loop_of = {"post": post, "raw": raw}[what]
        found = asyncio.run(loop_of(int(rest[0]), int(rest[1]), rest[2], rest[3:]))
    print(json.dumps(found))  # noqa: T201 - its result
