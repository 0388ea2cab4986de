"""Durations as people write them: `250ms`, `30s`, `5m`, `2h`, `90d`."""

import datetime as dt
import re
from typing import Final

PATTERN: Final = "^[0-9]+(?:\\.[0-9]+)?(?:ms|s|m|h|d)$"
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse(text: object) -> dt.timedelta:
    """Return the duration of a text such as `250ms`, `30s`, `5m`, `2h`, `90d`.

    Raises:
        ValueError: it is none.
    """
    found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if not found:
        raise ValueError("must be a duration such as 250ms, 30s, 5m, 2h or 90d")
    try:
        return dt.timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise ValueError("is too long") from None


def text(duration: dt.timedelta) -> str:
    """Return *duration* as people write it, in the largest unit that says it exactly."""
    milliseconds = round(duration / dt.timedelta(milliseconds=1))
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"
