"""How much of everything: the axes, each scaled by SCALE of the environment; what is said while it runs."""

import os
from dataclasses import dataclass

from tests.support.asked import refuse


def scale() -> float:
    """Return SCALE: 1 is as described, 0.01 a trial of a minute or two."""
    text = os.environ.get("SCALE") or "1"
    try:
        given = float(text)
    except ValueError:
        given = 0
    return given if 0 < given <= 1 else refuse("SCALE: must be a number above 0, at most 1, such as 0.01")


SCALE = scale()


def scaled(count: int, least: int) -> int:
    """Return *count* by SCALE, in tens."""
    return max(round(count * SCALE / 10) * 10, least)


@dataclass(frozen=True, slots=True)
class World:
    """What there is: one of these varies, the others stay small."""

    entitlements: int = scaled(10_000, 1_000)
    rules: int = scaled(100, 10)
    channels: int = scaled(10, 10)


ENTITLEMENTS = [scaled(count, 1_000) for count in (10_000, 100_000, 1_000_000)]
RULES = [scaled(count, 10) for count in (100, 1_000, 10_000)]
CHANNELS = [scaled(count, 10) for count in (10, 1_000, 5_000)]
ROWS = [scaled(count, 0) for count in (0, 1_000_000, 10_000_000)]
SLICE = scaled(200_000, 10_000)  # records of one measurement
BACKLOG = scaled(5_000_000, 100_000)
DELIVERIES = scaled(20_000, 1_000)


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its progress, and its result
