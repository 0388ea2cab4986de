"""`entitlements.reset`: each new usage period, once, whatever shows it first.

| shown by | of the period that is known | of a later one | where none is known |
|---|---|---|---|
| a reset record | manual, or already told | manual or automatic | manual |
| a usage snapshot | nothing new | manual or automatic | nothing new: the first sight of an entitlement |
| a record of the very period that the clock told of | | already told | |

A period begins at its start that counts: the shown one, or the moment at which an anchor moved back, or at which an
ended period goes on.
"""

import datetime as dt

from consumer.decide.model import Document, Reason
from schemas.sources import Snapshot


def judge(snapshot: Snapshot, begins: dt.datetime, seen: Document, *, is_told: bool) -> Reason:
    """Return whether *snapshot* shows a reset, and which kind; or why it does not.

    Args:
        snapshot: of no period that is over.
        begins: the start that counts of its period.
        seen: the memory before the snapshot.
        is_told: whether the rule has told of the start of the period that *seen* is in.
    """
    is_reset_record = snapshot.reset_at is not None
    if seen.period_from is None:
        return Reason.RESET_MANUAL if is_reset_record else Reason.SAME_PERIOD
    end = seen.period_to
    if begins == (seen.begins_at or seen.period_from):
        if not is_reset_record:
            return Reason.SAME_PERIOD
        return Reason.ALREADY_RESET if is_told else Reason.RESET_MANUAL
    if seen.ended and begins == end:
        return Reason.ALREADY_RESET
    return Reason.RESET_AUTOMATIC if end is not None and snapshot.period_from >= end else Reason.RESET_MANUAL
