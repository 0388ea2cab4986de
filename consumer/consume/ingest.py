"""One batch: parse → judge → write. Start reading here.

When `ingest` returns, every effect of the batch is durable: its events and memory in Postgres, its dead letters in
Kafka. Only then may its offsets be committed. Repeating a batch, whole or in part, by whomever, makes nothing twice.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

import msgspec

from consumer import clock, ids, log
from consumer.consume.batch import Folded, KafkaRecord, Wanted, change, fold
from consumer.consume.dead_letters import DeadLetter, Sink
from consumer.consume.rulebook import Rulebook
from consumer.consume.sift import Sifted, settle, sift
from consumer.consume.turns import Turn, Turns
from consumer.decide.judge import judge
from consumer.decide.model import AnyDocument, Reason
from consumer.errors import DataRefused, StoreUnavailable
from consumer.metrics import Metrics
from consumer.store import outbox
from consumer.store.database import Database
from consumer.store.memory import Memory, MemoryKey, key_of
from consumer.store.outbox import NOTHING_KEPT, Kept, Result, Written
from schemas.parse import Reject
from schemas.reading import RejectReason
from schemas.rules import RuleType

Recipients = Counter[tuple[str, str]]  # how many deliveries at most, by namespace and channel
Keep = Callable[[Recipients], AbstractContextManager[Kept]]
MAX_ROUNDS: Final = 20  # of judging again what another replica changed: each round, somebody has won
SLICE_RECORDS: Final = 500  # sifted at a time, in 5 ms or less: then others may run
PART_RECORDS: Final = 250  # of a batch are written at once: smaller parts make more statements, larger ones wait longer
PART_BYTES: Final = 4 * 1024 * 1024  # likewise: what a statement may hold in memory
PARTS_AT_ONCE: Final = 4  # of all batches in hand: the other connections are for what else the process does
logger = log.get("consume")


def keep_nothing(_: Recipients) -> AbstractContextManager[Kept]:
    """Keep no slots: another process delivers."""
    return nullcontext(NOTHING_KEPT)


@dataclass(slots=True)
class Tally:
    """What a batch came to, for metrics and the log line."""

    records: int = 0
    wanted: int = 0  # some rule is about them, and they were not passed over
    ignored: int = 0
    uncovered: int = 0
    events: int = 0
    deliveries: int = 0
    dead_letters: int = 0
    reasons: Counter[tuple[RuleType, Reason]] = field(default_factory=Counter)
    made: Counter[tuple[str, str]] = field(default_factory=Counter)  # events, by type and action


@dataclass(frozen=True, slots=True)
class Ingest:
    """Takes batches of records to their effects."""

    database: Database
    memory: Memory
    rulebook: Rulebook
    dead_letters: Sink
    metrics: Metrics
    announce: Callable[[], None]  # says that something is due
    future_tolerance: dt.timedelta
    keep: Keep = keep_nothing  # keeps slots of this process' deliverer
    turns: Turns = field(default_factory=Turns)
    sifting: asyncio.Lock = field(default_factory=asyncio.Lock)  # in the order of reading
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARTS_AT_ONCE))

    async def batch(self, records: Sequence[KafkaRecord]) -> Tally:
        """Take *records*, in offset order within each partition, to their effects; return when all are durable.

        Several may be taken at once, if begun in the order of reading.

        Raises:
            StoreUnavailable: Postgres is away; some effects may have been written, and repeating adds nothing.
            SourceUnavailable: Kafka takes no dead letter now; likewise.
        """
        started = clock.monotonic()
        tally = Tally(records=len(records))
        try:
            with self.turns.begin() as turn:
                sifted = await self._sift(records, turn)
                tally.wanted, tally.ignored, tally.uncovered = len(sifted.wanted), sifted.ignored, sifted.uncovered
                await turn.comes()
                rejected = sifted.rejected + await self._write_all(sifted.wanted, tally)
            await self.dead_letters.send(rejected)
            tally.reasons += sifted.reasons()
        finally:  # what was written stays written, though the batch may be taken again
            self._count_written(tally)
        self._count(tally, rejected)
        if tally.events or rejected:
            logger.info(
                "batch.ingested",
                records=tally.records,
                events=tally.events,
                deliveries=tally.deliveries,
                dead_letters=len(rejected),
                duration_ms=round((clock.monotonic() - started) * 1000),
            )
        return tally

    async def _sift(self, records: Sequence[KafkaRecord], turn: Turn) -> Sifted:
        """Parse *records*, for which *turn* is; pass over what changes nothing. Others may run between two slices."""
        sifted = Sifted()
        async with self.sifting:
            for begin in range(0, len(records), SLICE_RECORDS):
                if begin:
                    await clock.sleep(0)
                sifted.add(some := self._sift_slice(records[begin : begin + SLICE_RECORDS]))
                turn.want(one.key for one in some.wanted)
        return sifted

    def _sift_slice(self, records: Sequence[KafkaRecord]) -> Sifted:
        latest = self.rulebook.clock.now() + self.future_tolerance
        standings = self.memory.standings
        # At debug level each record has its line: then each is judged.
        return sift(records, self.rulebook.catalog, standings, latest=latest, at_a_glance=not logger.is_debug)

    async def _write_all(self, wanted: Sequence[Wanted], tally: Tally) -> list[DeadLetter]:
        """Judge and write *wanted*, some while Postgres writes others: no two of these parts share an entitlement."""
        done = await asyncio.gather(*(self._write_part(part, tally) for part in apart(wanted)), return_exceptions=True)
        for one in done:  # all have ended: what is raised here is taken again, and nothing goes on meanwhile
            if isinstance(one, BaseException):
                raise one
        return [letter for part in done if isinstance(part, list) for letter in part]

    async def _write_part(self, part: Sequence[Wanted], tally: Tally) -> list[DeadLetter]:
        async with self.room:
            return await self._write(part, tally)

    async def _write(self, wanted: Sequence[Wanted], tally: Tally) -> list[DeadLetter]:
        """Judge and write *wanted*; halve what Postgres refuses until the bad record is alone; return those."""
        try:
            await self._settle(wanted, tally)
        except DataRefused as exc:
            if len(wanted) == 1:
                reject = Reject(RejectReason.REFUSED, f"Postgres refuses it: {exc}")
                return [DeadLetter(wanted[0].record, reject)]
            half = len(wanted) // 2
            return await self._write(wanted[:half], tally) + await self._write(wanted[half:], tally)
        except StoreUnavailable:
            self.memory.forget()  # an outcome is unknown: nothing that we remember counts
            raise
        return []

    async def _settle(self, wanted: Sequence[Wanted], tally: Tally) -> None:
        """Judge and write *wanted*, and again what was judged on a memory or a rule that has changed."""
        for _ in range(MAX_ROUNDS):
            if not wanted:
                return
            age = self.memory.age
            documents = await self.memory.load(one.key for one in wanted)
            folded = fold(wanted, documents)
            changed = {key: state for key, state in folded.items() if state.is_changed}
            results = await self._write_changes(changed)
            if age == self.memory.age:  # else partitions have moved meanwhile: another replica may write
                self._remember(folded, results)
            wanted = await self._again(folded, results, tally)
        raise StoreUnavailable("other writers were faster every time: the batch is taken again")

    async def _write_changes(self, changed: dict[MemoryKey, Folded]) -> dict[MemoryKey, Written]:
        if not changed:
            return {}
        changes = [change(key, changed[key], ids.new) for key in changed]
        with self.keep(_recipients(changed.values())) as kept:
            written = await outbox.write(self.database, changes, kept)
            kept.start([one for of_change in written for one in of_change.leased])
        if any(one.deliveries > len(one.leased) for one in written):
            self.announce()
        return dict(zip(changed, written, strict=True))

    async def _again(
        self,
        folded: dict[MemoryKey, Folded],
        results: dict[MemoryKey, Written],
        tally: Tally,
    ) -> list[Wanted]:
        """Count what is settled; return the records to judge again."""
        again: list[Wanted] = []
        rule_gone = False
        for key, state in folded.items():
            written = results.get(key)
            if written is None or written.result is Result.WRITTEN:
                self._settled(state, tally, written)
            else:
                again.extend(state.wanted)
                self.memory.forget([key])
                if written.result is Result.RULE_GONE:
                    rule_gone = True
                    tally.reasons.update((one.rule.type, Reason.RULE_GONE) for one, _ in state.occurrences)
        if rule_gone:
            await self.rulebook.refresh()
        return [self._with_current_rules(one) for one in again]

    def _with_current_rules(self, one: Wanted) -> Wanted:
        return msgspec.structs.replace(one, rules=self.rulebook.catalog.about(one.source))

    def _remember(self, folded: dict[MemoryKey, Folded], results: dict[MemoryKey, Written]) -> None:
        """Keep the documents as they are in Postgres now, and where their entitlements stand."""
        documents: dict[MemoryKey, AnyDocument] = {}
        for key, state in folded.items():
            written = results.get(key)
            if written is None:
                documents[key] = state.document
            elif written.result is Result.WRITTEN:
                documents[key] = msgspec.structs.replace(state.document, version=state.before.version + 1)
        self.memory.remember({key: document for key, document in documents.items() if document.version})
        for key, document in documents.items():
            # A later batch may have records of it that are yet to be judged: nothing after those is passed over.
            if not self.turns.is_awaited(key):
                settle(self.memory.standings, folded[key], document)

    def _settled(self, state: Folded, tally: Tally, written: Written | None) -> None:
        tally.reasons.update(state.reasons if written is None else _as_written(state, written))
        if logger.is_debug:
            _say_judged(state)
        if written is None:
            return
        tally.events += len(written.made)
        tally.deliveries += written.deliveries
        tally.made.update([(event.type, event.action) for event in written.made])

    def _count_written(self, tally: Tally) -> None:
        for (rule_type, reason), count in tally.reasons.items():
            self.metrics.judged(rule_type.value, reason.value, count)
        for (event_type, action), count in tally.made.items():
            self.metrics.events(event_type, action, count)

    def _count(self, tally: Tally, rejected: Sequence[DeadLetter]) -> None:
        tally.dead_letters = len(rejected)
        judged = tally.records - tally.ignored - tally.uncovered - tally.dead_letters
        for result, count in (
            ("judged", judged),
            ("no_rule", tally.uncovered),
            ("ignored", tally.ignored),
            ("dead_letter", tally.dead_letters),
        ):
            self.metrics.records(result, count)
        for reason, count in Counter(letter.reject.reason for letter in rejected).items():
            self.metrics.dead_letters(reason.value, count)


def apart(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Return *wanted* in parts of about `PART_RECORDS` or `PART_BYTES`, in order: all of one key in one part."""
    size = sum([len(one.record.value or b"") for one in wanted])
    parts: list[list[Wanted]] = [[] for _ in range(max(-(-len(wanted) // PART_RECORDS), -(-size // PART_BYTES)))]
    for one in wanted:
        parts[hash(one.key) % len(parts)].append(one)
    return [part for part in parts if part]


def _recipients(changed: Iterable[Folded]) -> Recipients:
    return Counter(
        (occurrence.rule.namespace, channel)
        for state in changed
        for occurrence, _ in state.occurrences
        for channel in occurrence.rule.channels
    )


def _as_written(state: Folded, written: Written) -> list[tuple[RuleType, Reason]]:
    """Return the reasons, with `duplicate` for an event that had been made before under another id."""
    if all(written.was_made):
        return state.reasons
    reasons = list(state.reasons)
    for (occurrence, _), was_made in zip(state.occurrences, written.was_made, strict=True):
        if not was_made:
            reasons[reasons.index((occurrence.rule.type, occurrence.reason))] = (occurrence.rule.type, Reason.DUPLICATE)
    return reasons


def _say_judged(state: Folded) -> None:
    """Log why each record came out as it did. Judged once more for that, rule by rule: it is pure, and this is rare."""
    document = state.before
    for one in state.wanted:
        at = {"topic": one.record.topic, "partition": one.record.partition, "offset": one.record.offset}
        for rule in one.rules:
            reasons = [reason.value for _, reason in judge([rule], one.source, document).reasons]
            by = {"rule_id": rule.id, "rule_type": rule.type}
            logger.debug("record.judged", **at, about=key_of(one.source).id, **by, reasons=reasons)
        document = judge(one.rules, one.source, document).document
