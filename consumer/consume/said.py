"""What the log says of records that were judged: a line for each event, by which it is followed to its record."""

import datetime as dt
from collections.abc import Sequence

from consumer import log
from consumer.consume.batch import Folded
from consumer.decide.judge import judge
from consumer.store.memory import key_of
from consumer.store.outbox import NewEvent

logger = log.get("consume")


def made(events: Sequence[NewEvent]) -> None:
    """Say which *events* were made, and of which record: the clock's are of none."""
    for event in events:
        of = event.record.fields() if event.record is not None else {}
        logger.info(
            "event.made",
            event_id=event.id,
            type=event.type,
            action=event.action,
            rule_id=event.rule_id,
            rule=event.rule_name,
            **of,
        )


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
