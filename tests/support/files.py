"""Descriptors of this process: how many are sockets, and none left."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


def sockets() -> int:
    """Return how many sockets this process has."""
    found = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - a directory that changes while it is read
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")  # noqa: PTH115 - likewise
        except FileNotFoundError:
            continue
    return found


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no file while the body runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - as above
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
    try:
        while True:
            try:
                taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError as problem:
                assert problem.errno == errno.EMFILE  # noqa: PT017 - that is what is waited for
                break
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
