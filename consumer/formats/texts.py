"""Texts for people: numbers, times and names as they are read, and cut where a receiver takes no more."""

import datetime as dt
import itertools
import re
import unicodedata
from collections.abc import Callable
from decimal import ROUND_DOWN, Context, Decimal
from typing import Final

ELLIPSIS: Final = "…"
NAME_LIMIT: Final = 120  # of a name within a sentence
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WIDE: Final = Context(prec=400, rounding=ROUND_DOWN)
_TENTH: Final = Decimal("0.1")
_TENTH_ORDINALS: Final = {1: "st", 2: "nd", 3: "rd"}
_TEENS: Final = (11, 12, 13)
_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Marks that would turn around the text that follows a name, or make it invisible.
_UNWANTED: Final = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]")
_ISOLATE: Final = ("\u2068", "\u2069")  # first strong isolate, and its end
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_JOINER: Final = "\u200d"
_CLUSTER_LIMIT: Final = 32  # code points: the longest emoji have 10; a hundred accents on one letter are no text


def number(amount: Decimal) -> str:
    """Return *amount* with all its digits, grouped: `1,234,567.10`."""
    return f"{amount.copy_abs() if amount.is_zero() else amount:,f}"


def share(part: Decimal, whole: Decimal) -> str:
    """Return *part* of *whole* in per cent, cut to a tenth: 99.99 % is never shown as 100. *whole* is above 0."""
    per_cent = _WIDE.divide(_WIDE.multiply(part, Decimal(100)), whole)
    cut_off = per_cent.quantize(_TENTH, context=_WIDE)
    whole_number = cut_off.to_integral_value()
    return f"{number(whole_number if cut_off == whole_number else cut_off)} %"


def plain(amount: Decimal) -> str:
    """Return *amount* grouped, without zeros that say nothing: `80` of 80.0."""
    normal = _WIDE.normalize(amount)
    return number(normal)


def ordinal(count: int) -> str:
    """Return `1st`, `2nd`, `3rd`, `11th` of *count*."""
    ending = "th" if count % 100 in _TEENS else _TENTH_ORDINALS.get(count % 10, "th")
    return f"{count}{ending}"


def moment(time: dt.datetime) -> str:
    """Return *time* to the minute: `1 November 2026, 00:00 UTC`."""
    utc = time.astimezone(dt.UTC)
    return f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}, {utc:%H:%M} UTC"


def name(text: str) -> str:
    """Return *text* in one line, short enough for a sentence, and unable to turn around what follows it.

    Empty where nothing of it can be seen.
    """
    seen = _BLANKS.sub(" ", _UNWANTED.sub("", text)).strip()
    short = cut(seen, NAME_LIMIT)
    if any(unicodedata.bidirectional(one) in _RIGHT_TO_LEFT for one in short):
        return short.join(_ISOLATE)
    return short


def unescaped(text: str) -> str:
    """Return *text*: the escape of a receiver that has none."""
    return text


def units(text: str) -> int:
    """Return how long *text* is in UTF-16: the longest that any receiver counts, bytes excepted."""
    return len(text) + sum(one > "\uffff" for one in text)


def cut(text: str, limit: int, escape: Callable[[str], str] = unescaped) -> str:
    """Return *text* escaped, of at most *limit* UTF-16 units; what is cut ends with an ellipsis.

    Never within a character as a person sees it, nor within an escape. *limit* is above 1; *escape* makes a text
    no longer than its parts.
    """
    if units(escape(text)) <= limit:
        return escape(text)
    ending = ELLIPSIS + (_ISOLATE[1] if _ISOLATE[0] in text else "")
    clusters = _clusters(text[:limit])
    ends = itertools.accumulate(units(escape(cluster)) for cluster in clusters)
    kept = "".join(cluster for cluster, end in zip(clusters, ends, strict=True) if end <= limit - len(ending))
    is_open = kept.count(_ISOLATE[0]) > kept.count(_ISOLATE[1])
    return escape(kept) + (ending if is_open else ELLIPSIS)


def _clusters(text: str) -> list[str]:
    """Return the characters of *text* as a person sees them: with accents, skin tones, joined emoji, both of a flag."""
    found: list[str] = []
    for one in text:
        if found and len(found[-1]) < _CLUSTER_LIMIT and _continues(found[-1], one):
            found[-1] += one
        else:
            found.append(one)
    return found


def _continues(before: str, one: str) -> bool:
    if one == _JOINER or before[-1] == _JOINER or unicodedata.category(one).startswith("M"):
        return True
    if "\U0001f3fb" <= one <= "\U0001f3ff" or "\U000e0020" <= one <= "\U000e007f":  # skin tones, tags of flags
        return True
    return len(before) == 1 and _is_half_a_flag(before) and _is_half_a_flag(one)


def _is_half_a_flag(one: str) -> bool:
    return "\U0001f1e6" <= one <= "\U0001f1ff"
