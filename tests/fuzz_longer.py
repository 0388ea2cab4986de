"""`make fuzz`: the fuzz tests with one seed after the other, for as long as is wanted; what they find is kept."""

import os
import subprocess
import sys
from pathlib import Path

import click

from consumer import clock

TESTS = Path(__file__).parent / "property"
EXAMPLES = 500  # of each test, with each seed
KEEP = """
To keep it: the line of JSON that the assertion shows goes to tests/corpus/records.jsonl or rules.jsonl, with the words
of `why`, and in `says` a part of what ought to be said of it (without `says`: nothing, it is good). The same again:
FUZZ_EXAMPLES={examples} pytest --hypothesis-seed={seed} tests/property
"""


@click.command()
@click.argument("seconds", type=float)
@click.argument("seed", type=int)
def main(seconds: float, seed: int) -> None:
    """Fuzz records, rules files, formats and batches for about SECONDS, beginning with SEED."""
    end = clock.monotonic() + seconds
    first = seed
    while clock.monotonic() < end:
        command = [sys.executable, "-m", "pytest", "-q", "-x", f"--hypothesis-seed={seed}", "--timeout=0"]
        tests = [str(TESTS / name) for name in ("test_fuzz.py", "test_batches.py", "test_parse.py")]
        found = subprocess.run([*command, *tests], env=os.environ | {"FUZZ_EXAMPLES": str(EXAMPLES)}, check=False)
        if found.returncode:
            click.echo(KEEP.format(examples=EXAMPLES, seed=seed))
            raise SystemExit(found.returncode)
        seed += 1
    click.echo(f"nothing found with the seeds {first} to {seed - 1}")


if __name__ == "__main__":
    main()
