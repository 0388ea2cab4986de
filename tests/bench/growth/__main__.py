"""`make bench-growth`: what grows, and how much? Costs at each size of an axis; a table, and a JSON file.

ARGS="entitlements rules"   some of: entitlements, rules, channels, history, all, backlog, processes
RUNS=3                      of all of it; medians and their spread are shown
SCALE=0.01                  of the sizes, for a trial

Growth is the cost at the largest size over that at the smallest, each over what the machine took just then for
something that does not grow. A figure beyond what is wanted fails nothing: only
what must hold does, such as counts of events and webhooks, and that there is no deadlock.
"""

import asyncio
import dataclasses
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from consumer import clock
from tests.bench.growth import axes
from tests.bench.growth.backlog import backlog
from tests.bench.growth.figures import Figure, Step, table
from tests.bench.growth.processes import processes
from tests.bench.growth.sizes import SCALE, say
from tests.bench.place import Place, place
from tests.support.asked import number, sections

SECTIONS: dict[str, Callable[[Place], Awaitable[tuple[list[Step], list[Figure]]]]] = {
    "entitlements": axes.entitlements,
    "rules": axes.rules,
    "channels": axes.channels,
    "history": axes.history,
    "all": axes.everything,
    "backlog": backlog,
    "processes": processes,
}


async def run(wanted: list[str]) -> tuple[list[Step], list[Figure]]:
    """Measure the sections *wanted*, once; servers are new for each."""
    steps: list[Step] = []
    figures: list[Figure] = []
    for name in wanted:
        began = clock.monotonic()
        async with place() as here:
            made, found = await SECTIONS[name](here)
        say(f"{name}: {clock.monotonic() - began:.0f} s")
        steps += made
        figures += found
    return steps, figures


def main(wanted: list[str]) -> None:
    names = sections(wanted, SECTIONS)
    runs: list[tuple[list[Step], list[Figure]]] = []
    for n in range(count := number("RUNS", 3)):
        say(f"run {n + 1} of {count}, scale {SCALE:g}")
        runs.append(asyncio.run(run(names)))
    path = Path(tempfile.gettempdir(), "tollbell-growth.json")
    shown = [
        {"steps": [*map(dataclasses.asdict, made)], "figures": [*map(dataclasses.asdict, found)]}
        for made, found in runs
    ]
    path.write_text(json.dumps({"scale": SCALE, "runs": shown}, indent=1))
    say("\n".join(table([found for _, found in runs])))
    say(str(path))


if __name__ == "__main__":
    main(sys.argv[1:])
