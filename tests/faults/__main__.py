"""`make faults`: every case, three seeds each, a line for each run; status 1 where a zero is none.

ARGS="killed"          the cases with that in their names
SEED=7 SEEDS=1         seeds from 7 on, one for each case (what a failing line prints)
LANES=1                one run at a time; two are beside each other otherwise, each on servers of its own
"""

import asyncio
import logging
import random
import sys
import tempfile
import traceback
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from consumer import clock
from tests.faults.cases import CASES
from tests.faults.run import Outcome, Servers, ended, running
from tests.faults.servers import serving
from tests.support.asked import number, refuse
from tests.support.workload import workloads

EXAMPLES = 6  # namespaces of a run
HEAD = (
    "case seed records expected made lost strange twice unfinished failed unreceived unequal uncounted"
    " recovery_s takeover_s seconds"
)


@dataclass
class Matrix:
    """The runs that are still to come, each a case and a seed, and the cases in which something was wrong."""

    todo: deque[tuple[str, int]]
    wrong: list[str] = field(default_factory=list)

    async def lane(self, servers: Servers, scratch: Path) -> None:
        """Do one run after the other until there are none."""
        while self.todo:
            name, seed = self.todo.popleft()
            try:
                await self._run(servers, scratch, name, seed)
            except Exception:  # noqa: BLE001 - one run that breaks must not take the others' results with it
                self.wrong.append(name)
                print(f"{name:28}\t{seed:8}\tbroke:\n{traceback.format_exc()}", flush=True)

    async def _run(self, servers: Servers, scratch: Path, name: str, seed: int) -> None:
        since = clock.monotonic()
        (place := scratch / f"{seed}-{name}").mkdir()
        async with running(servers, place, workloads(EXAMPLES, seed), seed=seed) as run:
            found: dict[str, object] = {}
            try:
                await CASES[name](run)
            except (AssertionError, TimeoutError) as exc:
                found["case"] = repr(exc)
            outcome = await ended(run, since)
            print(line(name, seed, outcome), flush=True)
            if found := found | outcome.ledger.wrong():
                self.wrong.append(name)
                logs = Path(tempfile.gettempdir(), f"tollbell-faults-{seed}-{name.replace(' ', '-')}.log")
                run.write_logs(logs)
                print(f"  {found}\n  logs: {logs}", flush=True)
                print(f"  again: SEED={seed} SEEDS=1 LANES=1 make faults ARGS='\"{name}\"'", flush=True)


def line(case: str, seed: int, outcome: Outcome) -> str:
    one = outcome.ledger
    counts = [one.records, one.expected, one.made]
    zeros = [one.lost, one.strange, one.twice, one.unfinished, one.failed, one.unreceived, one.unequal]
    zeros += [one.uncounted]
    times = ["-" if seconds is None else f"{seconds:.1f}" for seconds in (outcome.recovery, outcome.takeover)]
    cells = [f"{case:28}", f"{seed:8}", *map(str, counts), *(str(len(found)) for found in zeros), *times]
    return "\t".join([*cells, f"{outcome.seconds:.0f}"])


async def main() -> int:
    wanted = " ".join(sys.argv[1:]).lower()
    cases = [name for name in CASES if wanted in name.lower()]
    if not cases:
        refuse(f"ARGS: no case has {wanted!r} in its name; there are: {', '.join(CASES)}")
    begin = number("SEED", random.SystemRandom().randrange(10**6), least=0)
    seeds = range(begin, begin + number("SEEDS", 3))
    lanes = number("LANES", 2)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # our own producer and consumer: Kafka is away on purpose
    matrix = Matrix(deque((name, seed) for seed in seeds for name in cases))
    print("\t".join(HEAD.split()), flush=True)
    since = clock.monotonic()
    with tempfile.TemporaryDirectory() as scratch:

        async def lane(n: int) -> None:
            async with serving() as servers:
                (place := Path(scratch, str(n))).mkdir()
                await matrix.lane(servers, place)

        async with asyncio.TaskGroup() as group:
            for n in range(min(lanes, len(matrix.todo))):
                group.create_task(lane(n))
    wrong = f": {', '.join(matrix.wrong)}" if matrix.wrong else ""
    print(f"{len(matrix.wrong)} wrong{wrong}; {clock.monotonic() - since:.0f} s")
    return 1 if matrix.wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
