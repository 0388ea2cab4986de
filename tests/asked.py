"""What a person asks of a command of the tests by the environment."""

import os
import sys
from typing import NoReturn


def number(name: str, usual: int, *, least: int = 1) -> int:
    """Return the whole number that variable *name* says, *usual* where it says nothing."""
    text = os.environ.get(name) or str(usual)
    if text.isascii() and text.isdigit() and int(text) >= least:
        return int(text)
    return refuse(f"{name}: must be a whole number of at least {least}, such as {usual}")


def refuse(line: str) -> NoReturn:
    """End with status 2 and *line*."""
    print(line, file=sys.stderr)  # noqa: T201 - for whoever asked
    raise SystemExit(2)
