"""The socket under a connection: a write that fails hides nothing that has been received."""

import fcntl
import socket
import struct
import termios
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_HUNG_UP: Final = (ConnectionResetError, BrokenPipeError)
_COUNT: Final = struct.Struct("i")


class Wire(socket.socket):
    """A socket for asyncio, whose transports end at a write that fails, and leave unread what came before.

    A receiver that refuses a body (413, 410, 429) answers, and closes with the rest of it unread: that is a reset, and
    our next write meets it while the answer lies in the kernel. So that write seems to succeed; the next read gives
    what came, and then the end. In the socket, so that it is the same under TLS.
    """

    _is_behind = False

    @classmethod
    def of(cls, made: socket.socket) -> Self:
        """Return one in the place of *made*, which is no socket any more."""
        return cls(made.family, made.type, made.proto, fileno=made.detach())

    @property
    def is_flushed(self) -> bool:
        """Whether the other side's machine has all that was written."""
        if self._is_behind or self.fileno() < 0:
            return False
        (unacknowledged,) = _COUNT.unpack(fcntl.ioctl(self, termios.TIOCOUTQ, bytes(_COUNT.size)))
        return not unacknowledged

    def send(self, data: "ReadableBuffer", flags: int = 0, /) -> int:
        """Send what the kernel takes of *data*."""
        return self._written(memoryview(data).nbytes, super().send, data, flags)

    def sendmsg(self, buffers: "Iterable[ReadableBuffer]", /, *rest: object) -> int:
        """Send what the kernel takes of *buffers*, as asyncio does from Python 3.12 on."""
        parts = [memoryview(part) for part in buffers]
        return self._written(sum(part.nbytes for part in parts), super().sendmsg, parts, *rest)

    def _written(self, size: int, write: Callable[..., int], /, *what: object) -> int:
        try:
            sent = write(*what)
        except BlockingIOError:
            self._is_behind = True
            raise
        except _HUNG_UP:
            self._is_behind = True
            return size
        self._is_behind = sent < size
        return sent
