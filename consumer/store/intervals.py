"""The intervals of time by which events are partitioned, and the ids that bound them. Pure arithmetic.

An event's id is a ULID: ten characters of milliseconds since 1970 in Crockford's base32, sixteen of randomness.
Compared byte by byte (COLLATE "C") ids sort by time, so an interval's first id is its start and sixteen zeros.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

LENGTH: Final = dt.timedelta(days=7)
"""A week. Of 90 days it makes 16 partitions, and an event stays at most 8 % longer than it must.

Every statement that finds an event by its id locks all of them: a day would make a hundred. It is part of the schema:
what exists has this length, and partitions must not overlap.
"""
_ORIGIN: Final = dt.datetime(1970, 1, 5, tzinfo=dt.UTC)  # the first Monday
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's
_TIME_CHARACTERS: Final = 10
_RANDOM_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """From *start*, a Monday at 0:00 UTC, until before the next one."""

    start: dt.datetime

    @property
    def end(self) -> dt.datetime:
        """The next interval's start."""
        return self.start + LENGTH

    @property
    def from_id(self) -> str:
        """The lowest id that can be made in it."""
        return lowest_id(self.start)

    @property
    def to_id(self) -> str:
        """The lowest id that is of the next one."""
        return lowest_id(self.end)

    @property
    def name(self) -> str:
        """What its partitions' names end with: `20261123`."""
        return f"{self.start:%Y%m%d}"

    def next(self, count: int = 1) -> "Interval":
        """Return the one that comes *count* later; earlier for a negative one."""
        return Interval(self.start + count * LENGTH)


def containing(at: dt.datetime) -> Interval:
    """Return the interval that *at* is in."""
    return Interval(_ORIGIN + (at - _ORIGIN) // LENGTH * LENGTH)


def lowest_id(at: dt.datetime) -> str:
    """Return the lowest id that can be made at *at* or later: before 1970 none was made."""
    milliseconds = max((at - _EPOCH) // dt.timedelta(milliseconds=1), 0)
    digits = (_ALPHABET[milliseconds >> 5 * n & 31] for n in reversed(range(_TIME_CHARACTERS)))
    return "".join(digits) + "0" * _RANDOM_CHARACTERS
