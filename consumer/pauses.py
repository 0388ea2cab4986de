"""How long to wait before something is tried again: every pause of a loop, in one place.

Attempts of webhooks are another matter: their schedule is a setting (`decide/backoff.py`).
"""

from dataclasses import dataclass
from typing import Final

_MOST_DOUBLINGS: Final = 64  # a loop may fail for days: the power is bounded, not only what is made of it


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds between tries: *first*, doubled with each further failure, never above *longest*."""

    first: float
    longest: float

    def after(self, failures: int) -> float:
        """Return the pause after so many failures in a row, 1 or more."""
        return min(self.first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), self.longest)


DUTY: Final = Pauses(0.2, 5.0)  # a background duty: a server that restarts is back in seconds
CLAIM: Final = Pauses(0.4, 5.0)  # claiming deliveries
ROW: Final = Pauses(5.0, 300.0)  # a row that Postgres fails alone, and a person has to mend
CONFLICT: Final = Pauses(0.01, 5.0)  # a transaction that lost against another one; there are few tries
SAY_AGAIN: Final = Pauses(60.0, 600.0)  # a line in the log that something still waits
# Those below do not grow: what is waited for ends by itself, or there are few tries.
SERVER: Final = 1.0  # of the start, and of listening
STORE: Final = 0.5  # Postgres, while a batch or attempts wait for it
RECORD: Final = 2.0  # attempts that Postgres fails: well within a lease, so that none is sent again
PARTITION: Final = 0.5  # a table's partition that others have locked
RECORD_ALONE: Final = 0.1  # a record that fails alone, before it is a dead letter
RIGHTS: Final = 0.2  # what a broker says of the group's rights
