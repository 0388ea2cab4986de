"""How long a busy consumer lets records gather before it takes the next batch: pure.

A statement of one event costs Postgres nearly as much as one of ten (1.4 ms of a replica and 0.9 of Postgres an event
at 500 records/s taken one by one). An idle consumer takes a record at once, and so does one that is mostly done with
each before the next one comes (200/s: a webhook after 4 ms, not 13): the wait follows from how many records come while
one batch is worked on.
"""

import math
from typing import Final

# Seconds between the beginnings of two batches: what a webhook is late by, at most. At 500 records/s it saves a fifth
# of what an event costs; 10 ms would save a third, and a webhook would come 3 ms later.
LONGEST: Final = 0.006
IDLE_BELOW: Final = 1.5  # records that come while one batch is worked on
SLOPE: Final = 8  # times a batch's cost, for each record beyond that
MEMORY: Final = 0.25  # seconds over which the rate is a mean
LESSON: Final = 0.1  # of what a batch cost goes into the mean


class Gathering:
    """Follows the rate of records and the cost of a batch. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._count = 0.0  # of the records that came, each fading with its age
        self._cost = 0.0  # seconds a batch takes
        self._began: float = -math.inf
        self._is_backlog = False

    def took(self, records: int, *, began: float, ended: float, is_full: bool) -> None:
        """Learn from a batch of *records*; *is_full*: it had as many as it may have, so more are there already."""
        faded = math.exp((self._began - began) / MEMORY)
        self._count = self._count * faded + records
        took = ended - began
        self._cost = took if self._began == -math.inf else self._cost + LESSON * (took - self._cost)
        self._began = began
        self._is_backlog = is_full

    def pause(self, now: float) -> float | None:
        """Return for how many seconds from *now* on records may gather; None while idle, or behind: none do."""
        if self._is_backlog:
            return None
        come_meanwhile = self._count * math.exp((self._began - now) / MEMORY) / MEMORY * self._cost
        if come_meanwhile <= IDLE_BELOW:
            return None
        interval = min(self._cost * SLOPE * (come_meanwhile - IDLE_BELOW), LONGEST)
        return max(interval - (now - self._began), 0.0)
