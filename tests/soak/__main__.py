"""`make soak`: steady load, something broken every minute; then the ledger, what grew, and a picture.

MINUTES=60             how long; in less than five there is no growth to be seen
RATE=200               records a second
SEED=7                 repeats a soak: the same records, the same faults in the same minutes
Status 1 where something was lost, made twice, not delivered, or keeps growing.
"""

import asyncio
import contextlib
import logging
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from consumer import clock
from tests.faults.run import Outcome, Run, ended, running
from tests.faults.servers import serving
from tests.soak.growth import Bound, quarters
from tests.soak.load import steady
from tests.soak.picture import draw
from tests.soak.strikes import STRIKES
from tests.soak.watch import ROWS, Series, Watch
from tests.support.asked import number
from tests.support.workload import workloads

VARIED = 20  # namespaces with the oracle's own records
ENTITLEMENTS = 500
SETTINGS = {"TOLLBELL_RETRY_SCHEDULE": "0s,100ms,500ms,1s,2s,4s,8s,15s"}
PARTS_A_SECOND = 2
WINDOW = 10.0  # seconds over which percentiles of the latency are taken
BOUNDS = {
    "memory": Bound(1.1, 8),  # MiB
    "files": Bound(1.0, 10),
    "table": Bound(1.2, 1),  # MiB, of what does not grow with the events
    "row": Bound(1.2, 64),  # bytes, of what does
}


@dataclass
class Soak:
    """A soak under way.

    Attributes:
        strikes: when something was broken, and what.
    """

    run: Run
    watch: Watch
    minutes: int
    begin: float = field(default_factory=clock.monotonic)
    strikes: list[tuple[float, str]] = field(default_factory=list)

    @property
    def end(self) -> float:
        return self.begin + 60 * self.minutes

    async def send(self) -> None:
        """Send the next part when it is time, what could not be sent in time at once after."""
        while self.run.sent < self.run.parts:
            due = int((clock.monotonic() - self.begin) * PARTS_A_SECOND)
            while self.run.sent < min(due, self.run.parts):
                await self.run.send()
            await clock.wait(asyncio.Event(), 1 / PARTS_A_SECOND)

    async def strike(self) -> None:
        """Break something in the middle of every minute but the last, each in its turn."""
        order: list[str] = []
        for minute in range(self.minutes - 1):
            order = order or self.run.dice.sample(list(STRIKES), len(STRIKES))
            name, victim = order.pop(), self.run.dice.choice(self.run.slots[1:])
            await clock.wait(asyncio.Event(), max(self.begin + 60 * minute + 20 - clock.monotonic(), 0))
            self.strikes.append((clock.monotonic(), name))
            await STRIKES[name](self.run, victim)
            self.run.is_back()
            await clock.wait(asyncio.Event(), max(self.begin + 60 * (minute + 1) - clock.monotonic(), 0))
            self._say(minute, name)

    def _say(self, minute: int, name: str) -> None:
        last = self.watch.last
        back, arrivals = self.run.back_at[-1], [one.at for one in self.run.stage.receiver.requests[-100_000:]]
        recovery = min((at - back for at in arrivals if at >= back), default=-1)
        cells = [minute, f"{name:20}", len(self.run.stage.receiver.requests), f"{recovery:.1f}", f"{last('lag'):.0f}"]
        cells += [f"{last('open deliveries'):.0f}", f"{last('memory 0'):.0f}", f"{last('files 0'):.0f}"]
        print("\t".join(map(str, cells)), flush=True)


def latencies(run: Run, recorded: dict[str, float]) -> dict[str, Series]:
    """Return seconds from a record to its first webhook, the median and the 99th of each few seconds."""
    first: dict[str, float] = {}
    for one in run.stage.receiver.requests:
        first.setdefault(one.headers["webhook-id"], one.at)
    to_monotonic = clock.monotonic() - clock.now().timestamp()
    windows: dict[int, list[float]] = {}
    for event, at in first.items():
        if event in recorded:
            windows.setdefault(int(at / WINDOW), []).append(at - (recorded[event] + to_monotonic))
    cuts = {n: quantiles([*found, *found], n=100) for n, found in sorted(windows.items())}
    return {f"p{p}": [(n * WINDOW, cut[p - 1]) for n, cut in cuts.items()] for p in (50, 99)}


