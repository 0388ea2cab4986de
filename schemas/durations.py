"""Durations as people write them: `250ms`, `30s`, `5m`, `2h`, `90d`."""

import datetime as dt
import re
from decimal import Decimal
from typing import Final

PATTERN: Final = "^[0-9]+(?:\\.[0-9]+)?(?:ms|s|m|h|d)$"
MAX_LENGTH: Final = 64  # characters: a duration has three or four
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse(text: object) -> dt.timedelta:
    """Return the duration of a text such as `250ms`, `30s`, `5m`, `2h`, `90d`.

    Raises:
        ValueError: it is none, or finer than a millisecond: it could not be written again.
    """
    found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if not found:
        raise ValueError("must be a duration such as 250ms, 30s, 5m, 2h or 90d")
    if len(found[0]) > MAX_LENGTH:
        raise ValueError("is too long")
    milliseconds = Decimal(found[1]) * _UNITS[found[2]]
    try:
        whole = int(milliseconds)
        if whole != milliseconds:
            raise ValueError("is finer than a millisecond")
        return dt.timedelta(milliseconds=whole)
    except OverflowError:
        raise ValueError("is too long") from None


def text(duration: dt.timedelta) -> str:
    """Return *duration* as people write it, in the largest unit that says it exactly."""
    milliseconds = round(duration / dt.timedelta(milliseconds=1))
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"
