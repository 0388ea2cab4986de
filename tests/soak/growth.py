"""Does a series keep growing? The pure judgement of a soak."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Bound:
    """How much a median may grow from the second quarter of the time to the last: by a ratio, or by an amount."""

    ratio: float
    amount: float

    def held(self, before: float, after: float) -> bool:
        return after <= max(before * self.ratio, before + self.amount)


def quarters(series: Sequence[tuple[float, float]], begin: float, end: float) -> tuple[float, float] | None:
    """Return the medians of *series* (time, value) in the second and the last quarter of *begin* to *end*.

    The first quarter is warming up: caches fill, tables get their working size. None: too little was measured.
    """
    quarter = (end - begin) / 4
    early = [value for at, value in series if begin + quarter <= at < begin + 2 * quarter]
    late = [value for at, value in series if begin + 3 * quarter <= at <= end]
    return (median(early), median(late)) if early and late else None
