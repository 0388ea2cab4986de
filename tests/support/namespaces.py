"""A network of one's own: a thread with interfaces, ports and limits that no other thread shares."""

import array
import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

CLONE_NEWNET: Final = 0x40000000
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 1
T = TypeVar("T")


def alone(work: Callable[[], Coroutine[Any, Any, T]], *, ports: int) -> T:
    """Return what *work* returns, run where there is loopback alone, and *ports* local ports to connect from.

    Skips where this process may not have a network of its own.
    """
    found: list[T] = []
    problems: list[BaseException] = []

    def run() -> None:
        try:
            _enter(ports)
            found.append(asyncio.run(work()))
        except BaseException as problem:  # noqa: BLE001 - raised below, where the test is
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problems and isinstance(problems[0], PermissionError):
        pytest.skip("needs the right to have a network of its own (CAP_SYS_ADMIN)")
    if problems:
        raise problems[0]
    return found[0]


def _enter(ports: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, array.array("b", struct.pack("16sh14x", b"lo", IFF_UP)))
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"40000 {40000 + ports - 1}", encoding="ascii")
