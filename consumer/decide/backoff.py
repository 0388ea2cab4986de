"""The retry schedule as a tuple of delays: its n-th entry is what passes before the n-th attempt of a round.

| attempt | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |
|---|---|---|---|---|---|---|---|---|
| delay | 0 | 5 s | 5 min | 30 min | 2 h | 5 h | 10 h | 10 h |
| since the first | 0 | 5 s | 5 min | 35 min | 2 h 35 | 7 h 35 | 17 h 35 | 27 h 35 |

The default is Svix's, which the reference product delivers through. ±20 % jitter, so that receivers that came back are
not met by everybody at once.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

JITTER: Final = 0.2
# A receiver that timed out is more often overloaded than gone; Svix's floor (svix-webhooks#2200).
TIMEOUT_FLOOR: Final = dt.timedelta(minutes=1)


def delay(schedule: Sequence[dt.timedelta], step: int, *, jitter: float, is_timeout: bool) -> dt.timedelta | None:
    """Return what passes before the attempt after *step* steps of *schedule*; None where the schedule is spent.

    Args:
        schedule: at least one delay; the first is before the first attempt.
        step: attempts of this round that count, the one just ended among them; at least 1.
        jitter: in [-1, 1].
        is_timeout: whether the attempt timed out: the delay is then at least a minute where the rest of the schedule
            has a delay that long.
    """
    if step >= len(schedule):
        return None
    least = TIMEOUT_FLOOR if is_timeout and max(schedule[step:]) >= TIMEOUT_FLOOR else dt.timedelta()
    return max(schedule[step] * (1 + JITTER * jitter), least)
