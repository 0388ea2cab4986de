"""`make faults`: every case, three seeds each, a line for each run; status 1 where a zero is none.

ARGS="killed"          the cases with that in their names
SEED=7 SEEDS=1         seeds from 7 on, one for each case (what a failing line prints)
"""

import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path

from consumer import clock
from tests.faults.cases import CASES
from tests.faults.run import Outcome, ended, running
from tests.faults.servers import serving

EXAMPLES = 3
HEAD = "case seed records expected made lost strange twice unfinished failed unreceived unequal recovery_s seconds"


def line(case: str, seed: int, outcome: Outcome) -> str:
    one = outcome.ledger
    counts = [one.records, one.expected, one.made]
    zeros = [one.lost, one.strange, one.twice, one.unfinished, one.failed, one.unreceived, one.unequal]
    recovery = "-" if outcome.recovery is None else f"{outcome.recovery:.1f}"
    cells = [f"{case:28}", f"{seed:8}", *map(str, counts), *(str(len(found)) for found in zeros), recovery]
    return "\t".join([*cells, f"{outcome.seconds:.0f}"])


async def main() -> int:
    wanted = " ".join(sys.argv[1:]).lower()
    seeds = int(os.environ.get("SEEDS", "3"))
    begin = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    wrong = []
    print("\t".join(HEAD.split()), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        async with serving() as servers:
            for name, case in CASES.items():
                for seed in range(begin, begin + seeds) if wanted in name.lower() else ():
                    since = clock.monotonic()
                    async with running(servers, Path(scratch), examples=EXAMPLES, seed=seed) as run:
                        await case(run)
                        outcome = await ended(run, since)
                        print(line(name, seed, outcome), flush=True)
                        if found := outcome.ledger.wrong():
                            wrong.append(name)
                            logs = Path(tempfile.gettempdir(), f"tollbell-faults-{seed}-{name.replace(' ', '-')}.log")
                            run.write_logs(logs)
                            print(f"  {found}\n  logs: {logs}", flush=True)
                            print(f"  again: SEED={seed} SEEDS=1 make faults ARGS='\"{name}\"'", flush=True)
    print(f"{len(wrong)} wrong" + (f": {', '.join(wrong)}" if wrong else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
