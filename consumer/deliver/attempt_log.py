"""What is said of attempts, once they are recorded: each is counted, and has a line in the log; of many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consumer import log
from consumer.decide.outcome import OutcomeClass
from consumer.decide.verdict import Disable, GiveUp, RetryIn
from consumer.metrics import Metrics
from consumer.store.deliveries import Claimed, Ended
from schemas import urls
from schemas.secret import MASK

LOST: Final = "its process did not record it: killed, or cut off from Postgres"
ANSWER_SHOWN: Final = 200  # characters of an answer, in the line that says that a delivery has FAILED
logger = log.get("deliver")


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """Counts attempts, and logs them."""

    metrics: Metrics

    def report(self, recorded: Sequence[Ended]) -> None:
        """Count and log what is durable."""
        lines: list[dict[str, object]] = []
        for ended in recorded:
            delivery, outcome, decided = ended.delivery, ended.outcome, ended.verdict
            self.metrics.attempt(
                outcome, number=delivery.number, round=delivery.round, recorded_at=delivery.recorded_at
            )
            if isinstance(decided, Disable):
                logger.error("channel.disabled", **named_channel(delivery), by="tollbell", reason=decided.reason)
            if isinstance(decided, GiveUp | Disable):
                logger.warning("delivery.attempted", **_lost(ended))
            else:
                lines.append(_attempted(ended))
        logger.infos("delivery.attempted", lines)


def lost(claimed: Sequence[Claimed]) -> None:
    """Say of each of *claimed* that was in flight when its process was lost that this attempt was interrupted."""
    logger.infos(
        "delivery.attempted",
        [
            {
                **followed(one),
                "to": urls.redacted(one.url),
                "attempt": one.number - 1,
                "outcome": OutcomeClass.INTERRUPTED.value,
                "detail": LOST,
            }
            for one in claimed
            if one.was_lost
        ],
    )


def followed(delivery: Claimed) -> dict[str, object]:
    """Return the fields by which a line about *delivery* is found: its event, rule, channel and record."""
    return {
        "event_id": delivery.event_id,
        **log.named("rule", delivery.rule_id, delivery.rule_key, delivery.rule_name),
        **named_channel(delivery),
        **({} if delivery.record is None else delivery.record.fields()),
    }


def named_channel(delivery: Claimed) -> dict[str, object]:
    """Return the fields by which a line names the channel of *delivery*."""
    return log.named("channel", delivery.channel_id, delivery.channel_key, delivery.channel_name)


def _attempted(ended: Ended) -> dict[str, object]:
    delivery, outcome, decided = ended.delivery, ended.outcome, ended.verdict
    fields: dict[str, object] = {
        **followed(delivery),
        "to": urls.redacted(delivery.url),
        "attempt": delivery.number,
        "outcome": outcome.kind.value,
        "status": outcome.status,
        "duration_ms": outcome.duration_ms,
        "verdict": type(decided).__name__,
    }
    if outcome.status is None:
        del fields["status"]
    if isinstance(decided, RetryIn):
        fields["retry_in_s"] = round(decided.delay.total_seconds(), 3)
    if isinstance(decided, RetryIn | GiveUp) and decided.pause is not None:
        fields["channel_paused_s"] = round(decided.pause.total_seconds(), 3)
    if outcome.detail:
        fields["detail"] = outcome.detail
    return fields


def _lost(ended: Ended) -> dict[str, object]:
    """Return the fields of a delivery that has FAILED: what its receiver answered, too."""
    fields, answer = _attempted(ended), ended.outcome.body
    if answer:
        target = urls.split(ended.delivery.url).target  # in a log, though it be a word
        shown = answer.replace(target, f"/{MASK}") if target != "/" else answer
        fields["answer"] = shown[:ANSWER_SHOWN]
    return fields
