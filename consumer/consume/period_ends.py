"""The clock as a source: the end of a usage period that was shown before, or in which a threshold fired, is a reset.

A customer who was cut off at 100 % generates no usage, hence no record: without the clock the access would stay off.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from consumer import ids, log, loop
from consumer.consume import said
from consumer.consume.batch import as_written, new_event
from consumer.consume.memory import Memory
from consumer.consume.rulebook import Rulebook
from consumer.decide.entitlements import feature_ref
from consumer.decide.judge import judge
from consumer.decide.model import Document, Judgement, Reason
from consumer.decide.payloads import in_period
from consumer.metrics import Metrics
from consumer.set_aside import FAILURES, SetAside
from consumer.store import ended
from consumer.store.database import Database
from consumer.store.ended import Due, EndedPeriod, Taking
from consumer.store.outbox import Change, Result, Written
from schemas.reading import read_all
from schemas.rules import RuleType
from schemas.sources import About, PeriodEnd

BATCH: Final = 500  # documents of one transaction: their writers wait for it
logger = log.get("consume")


class _Ending(Struct, frozen=True):
    """A period that is ended: what becomes of its document, and why."""

    ended: EndedPeriod
    judgement: Judgement
    change: Change


class _Done(Struct, frozen=True):
    """What became of some, in one transaction."""

    endings: list[_Ending]
    written: list[Written]


class PeriodEnds:
    """Ends what the clock has to end."""

    def __init__(
        self,
        database: Database,
        memory: Memory,
        rulebook: Rulebook,
        metrics: Metrics,
        announce: Callable[[], None],
        delay: dt.timedelta,
    ) -> None:
        self._database = database
        self._memory = memory
        self._rulebook = rulebook
        self._metrics = metrics
        self._announce = announce
        self._delay = delay
        self._aside = SetAside[Due]("period_end", metrics, lambda due: {"namespace": due.namespace, "id": due.id})

    async def once(self) -> None:
        """End all periods that ended *delay* ago or longer, in batches. Safe to run in any number of processes.

        One that cannot be ended is set aside, and tried again later.

        Raises:
            StoreUnavailable: Postgres cannot be reached; what was not ended is the next time.
            StoreFailed, DataRefused: none can be ended, and it is no single one's fault.
        """
        while await self._are_more():
            pass

    async def _are_more(self) -> bool:
        """End some; return whether there may be more, and it is worth to go on."""
        due: Sequence[Due] = ()
        try:
            async with ended.take(self._database, delay=self._delay, limit=BATCH, but=self._aside.keys()) as taking:
                due = taking.due
                done = await self._write(taking)
            count = await self._settle(done)
        except FAILURES as exc:
            if not due:
                raise
            count = await self._aside.narrow(due, self._end, exc)
        return len(due) == BATCH and count > 0

    async def _end(self, due: Sequence[Due]) -> int:
        async with ended.take_again(self._database, due) as taking:
            done = await self._write(taking)
        return await self._settle(done)

    async def _write(self, taking: Taking) -> _Done:
        endings = [one for one in [await self._ending(ended) for ended in await taking.documents()] if one is not None]
        return _Done(endings, await taking.write([one.change for one in endings]) if endings else [])

    async def _ending(self, one: EndedPeriod) -> _Ending | None:
        """Return what becomes of *one*; None where it is no document of ours: it is set aside."""
        made = await loop.survived(self._judged(one), "period_end.failed", foreseen=(), **one.key._asdict())
        if isinstance(made, Exception):
            self._aside.put(one.due, made)
            return None
        return made

    async def _judged(self, one: EndedPeriod) -> _Ending:
        about, document = read_all(one.about), one.document
        named = about["feature"]
        feature = document.feature or feature_ref(named.get("id") or "", named["key"])
        source = PeriodEnd(
            namespace=one.key.namespace,
            entitlement_id=one.key.id,
            feature_id=feature.id,
            feature_key=feature.key,
            origin=_Remembered(about, document),
        )
        judgement = judge(self._rulebook.catalog.about(source), source, document)
        now = self._rulebook.clock.now()
        made = tuple(new_event(occurrence, ids.new(), now) for occurrence in judgement.occurrences)
        return _Ending(one, judgement, Change(one.key, judgement.document, one.about, made))

    async def _settle(self, done: _Done) -> int:
        """Say what was written, once that is durable; return how many periods were ended."""
        self._memory.forget([one.ended.key for one in done.endings])
        self._count([one.judgement for one in done.endings], done.written)
        if any(one.result is Result.RULE_GONE for one in done.written):
            await self._rulebook.refresh()
        return sum(one.result is Result.WRITTEN for one in done.written)

    def _count(self, judgements: Sequence[Judgement], written: Sequence[Written]) -> None:
        settled = [pair for pair in zip(judgements, written, strict=True) if pair[1].result is Result.WRITTEN]
        reasons: Counter[tuple[RuleType, Reason]] = Counter()
        for judged, one in settled:
            reasons.update(as_written(judged.reasons, judged.occurrences, one.was_made))
        for (rule_type, reason), count in reasons.items():
            self._metrics.judged(rule_type, reason.value, count)
        made: Counter[tuple[str, str]] = Counter()
        events = [event for _, one in settled for event in one.made]
        said.made(events)
        said.failed(events, [event_id for _, one in settled for event_id in one.failed])
        for _, one in settled:
            made.update([(event.type, event.action) for event in one.made])
        for (event_type, action), count in made.items():
            self._metrics.events(event_type, action, count)
        self._metrics.ended("FAILED", "channel_disabled", sum(len(one.failed) for _, one in settled))
        deliveries = sum(one.deliveries for _, one in settled)
        if deliveries:
            self._announce()
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