def grown(soak: Soak) -> list[str]:
    """Return what keeps growing, a line each; print what was looked at."""
    found = []
    for name, series in sorted(soak.watch.series.items()):
        kind, _, of = name.partition(" ")
        is_judged = {"memory": of == "0", "files": of == "0", "table": of not in ROWS, "row": True}.get(kind, False)
        medians = quarters(series, soak.begin, soak.end) if is_judged else None
        if medians:
            line = f"{name}: {medians[0]:.1f} in the second quarter, {medians[1]:.1f} in the last"
            print(line)
            found += [] if BOUNDS[kind].held(*medians) else [line]
    return found


async def soaked(run: Run, minutes: int) -> tuple[Soak, Outcome]:
    """Run a soak to its end: everything read, every delivery ended."""
    since = clock.monotonic()
    for slot in run.slots:
        await run.start(slot)
    run.parts = 60 * minutes * PARTS_A_SECOND
    watch = Watch(run)
    soak = Soak(run, watch, minutes)
    print("minute\tbroken\twebhooks\trecovery_s\tlag\topen\tmemory_MiB\tfiles", flush=True)
    watching = asyncio.create_task(watch.watch())
    async with asyncio.TaskGroup() as group:
        group.create_task(soak.send())
        group.create_task(soak.strike())
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return soak, await ended(run, since)


def pictured(soak: Soak, recorded: dict[str, float], title: str, path: Path) -> None:
    """Draw what was measured."""

    def of(kind: str, *, but: tuple[str, ...] = ()) -> dict[str, Series]:
        made = {name.partition(" ")[2]: one for name, one in soak.watch.series.items() if name.startswith(f"{kind} ")}
        return {name: one for name, one in made.items() if name not in but}

    waiting = {name: soak.watch.series[name] for name in ("lag", "open deliveries")}
    panels = [
        ("memory of each replica, MiB (0 is never killed)", of("memory"), "linear"),
        ("open files of each replica", of("files"), "linear"),
        ("records not yet taken, deliveries not yet ended", waiting, "symlog"),
        ("record to webhook, seconds", latencies(soak.run, recorded), "log"),
        ("tables that grow with the events: bytes a row", of("row"), "log"),
        ("the other tables, MiB", of("table", but=(*ROWS, "rendered")), "linear"),
    ]
    draw(path, title, panels, soak.strikes, soak.begin)


async def main() -> int:
    minutes, rate = number("MINUTES", 60, least=5), number("RATE", 200)
    seed = number("SEED", random.SystemRandom().randrange(10**6), least=0)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # our own producer and consumer: Kafka is away on purpose
    print(f"SEED={seed} MINUTES={minutes} RATE={rate}", flush=True)
    made = workloads(VARIED, seed)
    made.append(steady("steady", entitlements=ENTITLEMENTS, records=60 * minutes * rate, seed=seed))
    with tempfile.TemporaryDirectory() as scratch:
        async with serving() as servers, running(servers, Path(scratch), made, seed=seed, **SETTINGS) as run:
            soak, outcome = await soaked(run, minutes)
            assert run.slots[0].replica is run.started[0]
            recorded = {row["id"]: row["recorded_at"].timestamp() for row in await run.stage.rows()}
            one = outcome.ledger
            total = f"{one.records} records, {one.expected} events expected, {one.made} made"
            total += f", {len(run.stage.receiver.requests)} webhooks; {len(soak.strikes)} times something broken"
            path = Path(tempfile.gettempdir(), f"tollbell-soak-{seed}.png")
            pictured(soak, recorded, f"SEED={seed} MINUTES={minutes} RATE={rate}: {total}", path)
            print(total)
            wrong, growing = one.wrong(), grown(soak)
            print(f"wrong: {wrong or 'nothing'}\ngrowing: {growing or 'nothing'}\npicture: {path}")
            if wrong or growing:
                run.write_logs(path.with_suffix(".log"))
                print(f"logs: {path.with_suffix('.log')}")
            return 1 if wrong or growing else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
