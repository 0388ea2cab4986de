"""Wrong set-ups that need servers of their own: a secured Kafka, PostgreSQL with TLS and a standby. A line for each.

`SECURED=folder python -m tests.setups [name]`, where the folder has the certificates ca, other, client and badclient
(`.pem` and `.key`), and these listen on 127.0.0.1: Kafka at 38101 (SASL_SSL), 38102 (client certificates), 38103 (the
certificate of another host), 38104 (an expired one), 38105 (SASL_PLAINTEXT) and 38106 (PLAINTEXT, super user), with the
users tollbell, other (PLAIN) and scram; PostgreSQL at 38432, and what else tests/setups/postgres.sh starts.
`PG=port,port` names more than one PostgreSQL, likewise. Status 1 where one is not as expected.
"""

import asyncio
import contextlib
import os
import re
import sys
import tempfile
from pathlib import Path

from consumer import clock
from tests.setups import cases, kafka, postgres
from tests.setups.cases import Case
from tests.support.service import Deployment

WAITS = "waits"
PATIENCE = 25.0  # seconds until `run` must have ended, waited, or be ready
SHOWN = 400


async def main() -> int:
    """Try all cases; return how many are not as expected."""
    folder = Path(os.environ["SECURED"])
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    wrong = 0
    ports = [int(port) for port in os.environ.get("PG", "38432").split(",")]
    await kafka.prepare()
    with tempfile.TemporaryDirectory() as scratch:
        for port in ports:
            await postgres.prepare(port)
        for case in cases.all_cases(folder, ports):
            if only in case.name:
                wrong += await tried(case, Deployment(case.environment, Path(scratch)))
    print(f"{wrong} not as expected")
    return wrong


async def tried(case: Case, deployment: Deployment) -> int:
    """Print what `check` and `run` say to *case*; return whether that is not as expected."""
    await kafka.allow(case.rights)
    checked = await deployment.tollbell("check", "--only", case.role)
    ran, status = await run(deployment, case.role)
    failed = [line for line in checked.out.splitlines() if line.startswith(("FAIL", "warn"))]
    said = failed or checked.err.splitlines() or ["ok"]
    is_good = (
        checked.status == case.check_status
        and any(re.search(case.says, line) for line in said)
        and status == case.run_status
        and re.search(case.run_says or case.says, ran) is not None
        and "good-pass" not in checked.out + checked.err + ran
    )
    print(f"{'     ' if is_good else 'WRONG'} {case.name}")
    for line in said:
        print(f"        check {checked.status}  {line[:SHOWN]}")
    print(f"        run   {status}  {ran[:SHOWN]}", flush=True)
    return 0 if is_good else 1


async def run(deployment: Deployment, role: str) -> tuple[str, int | str]:
    """Return what `run` says, and its status; "waits" where it does not end, "ready" where it is."""
    replica = await deployment.replica("--only", role)
    async with replica:
        ends = clock.monotonic() + PATIENCE
        while clock.monotonic() < ends:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    return last(replica.lines, await replica.process.wait())
            events = [line["event"] for line in replica.lines]
            if "role.ready" in events:
                return "ready", "ready"
            if "app.waiting" in events:
                [line] = [line for line in replica.lines if line["event"] == "app.waiting"][:1]
                return str(line["error"]), WAITS
    return "neither ready nor waiting", "silent"


def last(lines: list[dict[str, object]], status: int) -> tuple[str, int]:
    """Return the line that `run` ended with."""
    texts = [str(line["error"]) for line in lines if line["event"] == "app.failed"]
    texts += [str(line["text"]).strip() for line in lines if line["event"] == "not json"]
    return " | ".join(texts) or str(lines[-1:]), status


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main()) else 0)
