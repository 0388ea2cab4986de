"""Asks receivers for their consent before anything is sent to them, of channels that want that (`requestOrigin`).

The question goes out when a delivery is about to be made, "immediately preceding a delivery" as CloudEvents' webhooks
say it. Where there is no consent the attempt has failed, and says why: nothing is lost, it is tried again by the
schedule, and the channel rests meanwhile. Where there is one, the delivery is claimed again: at the rate it allows.
"""

import asyncio
import datetime as dt
import math
import weakref
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from consumer import clock, log
from consumer.decide import retry_after
from consumer.decide.outcome import Outcome, OutcomeClass, Refusal
from consumer.deliver.attempt_log import named_channel
from consumer.deliver.webhook import Webhook, WebhookRequest
from consumer.formats import handshake
from consumer.formats.handshake import Consent
from consumer.metrics import Metrics
from consumer.store import consents
from consumer.store.database import Database
from consumer.store.deliveries import Claimed

VALID: Final = dt.timedelta(days=1)  # a question a day is none too many, and a rate that was lowered is kept to then
# A receiver that has consented and can't be asked now, for it is restarting, say: it has not taken that back.
UNASKED_VALID: Final = dt.timedelta(hours=1)
# A channel rests for so long at least whose receiver does not consent: a question a minute of each replica.
REST: Final = dt.timedelta(seconds=60)
_TOO_MANY: Final = 429
_BROKEN: Final = 500
_Asked = tuple[str, int, str | None]  # a channel, its revision, and our name
logger = log.get("deliver")


class _Turn:
    """One channel's, of one revision and name of ours: one question at a time, and how the last one ended."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.ended_at: float | None = None  # monotonic
        self.outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """How a question ended: *outcome* is a failed attempt's; None: there is consent, or nothing to ask any more."""

    outcome: Outcome | None


class Consents:
    """One question of a channel at a time in each process; the answer is kept for all of them.

    An answer is one URL's, for one name of ours: an edit begins another turn, which waits for no question of before.
    """

    def __init__(self, database: Database, webhook: Webhook, metrics: Metrics) -> None:
        self._database = database
        self._webhook = webhook
        self._metrics = metrics
        self._turns: weakref.WeakValueDictionary[_Asked, _Turn] = weakref.WeakValueDictionary()

    async def asked(self, delivery: Claimed, request: WebhookRequest) -> ConsentAnswer:
        """Ask the receiver of *delivery* for its consent, or take the answer to a question under way.

        Raises:
            StoreUnavailable: the answer could not be kept; nothing may be sent.
        """
        what = (delivery.channel_id, delivery.revision, delivery.request_origin)
        came_at, turn = clock.monotonic(), self._turns.setdefault(what, _Turn())
        async with turn.lock:
            if turn.ended_at is None or turn.ended_at < came_at:
                turn.outcome = await self._ask(delivery, request)
                turn.ended_at = clock.monotonic()
            return ConsentAnswer(turn.outcome)

    async def _ask(self, delivery: Claimed, request: WebhookRequest) -> Outcome | None:
        origin, question = delivery.request_origin, await consents.question(self._database, delivery)
        if origin is None or question is None or question.is_answered:
            return None
        outcome, answer = await self._webhook.ask(request, handshake.headers(origin, question.rate))
        if answer is None:
            return await self._failed(delivery, replace(outcome, detail=f"OPTIONS: {outcome.detail}"))
        read = handshake.read(origin, allowed_origin=answer.allowed_origin, allowed_rate=answer.allowed_rate)
        if isinstance(read, Consent):
            self._metrics.consent("granted")
            await consents.keep(self._database, delivery, read.rate, valid=VALID)
            logger.info("channel.consented", **named_channel(delivery), allowed_rate=read.rate)
            return None
        said = f"nothing was sent: the answer to OPTIONS, {outcome.status}, {read}"
        # It may ask for a longer rest; a shorter one, or one that can't be read, would let each delivery ask again.
        rest = max(retry_after.asked(outcome) or REST, REST)
        refused = replace(outcome, detail=said, refusal=Refusal.RETRY, retry_after=f"{math.ceil(rest.total_seconds())}")
        return await self._failed(delivery, refused)

    async def _failed(self, delivery: Claimed, outcome: Outcome) -> Outcome | None:
        """Return *outcome*; None where there was a consent before, which it does not take back."""
        is_refusal = outcome.kind is OutcomeClass.STATUS and not _is_unanswered(outcome)
        self._metrics.consent("refused" if is_refusal else "unanswered")
        if delivery.has_consent is None or not _is_unanswered(outcome):
            return outcome
        await consents.prolong(self._database, delivery, valid=UNASKED_VALID)
        logger.warning("channel.not_asked", **named_channel(delivery), status=outcome.status, detail=outcome.detail)
        return None


def _is_unanswered(outcome: Outcome) -> bool:
    """Whether *outcome* is of a receiver that could not be asked; else it has said something."""
    if outcome.kind is not OutcomeClass.STATUS or outcome.status is None:
        return outcome.kind is not OutcomeClass.REQUEST
    return outcome.status == _TOO_MANY or outcome.status >= _BROKEN
