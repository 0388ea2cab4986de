"""A socket that takes an answer in small parts, and ends with one that is too long.

What is read is bounded elsewhere, but only from the status line on: before it a receiver may say `100 Continue` as
often as it likes, and aiohttp reads them all. A megabyte of that, a quarter at a time, is some 150 ms of this process'
one thread; a receiver that says it without end took all of it for as long as the attempt lasts, on each of its
connections, and delayed everybody's webhooks. So the bound is where bytes come in.
"""

import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

PART_BYTES: Final = 16_384  # of 256 KiB that asyncio would take at once: 2 ms of the worst that there is to parse
ANSWER_LIMIT_BYTES: Final = 131_072  # common servers and balancers end a head at 8 to 32 KiB; of a body 16 KiB are read


class AnswerTooLong(ConnectionAbortedError):
    """More came than an answer has whose head is one, and whose body is read to its limit."""


class BoundedSocket(socket.socket):
    """Counts what comes after what was sent last.

    asyncio reads by `recv`, for TLS by `recv_into`; it writes by `send`, and since Python 3.12 by `sendmsg` too.
    """

    _taken = 0

    def send(self, data: "ReadableBuffer", flags: int = 0, /) -> int:
        """Send; whatever comes from now on answers that."""
        self._taken = 0
        return super().send(data, flags)

    def sendmsg(self, buffers: "Iterable[ReadableBuffer]", /, *more: Any) -> int:
        """Send; whatever comes from now on answers that."""
        self._taken = 0
        return super().sendmsg(buffers, *more)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return a part of what came.

        Raises:
            AnswerTooLong: there is no end to it.
        """
        part = super().recv(min(bufsize, PART_BYTES), flags)
        self._count(len(part))
        return part

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """Put a part of what came into *buffer*; return its length.

        Raises:
            AnswerTooLong: there is no end to it.
        """
        length = super().recv_into(buffer, min(nbytes or len(memoryview(buffer)), PART_BYTES), flags)
        self._count(length)
        return length

    def _count(self, length: int) -> None:
        self._taken += length
        if self._taken > ANSWER_LIMIT_BYTES:
            raise AnswerTooLong(f"more than {ANSWER_LIMIT_BYTES} bytes came")
