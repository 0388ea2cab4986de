"""What the log says of records that were judged: a line for each event, by which it is followed to its record."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from consumer import log
from consumer.consume.batch import Folded
from consumer.decide.judge import judge
from consumer.store.memory import key_of
from consumer.store.outbox import NewEvent

_DISABLED: Final[Mapping[str, object]] = {"state": "FAILED", "reason": "channel_disabled"}
logger = log.get("consume")


def made(events: Iterable[NewEvent]) -> None:
    """Say which *events* were made, and of which record: the clock's are of none."""
    logger.infos("event.made", [_of(event, type=event.type, action=event.action) for event in events])


def failed(events: Sequence[NewEvent], failed: Sequence[str]) -> None:
    """Say which of *events* are not sent to a channel that is disabled: *failed* has the id once for each channel."""
    if failed:
        counts = Counter(failed)
        lost = [_of(one, **_DISABLED, deliveries=counts[one.id]) for one in events if one.id in counts]
        logger.warnings("delivery.ended", lost)


def _of(event: NewEvent, **more: object) -> dict[str, object]:
    fields = {"event_id": event.id, **more, **log.named("rule", event.rule_id, event.rule_key, event.rule_name)}
    return fields if event.record is None else fields | event.record.fields()


def judged(state: Folded, tolerance: dt.timedelta) -> None:
    """Say why each record came out as it did. Judged once more for that, rule by rule: it is pure, and this is rare."""
    document = state.before
    for one in state.wanted:
        at = {"topic": one.record.topic, "partition": one.record.partition, "offset": one.record.offset}
        for rule in one.rules:
            reasons = [reason.value for _, reason in judge([rule], one.source, document, tolerance=tolerance).reasons]
            by = {"rule_id": rule.id, "rule_type": rule.type}
            logger.debug("record.judged", **at, about=key_of(one.source).id, **by, reasons=reasons)
        document = judge(one.rules, one.source, document, tolerance=tolerance).document
