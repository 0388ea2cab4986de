"""What hostile receivers cost: healthy ones their latency, the replica its memory and open files."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consumer import clock

LOOK_EVERY: Final = 0.05  # seconds
MIBI: Final = 1024
NANO: Final = 10**9


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at one moment."""

    resident_mebibytes: float
    files: int
    ran: float  # seconds, its main thread
    waited: float  # seconds, likewise: it could have run, and others had the CPUs


def held(pid: int) -> Held:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kibibytes,) = (int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    ran, waited, _ = map(int, Path(f"/proc/{pid}/schedstat").read_text().split())
    files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Held(kibibytes / MIBI, files, ran / NANO, waited / NANO)


@dataclass(frozen=True, slots=True)
class Cost:
    """What was measured.

    Attributes:
        before: seconds from producing a record to its webhook, at a healthy receiver, while only those get any.
        beside: the same, beside hostile receivers that get some too.
        looks: what the replica held: before, and from then on.
    """

    before: Sequence[float]
    beside: Sequence[float]
    looks: Sequence[Held]

    @property
    def grown_mebibytes(self) -> float:
        return max(look.resident_mebibytes for look in self.looks) - self.looks[0].resident_mebibytes

    @property
    def more_files(self) -> int:
        return max(look.files for look in self.looks) - self.looks[0].files

    @property
    def left_files(self) -> int:
        return self.looks[-1].files - self.looks[0].files

    @property
    def stretched(self) -> float:
        """How many times as long everything took the replica as it would have, had no other process had its CPU."""
        first, last = self.looks[0], self.looks[-1]
        ran = last.ran - first.ran
        return (ran + last.waited - first.waited) / ran

    def __str__(self) -> str:
        p99, p99_beside = (quantile(times, 0.99) * 1000 for times in (self.before, self.beside))
        return (
            f"p50 {quantile(self.before, 0.5) * 1000:.0f} -> {quantile(self.beside, 0.5) * 1000:.0f} ms,"
            f" p99 {p99:.0f} -> {p99_beside:.0f} ms (x {p99_beside / p99:.1f}) of {len(self.beside)} healthy webhooks;"
            f" memory {self.looks[0].resident_mebibytes:.0f} + {self.grown_mebibytes:.0f} MiB,"
            f" open files {self.looks[0].files} + {self.more_files}, {self.left_files} kept;"
            f" it waited for a CPU: x {self.stretched:.1f}"
        )


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


@contextlib.asynccontextmanager
async def watched(pid: int) -> AsyncIterator[list[Held]]:
    """Look at a process now, and again and again; give the list that grows."""
    looks = [held(pid)]

    async def look() -> None:
        while True:
            await clock.wait(asyncio.Event(), LOOK_EVERY)
            looks.append(held(pid))

    task = asyncio.create_task(look(), name="watch")
    try:
        yield looks
        looks.append(held(pid))
    finally:
        task.cancel()
