"""What this process is short of, as attempts meet it: it is said once, and less is sent until it is over."""

from typing import Final

from consumer import clock, log
from consumer.decide.outcome import OutcomeClass
from consumer.deliver import attempt_log
from consumer.deliver.claims import Claims
from consumer.deliver.taken import Taken
from consumer.store.deliveries import Ended

LACKING: Final = 1.0  # seconds after a shortage of ours until more is claimed again, and again twice as much
logger = log.get("deliver")


class Shortages:
    """Has fewer in flight while this process is short of files, and rests the channels it has no local port for."""

    def __init__(self, taken: Taken, claims: Claims) -> None:
        self._taken = taken
        self._claims = claims
        self._lacking_until: float | None = None  # monotonic; None: long enough ago
        self._short: set[str] = set()  # channels to whose destination we have no local port

    def see(self, ended: Ended, began: float) -> None:
        """Take note of whether an attempt that *began* then (monotonic) met a shortage."""
        channel, outcome, now = ended.delivery.channel_id, ended.outcome, clock.monotonic()
        if outcome.kind is not OutcomeClass.SHORTAGE:
            self._short.discard(channel)
            return
        if outcome.is_of_destination:
            self._claims.rest(channel, LACKING)
            if channel not in self._short:
                logger.error("deliver.short", detail=outcome.detail, **attempt_log.named_channel(ended.delivery))
            self._short.add(channel)
            return
        if self._lacking_until is None:
            logger.error("deliver.short", detail=outcome.detail)
        self._taken.lack(began, now)
        self._lacking_until = now + LACKING

    def ease(self) -> None:
        """Let more be in flight again, where the last shortage is long enough ago."""
        if self._lacking_until is not None and clock.monotonic() >= self._lacking_until:
            self._lacking_until = clock.monotonic() + LACKING if self._taken.lack_less() else None
