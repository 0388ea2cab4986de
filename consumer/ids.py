"""ULIDs: ids in the reference product's form, ordered by creation within a process."""

import os
import time
from typing import Final

from ulid_transform import bytes_to_ulid

_MILLISECOND: Final = 1_000_000  # in nanoseconds
_RANDOM_BYTES: Final = 10  # after six of time
_SET_BACK: Final = 60_000  # milliseconds by which a wall clock is put right; by more it was wrong: then ids must follow


class Ids:
    """Makes ids: within a millisecond each is the one before, plus one. For the threads of one event loop: one."""

    def __init__(self) -> None:
        self._last = 0  # as a number of 16 bytes

    def new(self) -> str:
        """Return a new id of 26 characters; see `new`."""
        now, last = time.time_ns() // _MILLISECOND, self._last >> _RANDOM_BYTES * 8
        if 0 <= last - now <= _SET_BACK:
            self._last += 1  # of the last of all randomness, once in 10**18 milliseconds, the next millisecond's first
        else:
            self._last = int.from_bytes(now.to_bytes(6, "big") + os.urandom(_RANDOM_BYTES), "big")
        return bytes_to_ulid(self._last.to_bytes(16, "big"))


_ids: Final = Ids()


def new() -> str:
    """Return a new id of 26 characters.

    Later ones of this process sort after earlier ones, unless the wall clock is set back by more than a minute. To be
    called by one thread.
    """
    return _ids.new()
