"""A write that fails hides nothing: by `send`, and by `sendmsg`, which asyncio calls from Python 3.12 on."""

import socket
import struct
from collections.abc import Callable

import pytest

from consumer.deliver.http.wire import Wire

WRITES: list[Callable[[Wire, bytes], int]] = [
    lambda wire, data: wire.send(data),
    lambda wire, data: wire.sendmsg([data[:1], memoryview(data)[1:]]),
]


def pair() -> tuple[Wire, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = Wire.of(socket.create_connection(listening.getsockname()))
        theirs, _ = listening.accept()
    ours.setblocking(False)
    return ours, theirs


def fill(write: Callable[[], int]) -> None:
    while True:
        write()


@pytest.mark.parametrize("write", WRITES, ids=["send", "sendmsg"])
def test_a_write_after_a_hang_up_seems_to_succeed_unflushed(write: Callable[[Wire, bytes], int]) -> None:
    ours, theirs = pair()
    with ours:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()  # a reset

        assert write(ours, b"request") == 7
        assert not ours.is_flushed


@pytest.mark.parametrize("write", WRITES, ids=["send", "sendmsg"])
def test_a_write_that_the_kernel_does_not_take_whole_is_behind(write: Callable[[Wire, bytes], int]) -> None:
    ours, theirs = pair()
    with ours, theirs:
        assert write(ours, b"request") == 7
        much = b" " * 50_000_000

        assert write(ours, much) < len(much)
        assert not ours.is_flushed
        with pytest.raises(BlockingIOError):
            fill(lambda: write(ours, much))
        assert not ours.is_flushed
