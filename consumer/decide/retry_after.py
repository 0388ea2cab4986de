"""How long a receiver asks us to wait: `Retry-After`, in seconds or as a date (RFC 9110 section 10.2.3). Pure."""

import datetime as dt
import email.utils
import re
from typing import Final

from consumer.decide.outcome import Outcome

LONGEST: Final = dt.timedelta(hours=1)  # a hostile or mistaken header must not park a channel
# RFC 9110 wants whole ones; servers in the wild send floats. However many digits: it is a wish for the longest wait.
_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def asked(outcome: Outcome) -> dt.timedelta | None:
    """Return how long *outcome*'s receiver asks us to wait from its answer on, 0 to one hour; None where it does not.

    A date is measured against our clock when the answer came; a wrong clock makes the wait no longer than an hour.
    """
    text = (outcome.retry_after or "").strip()
    if _SECONDS.fullmatch(text):
        return dt.timedelta(seconds=min(float(text), LONGEST.total_seconds()))
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):  # the last: of digits that no machine integer holds
        return None
    answered_at = outcome.started_at + dt.timedelta(milliseconds=outcome.duration_ms)
    aware = date if date.tzinfo is not None else date.replace(tzinfo=dt.UTC)
    return min(max(aware - answered_at, dt.timedelta()), LONGEST)
