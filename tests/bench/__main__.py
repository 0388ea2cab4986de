"""`make bench`: how fast each stage is beside the floor of its libraries, in one run; a table, and a JSON file.

ARGS="judging latency"   some of: stages, judging, delivering, disturbing, latency, viewing, sharing, fairness
ROUNDS of each figure are interleaved with the bare loop's; medians and the spread of the ratio are shown.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from consumer import clock
from tests.bench import delivering, disturbing, judging, latency, sharing, stages, viewing
from tests.bench.place import Place, place
from tests.support.asked import sections

Row = dict[str, object]
Measure = Callable[[Place], Awaitable[Row]]
SECTIONS: dict[str, list[Measure]] = {
    "stages": [partial(stages.measure, family=family) for family in ("native", "openmeter")],
    "judging": [
        *[partial(judging.measure, load=load) for load in judging.LOADS],
        partial(judging.measure_replicas, load=judging.ALL_FIRING, replicas=2),
    ],
    "delivering": [partial(delivering.measure, load=load) for load in delivering.LOADS],
    "disturbing": [partial(disturbing.measure, load=load) for load in disturbing.LOADS],
    "latency": [partial(latency.measure, load=load) for load in latency.LOADS],
    "viewing": [partial(viewing.measure, load=load) for load in viewing.LOADS],
    "sharing": [
        partial(sharing.measure, kind=kind, is_shared=is_shared)
        for kind in sharing.KINDS
        for is_shared in (False, True)
    ],
    "fairness": [partial(latency.measure, load=load) for load in latency.FAIR],
}


def shown(row: Row) -> str:
    more = "  ".join(f"{name} {value}" for name, value in row.items() if name != "what")
    return f"{row['what']:60}  {more}"


async def rows_of(wanted: list[str]) -> list[Row]:
    begin, rows = clock.monotonic(), list[Row]()
    async with place() as here:
        for name in wanted:
            for measure in SECTIONS[name]:
                rows.append(await measure(here))
                print(f"{clock.monotonic() - begin:5.0f} s  {shown(rows[-1])}", flush=True)
    return rows


def main(wanted: list[str]) -> None:
    rows = asyncio.run(rows_of(sections(wanted, SECTIONS)))
    path = Path(tempfile.gettempdir(), "tollbell-bench.json")
    path.write_text(json.dumps(rows, indent=1))
    print(f"{len(rows)} figures: {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
