"""One row that Postgres fails a statement for must not stop the others: it is found, set aside, and tried again later.

Unlike a record's, such a row's data is not lost: it stays in its table. So no more is given up than time.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from msgspec import Struct

from consumer import clock, log, pauses
from consumer.errors import DataRefused, StoreFailed
from consumer.metrics import Metrics

Key = TypeVar("Key")
Failure = DataRefused | StoreFailed
FAILURES: Final = (DataRefused, StoreFailed)
# Of one search, before anything else has worked: so many rows in a row are no row's fault, and the search ends.
MOST_IN_A_ROW: Final = 8
MOST: Final = 1_000  # set aside at once; beyond it, it is no row's fault either
logger = log.get("set_aside")


class _Waiting(Struct):
    until: float  # monotonic
    failures: int


class SetAside(Generic[Key]):
    """The rows of one duty that are set aside: none of them is to be tried before its time."""

    def __init__(self, what: str, metrics: Metrics, fields: Callable[[Key], Mapping[str, object]]) -> None:
        """Prepare.

        Args:
            what: what the rows are, for the log and the metric.
            metrics: where they are counted.
            fields: how a log line names a row.
        """
        self._what = what
        self._metrics = metrics
        self._fields = fields
        self._waiting: dict[Key, _Waiting] = {}

    def keys(self) -> list[Key]:
        """Return the rows that are not to be tried now."""
        now = clock.monotonic()
        self._waiting = {key: one for key, one in self._waiting.items() if one.until + pauses.ROW.longest > now}
        return [key for key, one in self._waiting.items() if one.until > now]

    def put(self, key: Key, exc: Exception) -> None:
        """Set *key* aside, for which alone *exc* was raised; for longer each time.

        Raises:
            Exception: *exc*: too many are set aside, so it is none of them that is at fault.
        """
        now = clock.monotonic()
        failures = self._waiting[key].failures + 1 if key in self._waiting else 1
        if failures == 1 and len(self._waiting) >= MOST:
            raise exc
        pause = pauses.ROW.after(failures)
        self._waiting[key] = _Waiting(now + pause, failures)
        self._metrics.row_failed(self._what)
        error = str(exc) if isinstance(exc, FAILURES) else type(exc).__name__
        logger.error(
            "row.set_aside", what=self._what, **self._fields(key), error=error, failures=failures, pause_s=round(pause)
        )

    async def narrow(self, keys: Sequence[Key], step: Callable[[Sequence[Key]], Awaitable[int]], exc: Failure) -> int:
        """Do *step* on parts of *keys*, on all of which it failed with *exc*; set aside those that fail alone.

        Returns how many rows *step* says it has done.

        Raises:
            DataRefused, StoreFailed: several failed one after the other, and none worked: what fails is the statement.
            StoreUnavailable: Postgres cannot be reached.
        """
        done, in_a_row, has_worked = 0, 0, False
        parts = [(list(keys), exc)]
        while parts:
            part, met = parts.pop()
            if len(part) == 1:
                self.put(part[0], met)
                in_a_row += 1
                if not has_worked and in_a_row >= MOST_IN_A_ROW:
                    raise met
                continue
            middle = len(part) // 2
            for half in (part[:middle], part[middle:]):
                try:
                    done += await step(half)
                    has_worked = True
                except FAILURES as again:
                    parts.append((half, again))
        return done
