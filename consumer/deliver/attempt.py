"""One delivery: render, send, judge, record. HTTP never inside a transaction."""

import asyncio
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace
from pydantic import TypeAdapter

from consumer import clock, log
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.verdict import Disable, GiveUp, RetryIn, Verdict, verdict
from consumer.deliver import formats
from consumer.deliver.recorder import Recorder
from consumer.deliver.webhook import Webhook, WebhookRequest
from consumer.encryption import Cipher
from consumer.errors import Refused
from consumer.metrics import Metrics
from consumer.store import deliveries, rendered
from consumer.store.database import Database
from consumer.store.deliveries import Claimed, Ended
from schemas import urls
from schemas.channels import Format
from schemas.secret import MASK, Secret

_format: Final = TypeAdapter[Format](Format)
_EVENTS_OWN: Final[Format] = "openmeter"  # the body is the event's data as frozen: kept already
ANSWER_SHOWN: Final = 200  # characters of an answer, in the line that says that a delivery has FAILED
logger = log.get("deliver")


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes attempts."""

    database: Database
    webhook: Webhook
    recorder: Recorder
    cipher: Cipher
    metrics: Metrics
    schedule: Sequence[dt.timedelta]

    async def prepared(self, delivery: Claimed) -> Claimed | None:
        """Return *delivery* with its body, kept for every later attempt; as it was where none can be made.

        None where its event is not there any more.

        Raises:
            StoreUnavailable: the body could not be read or kept; nothing may be sent.
        """
        whole = await deliveries.whole(self.database, delivery)
        if whole is None or whole.rendered is not None or whole.format == _EVENTS_OWN:
            return whole
        body = _render(whole)
        if isinstance(body, Outcome):
            return whole
        return replace(whole, rendered=await rendered.keep(self.database, whole.event_id, whole.format, body))

    async def attempt(self, delivery: Claimed) -> Ended:
        """Make one attempt at *delivery*, which is `prepared`; return how it ended, which is yet to be `recorded`.

        What is returned holds no body: it may wait for Postgres for long.
        """
        request = self._request(delivery)
        try:
            outcome = request if isinstance(request, Outcome) else await self.webhook.send(request)
        except asyncio.CancelledError:
            # The drain's deadline, which cancels once: whether the receiver has it is unknown, and that is recorded.
            outcome = _unsent(OutcomeClass.INTERRUPTED, "stopped before an answer came: this replica is shutting down")
        decided = verdict(
            outcome,
            step=delivery.step,
            interrupted=delivery.interrupted,
            schedule=delivery.retry_schedule or self.schedule,
            jitter=clock.jitter(),
        )
        return Ended(replace(delivery, payload=None, rendered=None), outcome, decided)

    async def recorded(self, ended: Ended) -> None:
        """Return when *ended* is durable; count and log it then."""
        await self.recorder.record(ended)
        delivery, outcome = ended.delivery, ended.outcome
        self.metrics.attempt(outcome, number=delivery.number, round=delivery.round, recorded_at=delivery.recorded_at)
        _say(delivery, outcome, ended.verdict)

    def _request(self, delivery: Claimed) -> WebhookRequest | Outcome:
        body = delivery.rendered if delivery.rendered is not None else _render(delivery)
        if isinstance(body, Outcome):
            return body
        row = f"channel/{delivery.channel_id}"
        try:
            secrets = [
                self.cipher.decrypt(sealed, row=f"{row}/signing_secret")
                for sealed in (delivery.signing_secret, *delivery.old_secrets)
            ]
            sealed = delivery.headers
            opened = json.loads(self.cipher.decrypt(sealed, row=f"{row}/headers").reveal()) if sealed else {}
        except Refused as exc:
            return _unsent(OutcomeClass.REQUEST, str(exc))
        return WebhookRequest(
            channel_id=delivery.channel_id,
            url=delivery.url,
            webhook_id=delivery.event_id,
            body=body,
            content_type=formats.content_type(delivery.format),
            traceparent=delivery.record.traceparent if delivery.record is not None else None,
            headers={name: Secret(value) for name, value in opened.items()},
            secrets=secrets,
        )


def _render(delivery: Claimed) -> bytes | Outcome:
    assert delivery.payload is not None  # noqa: S101 - it is prepared
    try:
        return formats.render(_format.validate_python(delivery.format), delivery.payload)
    except (ValueError, msgspec.MsgspecError) as exc:  # pydantic's too, a ValueError: a newer release's format
        return _unsent(OutcomeClass.RENDERING, f"format {delivery.format}: {type(exc).__name__}")


def _unsent(kind: OutcomeClass, detail: str) -> Outcome:
    return Outcome(kind=kind, started_at=clock.now(), duration_ms=0, detail=detail)


def _say(delivery: Claimed, outcome: Outcome, decided: Verdict) -> None:
    fields: dict[str, object] = {
        "event_id": delivery.event_id,
        "rule_id": delivery.rule_id,
        "channel_id": delivery.channel_id,
        "channel_key": delivery.channel_key,
        "channel": delivery.channel_name,
        "to": urls.redacted(delivery.url),
        "attempt": delivery.number,
        "outcome": outcome.kind.value,
        "status": outcome.status,
        "duration_ms": outcome.duration_ms,
        "verdict": type(decided).__name__,
    }
    if isinstance(decided, RetryIn):
        fields["retry_in_s"] = round(decided.delay.total_seconds(), 3)
    if isinstance(decided, RetryIn | GiveUp) and decided.pause is not None:
        fields["channel_paused_s"] = round(decided.pause.total_seconds(), 3)
    if outcome.detail:
        fields["detail"] = outcome.detail
    if isinstance(decided, Disable):
        logger.error("channel.disabled", channel_id=delivery.channel_id, by="tollbell", reason=decided.reason)
    is_lost = isinstance(decided, GiveUp | Disable)
    if is_lost and outcome.body:
        fields["answer"] = outcome.body.replace(urls.split(delivery.url).target, f"/{MASK}")[:ANSWER_SHOWN]
    say = logger.warning if is_lost else logger.info
    traced = delivery.record.fields() if delivery.record is not None else {}
    say("delivery.attempted", **{name: value for name, value in fields.items() if value is not None}, **traced)
