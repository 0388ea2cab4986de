"""The clock as a source: the end of a usage period that was shown before, or in which a threshold fired, is a reset.

A customer who was cut off at 100 % makes no usage, hence no record: without the clock nobody would give access back.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consumer import ids, log
from consumer.consume.batch import new_event
from consumer.consume.rulebook import Rulebook
from consumer.decide.judge import judge
from consumer.decide.model import Document, Judgement
from consumer.decide.payloads import in_period
from consumer.metrics import Metrics
from consumer.store import ended
from consumer.store.database import Database
from consumer.store.ended import Ended
from consumer.store.memory import Memory
from consumer.store.outbox import Change, Result, Written
from schemas.reading import read_all
from schemas.sources import About, PeriodEnd

BATCH: Final = 500  # documents of one transaction: their writers wait for it
logger = log.get("consume")


@dataclass(frozen=True, slots=True)
class PeriodEnds:
    """Ends what the clock has to end."""

    database: Database
    memory: Memory
    rulebook: Rulebook
    metrics: Metrics
    announce: Callable[[], None]
    delay: dt.timedelta

    async def once(self) -> None:
        """End all periods that ended *delay* ago or longer, in batches. Safe to run in any number of processes.

        Raises:
            StoreUnavailable: Postgres cannot be reached; what was not ended is the next time.
        """
        while await self._batch() == BATCH:
            pass

    async def _batch(self) -> int:
        async with ended.take(self.database, delay=self.delay, limit=BATCH) as taking:
            judgements = [self._judge(one) for one in taking.documents]
            changes = [self._change(one, made) for one, made in zip(taking.documents, judgements, strict=True)]
            written = await taking.write(changes) if changes else []
        self.memory.forget([one.key for one in taking.documents])
        self._count(judgements, written)
        if any(one.result is Result.RULE_GONE for one in written):
            await self.rulebook.refresh()
        return sum(one.result is Result.WRITTEN for one in written)

    def _judge(self, one: Ended) -> Judgement:
        about = read_all(one.about)
        feature = about["feature"]
        source = PeriodEnd(
            namespace=one.key.namespace,
            entitlement_id=one.key.id,
            feature_id=feature.get("id") or "",
            feature_key=feature["key"],
            origin=_Remembered(about, one.document),
        )
        return judge(self.rulebook.catalog.about(source), source, one.document)

    def _change(self, one: Ended, judgement: Judgement) -> Change:
        now = self.rulebook.clock.now()
        made = tuple(new_event(occurrence, ids.new(), now) for occurrence in judgement.occurrences)
        return Change(one.key, judgement.document, one.about, made)

    def _count(self, judgements: Sequence[Judgement], written: Sequence[Written]) -> None:
        settled = [pair for pair in zip(judgements, written, strict=True) if pair[1].result is Result.WRITTEN]
        for (rule_type, reason), count in Counter(reason for made, _ in settled for reason in made.reasons).items():
            self.metrics.judged(rule_type, reason.value, count)
        made: Counter[tuple[str, str]] = Counter()
        for _, one in settled:
            made.update([(event.type, event.action) for event in one.made])
        for (event_type, action), count in made.items():
            self.metrics.events(event_type, action, count)
        deliveries = sum(one.deliveries for _, one in settled)
        if deliveries:
            self.announce()
        if settled:
            logger.info("periods.ended", periods=len(settled), events=made.total(), deliveries=deliveries)


class _Remembered:
    """What was last written of an entitlement, in the period that has ended; of its amounts nothing is known."""

    __slots__ = ("_about",)

    def __init__(self, about: dict[str, Any], document: Document) -> None:
        start = document.begins_at or document.period_from
        assert start is not None  # noqa: S101 - it was shown
        entitlement = in_period(about["entitlement"], start, document.period_to)
        self._about = About(**{**about, "entitlement": entitlement, "value": {"hasAccess": True}})

    def about(self) -> About:
        return self._about
