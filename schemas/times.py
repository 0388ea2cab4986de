"""Times: RFC 3339 in, UTC, truncated to microseconds; RFC 3339 with as few digits as it takes out."""

import datetime as dt
import functools
import re
from typing import Annotated, Final

import msgspec

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})",
)
# Nearly all times end with Z. These characters of one, and Python's own reading, say as much as the pattern, in a third
# of the time.
_EDGES: Final = slice(4, 20, 3)
_WHOLE: Final = "--T::Z"
_BROKEN: Final = "--T::."
_SHORTEST: Final = len("2026-11-22T10:15:30Z")
_from_iso: Final = dt.datetime.fromisoformat
_MAX_LENGTH: Final = 64  # a time is 20 to 35 characters; the rest of a longer one says nothing

Time = Annotated[
    str,
    msgspec.Meta(description="RFC 3339, UTC or with an offset.", extra_json_schema={"format": "date-time"}),
]


def read(text: str) -> dt.datetime:
    """Return the time that *text* says, in UTC, truncated to microseconds.

    Raises:
        ValueError: not an RFC 3339 time, or a day or year that does not exist; says so without repeating the text.
    """
    edges = text[_EDGES]
    if edges == _WHOLE:
        is_usual = len(text) == _SHORTEST
    else:
        is_usual = edges == _BROKEN and text[-1] == "Z" and len(text) <= _MAX_LENGTH and text[20:-1].isdecimal()
    if is_usual and text.isascii():
        try:
            return _from_iso(text)
        except ValueError:  # what is wrong is said below; `contextlib.suppress` would take as long as all the rest
            pass
    if len(text) > _MAX_LENGTH or not _RFC3339.fullmatch(text):
        raise ValueError("is not an RFC 3339 time, such as 2026-11-22T10:15:30Z")
    try:
        # fromisoformat drops what is finer than a microsecond: truncated, as the contract says, not rounded.
        return dt.datetime.fromisoformat(text.upper()).astimezone(dt.UTC)
    except (ValueError, OverflowError) as exc:
        raise ValueError("is a day or time that does not exist, or a year outside 1 to 9999") from exc


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> dt.datetime:
    """Return what `read` does. Cached: the records of a topic share their periods.

    Raises:
        ValueError: as `read` does.
    """
    return read(text)


@functools.lru_cache(maxsize=4096)
def text(time: dt.datetime) -> str:
    """Return *time* as RFC 3339 in UTC, without digits that say nothing: `2026-11-22T10:15:30.123Z`."""
    whole = time.astimezone(dt.UTC).replace(tzinfo=None)
    spec = "seconds" if not whole.microsecond else "milliseconds" if not whole.microsecond % 1000 else "microseconds"
    return f"{whole.isoformat(timespec=spec)}Z"
