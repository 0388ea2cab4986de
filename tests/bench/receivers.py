"""A receiver that costs next to nothing: `python -m tests.bench.receivers DELAY [CERTIFICATE]`, a process of its own.

It listens on every address of 127.0.0.0/8, so that each channel may have a host of its own. It says its port, then
obeys lines: `report` prints the arrivals as a JSON list of [webhook-id, monotonic seconds], and forgets them.
A path that begins with `/hole` is never answered.
"""

import asyncio
import json
import ssl
import sys
from typing import Any

from consumer import clock

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ID, LENGTH, END, HOLE = b"webhook-id: ", b"content-length: ", b"\r\n\r\n", b"POST /hole"


class Receiving(asyncio.Protocol):
    """Answers each request of a connection; one at a time, as a client without pipelining sends them."""

    def __init__(self, arrivals: list[tuple[str, float]], delay: float) -> None:
        self._arrivals = arrivals
        self._delay = delay
        self._had = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._had += data
        end = self._had.find(END)
        if end < 0:
            return
        head = self._had[:end].lower() + b"\r\n"
        length = int(_after(head, LENGTH))
        if len(self._had) < end + len(END) + length:
            return
        is_hole = self._had.startswith(HOLE)
        at = self._had.lower().find(ID) + len(ID)
        self._arrivals.append((self._had[at : self._had.index(b"\r", at)].decode(), clock.monotonic()))
        self._had = self._had[end + len(END) + length :]
        if is_hole:
            return
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, ANSWER)
        else:
            self._transport.write(ANSWER)


def _after(head: bytes, name: bytes) -> bytes:
    start = head.index(name) + len(name)
    return head[start : head.index(b"\r", start)]


async def main(delay: float, certificate: str | None = None) -> None:
    arrivals: list[tuple[str, float]] = []
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiving(arrivals, delay), "0.0.0.0", 0, ssl=tls, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - what it is asked for
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(json.dumps(arrivals), flush=True)  # noqa: T201 - likewise
        arrivals.clear()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), *sys.argv[2:]))
