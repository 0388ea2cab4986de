"""What a person asks of a command of the tests by the environment."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn


def number(name: str, usual: int, *, least: int = 1) -> int:
    """Return the whole number that variable *name* says, *usual* where it says nothing."""
    text = os.environ.get(name) or str(usual)
    if text.isascii() and text.isdigit() and int(text) >= least:
        return int(text)
    return refuse(f"{name}: must be a whole number of at least {least}, such as {usual}")


def sections(wanted: Sequence[str], known: Iterable[str]) -> list[str]:
    """Return the *known* sections that are *wanted*: all of them where none is named."""
    names = list(known)
    if unknown := [name for name in wanted if name not in names]:
        refuse(f"{unknown[0]}: no such section; there are {', '.join(names)}")
    return list(wanted) or names


def refuse(line: str) -> NoReturn:
    """End with status 2 and *line*."""
    print(line, file=sys.stderr)  # noqa: T201 - for the person at the terminal
    raise SystemExit(2)
