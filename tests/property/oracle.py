"""What product.md 3.1 says of `emit: each`, `rearm: period`, in the fewest words. Imports nothing of the project.

Exact fractions, no memory but what has fired and the newest period start of each entitlement.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

CANONICAL = {"PERCENT": "usage_percentage", "NUMBER": "usage_value"}


class Line(NamedTuple):
    """A threshold of a rule, as written."""

    kind: str
    value: str


class Shown(NamedTuple):
    """A record: what it shows of an entitlement, amounts as text; None for what it does not say."""

    entitlement: str
    period: int
    usage: str | None
    allowance: str | None
    balance: str | None


class Fired(NamedTuple):
    """A threshold that made an event."""

    entitlement: str
    period: int
    rule: str
    kind: str
    value: Fraction


def fired(rules: Mapping[str, Sequence[Line]], records: Sequence[Shown]) -> list[Fired]:
    """Return what fires, in the order in which the events are made."""
    made: dict[Fired, None] = {}
    newest: dict[str, int] = {}
    for record in records:
        if record.period < newest.get(record.entitlement, record.period):
            continue  # an earlier period than the newest one seen makes nothing
        newest[record.entitlement] = record.period
        for rule in sorted(rules):
            lines = {(CANONICAL.get(kind, kind), Fraction(value)) for kind, value in rules[rule]}
            here = sorted((rank(line, record), line) for line in lines if is_reached(line, record))
            for _, (kind, value) in here:
                made.setdefault(Fired(record.entitlement, record.period, rule, kind, value))
    return list(made)


def is_reached(line: tuple[str, Fraction], record: Shown) -> bool:
    """Reached, not passed. What is not known is not judged, nor a percentage of nothing."""
    kind, value = line
    if kind == "balance_value":
        return record.balance is not None and Fraction(record.balance) <= value
    if record.usage is None:
        return False
    if kind == "usage_value":
        return Fraction(record.usage) >= value
    if record.allowance is None or Fraction(record.allowance) <= 0:
        return False
    return Fraction(record.usage) / Fraction(record.allowance) * 100 >= value


def rank(line: tuple[str, Fraction], record: Shown) -> tuple[int, Fraction, int]:
    """Usage kinds by absolute level, on a tie the percentage last; then balance from high to low."""
    kind, value = line
    if kind == "balance_value":
        return (1, -value, 0)
    if kind == "usage_value":
        return (0, value, 0)
    return (0, value / 100 * Fraction(record.allowance or 0), 1)
