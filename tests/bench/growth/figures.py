"""Figures, and the table of them: what was wanted, the median of the runs, and their spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.growth.costs import Row
from tests.bench.growth.sizes import say

GROWTH = "at most 1.5, better 1.2"
MEMORY = "at most 1024, better 400"
BESIDE = {
    "record_us": "bare_us",
    "delivery_us": "bare_us",
    "claim_ms": "claims_beside_ms",
    "recorded_ms": "claims_beside_ms",
}
ALL_DUE = "all_due_"  # begins a cost where something is due on all channels
COSTS = ["record_us", "claim_ms", "recorded_ms", "events_ms", "of_rule_ms"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one run."""

    what: str
    value: float
    wanted: str = ""
    made_of: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured at one size of an axis."""

    axis: str
    size: int
    row: Row


def step(axis: str, size: int, row: Row) -> Step:
    """Say what was measured, and return it."""
    say(f"  {axis:14} {size:>10,}   {'  '.join(f'{name} {value:g}' for name, value in row.items())}")
    return Step(axis, size, row)


def growth(axis: str, first: Step, last: Step, costs: Sequence[str]) -> list[Figure]:
    """Return how much each of *costs* has grown from *first* to *last*, each beside what does not grow."""
    found = []
    for cost in costs:
        prefix = ALL_DUE if cost.startswith(ALL_DUE) else ""
        beside = prefix + BESIDE.get(cost.removeprefix(prefix), "pages_beside_ms")
        before, after = first.row[cost] / first.row[beside], last.row[cost] / last.row[beside]
        made_of = f"{first.row[cost]:g} / {first.row[beside]:g} to {last.row[cost]:g} / {last.row[beside]:g}"
        found.append(Figure(f"{axis}: {cost}", after / before, GROWTH, made_of))
    return found


def table(runs: Sequence[Sequence[Figure]]) -> list[str]:
    """Return a line for each figure: *runs* have the same ones, in the same order."""
    lines = [f"{'figure':55} {'wanted':26} {'median':>8}   from … to"]
    for same in zip(*runs, strict=True):
        values = [one.value for one in same]
        spread = f"{min(values):.4g} … {max(values):.4g}"
        lines.append(f"{same[0].what:55} {same[0].wanted:26} {median(values):8.4g}   {spread:20} {same[-1].made_of}")
    return lines
