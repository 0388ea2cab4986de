"""What a replica takes at the worst while something is done to it: its memory, and how long it answers no request."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from consumer import clock
from tests.support.service import Replica

MIB: Final = 1024 * 1024
LOOK_EVERY: Final = 0.02  # seconds


@dataclass(slots=True)
class Footprint:
    """Bytes before and at the most meanwhile, and the seconds of the slowest answer of `/livez`.

    Attributes:
        worked: seconds that the process worked for itself before an answer, at the most. Where others share the
            machine's cores, this is what the process is to blame for.
    """

    idle: int
    peak: int = 0
    slowest: float = 0.0
    worked: float = 0.0

    @property
    def grown_mib(self) -> int:
        """By how much its memory grew at the most."""
        return round((self.peak - self.idle) / MIB)

    def __str__(self) -> str:
        memory = f"{self.idle / MIB:.0f} MiB idle, {self.peak / MIB:.0f} at most"
        return f"{memory}; /livez {self.slowest:.2f} s at worst, {self.worked:.2f} of them its own"


@contextlib.asynccontextmanager
async def footprint(replica: Replica) -> AsyncIterator[Footprint]:
    """Measure *replica* while the body runs; all is known at its end."""
    port = (await replica.logged("http.listening"))[0]["port"]
    process = Path(f"/proc/{replica.process.pid}")
    (process / "clear_refs").write_text("5")  # the peak is counted from now on
    found = Footprint(idle=_bytes(process, "VmRSS"))
    done = asyncio.Event()
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        tasks.create_task(_look(session, f"http://127.0.0.1:{port}/livez", process, found, done))
        try:
            yield found
        finally:
            done.set()
            found.peak = _bytes(process, "VmHWM")


def _bytes(process: Path, which: str) -> int:
    (line,) = [line for line in (process / "status").read_text().splitlines() if line.startswith(f"{which}:")]
    return int(line.split()[1]) * 1024


def _worked(process: Path) -> float:
    user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def _look(session: aiohttp.ClientSession, url: str, process: Path, found: Footprint, done: asyncio.Event) -> None:
    while not await clock.wait(done, LOOK_EVERY):
        asked, worked = clock.monotonic(), _worked(process)
        async with session.get(url) as answered:
            await answered.read()
        found.slowest = max(found.slowest, clock.monotonic() - asked)
        found.worked = max(found.worked, _worked(process) - worked)
