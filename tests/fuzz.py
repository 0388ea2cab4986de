"""Start the API of a replica of its own and set schemathesis on it, with the API's own document.

All checks of schemathesis are on but those named in UNUSED, each with its reason.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from consumer import ids

TOKEN = "fuzz-token-of-the-tests"
UNUSED = {
    # JSON Schema cannot say: no NUL in any text, a URL that may be delivered to, usage above 0 and balance not below,
    # a schedule whose sum is at most 72 h, a channel that is there.
    "positive_data_acceptance": "what the schema takes may still be refused, as 400 that names the field",
}


@dataclass
class Found:
    """What schemathesis said."""

    status: int
    text: str


async def fuzz(port: int, directory: Path, *, examples: int, seed: int, seconds: int) -> Found:
    """Run schemathesis on the API at *port*; *examples* for each operation, at most *seconds* in all."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"http://127.0.0.1:{port}/api/v1/openapi.json",
        f"--header=Authorization: Bearer {TOKEN}",
        "--checks=all",
        f"--max-examples={examples}",
        f"--seed={seed}",
        f"--max-time={seconds}",
        "--no-color",
        f"--report-dir={directory}",
    ]
    if UNUSED:
        command.append(f"--exclude-checks={','.join(UNUSED)}")
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": str(directory / ids.new())},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return Found(process.returncode or 0, out.decode())
