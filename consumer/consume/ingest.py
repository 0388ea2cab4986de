"""One batch: parse → judge → write. Start reading here.

When `ingest` returns, every effect of the batch is durable: its events and memory in Postgres, its dead letters in
Kafka. Only then may its offsets be committed, after the coarse levels that it has left in the memory (`levels.py`).
Repeating a batch, whole or in part, in whatever process, makes nothing twice.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from consumer import clock, ids, log, pauses
from consumer.consume import said
from consumer.consume.batch import (
    Fold,
    Folded,
    KafkaRecord,
    WantedRecord,
    as_written,
    change,
    fold,
    in_parts,
    smaller,
)
from consumer.consume.dead_letters import DeadLetter, Sink
from consumer.consume.fast_path.sift import Sifted, settle, sift
from consumer.consume.fast_path.standing import looks_back
from consumer.consume.memory import Filling, Memory
from consumer.consume.rulebook import Rulebook
from consumer.decide.model import AnyDocument, Reason
from consumer.errors import DataRefused, StoreFailed, StoreUnavailable
from consumer.handoff import Handoff, Recipients
from consumer.metrics import Metrics
from consumer.store import outbox
from consumer.store.catalog import Catalog
from consumer.store.database import Database
from consumer.store.memory import MemoryKey
from consumer.store.outbox import Result, Written
from schemas.parse import Reject
from schemas.reading import RejectReason
from schemas.rules import RuleType

MAX_CONFLICTS: Final = 20  # rounds of judging again what another writer changed: in each, one of us has won
SLICE_RECORDS: Final = 500  # sifted at a time, in 5 ms or less: then others may run
ALONE_TRIES: Final = 5  # of a record that fails alone, before it is a dead letter
PARTS_AT_ONCE: Final = 4  # the other connections are for what else the process does
logger = log.get("consume")


@dataclass(slots=True)
class Tally:
    """What a batch came to, for metrics and the log line."""

    records: int = 0
    wanted: int = 0  # some rule is about them, and they were not passed over
    ignored: int = 0
    uncovered: int = 0
    events: int = 0
    deliveries: int = 0
    failed: int = 0  # of the deliveries, as they were made
    dead_letters: int = 0
    failed_alone: int = 0  # of them, those that Postgres failed for an unknown reason
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
    handoff: Handoff = field(default_factory=Handoff)  # to the deliverer of this process
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARTS_AT_ONCE))

    async def batch(self, records: Sequence[KafkaRecord], *, is_narrowed: bool = False) -> Tally:
        """Take *records*, in offset order within each partition, to their effects; return when all are durable.

        One batch at a time: a record must not be judged before an earlier one of its entitlement, and what one leaves,
        written or not, is what the next one is judged on.

        Args:
            records: of any partitions.
            is_narrowed: the batch has failed a few times for an unknown reason, though Postgres answers: what fails
                alone, again and again, while other writes succeed, is a dead letter.

        Raises:
            StoreUnavailable: Postgres is away; some effects may have been written, and repeating adds nothing.
            SourceUnavailable: Kafka takes no dead letter now; likewise.
        """
        started = clock.monotonic()
        tally = Tally(records=len(records))
        catalog = self.rulebook.catalog  # one for the whole batch, whatever comes meanwhile
        try:
            sifted = await self._sift(records, catalog)
            tally.wanted, tally.ignored, tally.uncovered = len(sifted.wanted), sifted.ignored, sifted.uncovered
            rejected = sifted.rejected + await self._write_all(sifted.wanted, _Writing(tally, is_narrowed))
            await self.dead_letters.send(rejected)
            tally.reasons += sifted.reasons()
        except StoreUnavailable:
            self.memory.forget()  # an outcome is unknown: nothing that we remember counts
            raise
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

    async def _sift(self, records: Sequence[KafkaRecord], catalog: Catalog) -> Sifted:
        """Parse *records*; pass over what changes nothing, unless another replica has changed what that is based on."""
        sifted = await self._sift_all(records, catalog)
        if changed := await self.memory.changed(sifted.believed):
            self.memory.forget(changed)
            sifted = await self._sift_all(records, catalog)
        return sifted

    async def _sift_all(self, records: Sequence[KafkaRecord], catalog: Catalog) -> Sifted:
        """Sift in slices: others may run between two."""
        sifted = Sifted()
        for begin in range(0, len(records), SLICE_RECORDS):
            if begin:
                await clock.sleep(0)
            sifted.add(self._sift_slice(records[begin : begin + SLICE_RECORDS], catalog))
        return sifted

    def _sift_slice(self, records: Sequence[KafkaRecord], catalog: Catalog) -> Sifted:
        latest = self.rulebook.clock.now() + self.future_tolerance
        # At debug level each record has its line: then each is judged.
        return sift(records, catalog, self.memory.standings, latest=latest, at_a_glance=not logger.is_debug)

    async def _write_all(self, wanted: Sequence[WantedRecord], writing: "_Writing") -> list[DeadLetter]:
        """Judge and write *wanted*, some while Postgres writes others: no two of these parts share an entitlement."""
        parts = [self._write_part(part, writing) for part in in_parts(wanted)]
        done = await asyncio.gather(*parts, return_exceptions=True)
        for one in done:  # all have ended: what is raised here is taken again, and nothing goes on meanwhile
            if isinstance(one, BaseException):
                raise one
        return [letter for part in done if isinstance(part, list) for letter in part]

    async def _write_part(self, part: Sequence[WantedRecord], writing: "_Writing") -> list[DeadLetter]:
        async with self.room:
            return await self._write(part, writing)

    async def _write(self, wanted: Sequence[WantedRecord], writing: "_Writing") -> list[DeadLetter]:
        """Judge and write *wanted*; split what Postgres refuses until the bad record is alone; return those."""
        try:
            return await self._settle(wanted, writing)
        except DataRefused as exc:
            if len(wanted) == 1:
                return [_refused(wanted[0].record, exc)]
        except StoreFailed as exc:
            if not writing.is_narrowed:
                raise
            if len(wanted) == 1:
                return await self._try_alone(wanted, writing, exc)
        letters: list[DeadLetter] = []
        for part in smaller(wanted):
            letters += await self._write(part, writing)
        return letters

    async def _try_alone(
        self, wanted: Sequence[WantedRecord], writing: "_Writing", failed: StoreFailed
    ) -> list[DeadLetter]:
        """Write one record that Postgres fails for an unknown reason; return it where it is the record's fault.

        It is where it fails again and again, each time between two writes of the same kind that Postgres takes. A
        failure of everything, that comes or goes meanwhile, is not the record's fault. Of an entitlement of which one
        did, the others are tried once: mostly it is the row, and there may be thousands.

        Raises:
            StoreFailed: the other writes fail as well.
        """
        for _ in range(1 if wanted[0].key in writing.failed_alone else ALONE_TRIES):
            await outbox.rehearse(self.database, event_id=ids.new())
            try:
                return await self._settle(wanted, writing)
            except DataRefused as exc:
                return [_refused(wanted[0].record, exc)]
            except StoreFailed as exc:
                failed = exc
            await clock.sleep(pauses.RECORD_ALONE)
        await outbox.rehearse(self.database, event_id=ids.new())
        writing.failed_alone.add(wanted[0].key)
        writing.tally.failed_alone += 1
        return [_refused(wanted[0].record, failed)]

    async def _settle(self, wanted: Sequence[WantedRecord], writing: "_Writing") -> list[DeadLetter]:
        """Judge and write *wanted*, and again what was judged on a memory or a rule that has changed.

        Returns:
            Those that make more than one record may.
        """
        letters: list[DeadLetter] = []
        conflicts = 0
        reread = _looked_back_on(wanted)
        while wanted:
            with self.memory.filling() as filling:
                documents = await self.memory.load((one.key for one in wanted), reread=reread)
                folded = fold(wanted, documents, ids.new, self.future_tolerance)
                if stale := {one.key for one, _ in folded.too_many} - reread:
                    reread |= stale  # nothing is written of such a record, so only the row as it is may condemn it
                    continue
                changed = {key: state for key, state in folded.states.items() if state.is_changed}
                results = await self._write_changes(changed)
                self._remember(folded, results, filling)
            again = await self._again(folded.states, results, writing.tally)
            letters += _too_many(folded, again)
            conflicts += bool(again)
            if conflicts > MAX_CONFLICTS:
                raise StoreUnavailable(f"gave up after {MAX_CONFLICTS} version conflicts: the batch is taken again")
            catalog = self.rulebook.catalog
            wanted = [_by_rules_of(catalog, one) for one in (*again, *folded.left)]
            reread |= _looked_back_on(wanted)
        return letters

    async def _write_changes(self, changed: dict[MemoryKey, Folded]) -> dict[MemoryKey, Written]:
        if not changed:
            return {}
        changes = [change(key, state) for key, state in changed.items()]
        with self.handoff.reserve(_recipients(changed.values())) as slots:
            written = await outbox.write(self.database, changes, slots.reserved)
            slots.start([one for of_change in written for one in of_change.leased])
        if any(one.deliveries > len(one.leased) for one in written):
            self.announce()
        return dict(zip(changed, written, strict=True))

    async def _again(
        self,
        folded: dict[MemoryKey, Folded],
        results: dict[MemoryKey, Written],
        tally: Tally,
    ) -> list[WantedRecord]:
        """Count what is settled; return the records to judge again."""
        again: list[WantedRecord] = []
        reasons: list[tuple[RuleType, Reason]] = []
        rule_gone = False
        made = [event for one in results.values() if one.result is Result.WRITTEN for event in one.made]
        said.made(made)
        said.failed(made, [event_id for one in results.values() for event_id in one.failed])
        for key, state in folded.items():
            written = results.get(key)
            if written is None or written.result is Result.WRITTEN:
                reasons += self._settled(state, tally, written)
            else:
                again.extend(state.wanted)
                self.memory.forget([key])
                if written.result is Result.RULE_GONE:
                    rule_gone = True
                    reasons += [(one.rule.type, Reason.RULE_GONE) for one, _ in state.occurrences]
        tally.reasons.update(reasons)  # once for all: a call costs as much as ten of them
        tally.made.update([(event.type, event.action) for event in made])
        if rule_gone:
            await self.rulebook.refresh()
        return again

    def _remember(
        self,
        folded: Fold,
        results: dict[MemoryKey, Written],
        filling: Filling,
    ) -> None:
        """Keep the documents as they are in Postgres now, and where their entitlements stand."""
        documents: dict[MemoryKey, AnyDocument] = {}
        for key, state in folded.states.items():
            written = results.get(key)
            if written is None:
                documents[key] = state.document
            elif written.result is Result.WRITTEN:
                documents[key] = msgspec.structs.replace(state.document, version=state.before.version + 1)
        self.memory.remember({key: document for key, document in documents.items() if document.version}, filling)
        unsettled = {one.key for one, _ in folded.too_many}
        for key, document in documents.items():
            if key not in unsettled and filling.accepts(key):
                settle(self.memory.standings, folded.states[key], document, self.future_tolerance)

    def _settled(self, state: Folded, tally: Tally, written: Written | None) -> Sequence[tuple[RuleType, Reason]]:
        """Count *state*'s events and deliveries; return the reasons of its records."""
        if logger.is_debug:
            said.judged(state, self.future_tolerance)
        if written is None:
            return state.reasons
        tally.events += len(written.made)
        tally.deliveries += written.deliveries
        tally.failed += len(written.failed)
        return as_written(state.reasons, [one for one, _ in state.occurrences], written.was_made)

    def _count_written(self, tally: Tally) -> None:
        for (rule_type, reason), count in tally.reasons.items():
            self.metrics.judged(rule_type.value, reason.value, count)
        for (event_type, action), count in tally.made.items():
            self.metrics.events(event_type, action, count)
        self.metrics.ended("FAILED", "channel_disabled", tally.failed)

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


@dataclass(frozen=True, slots=True)
class _Writing:
    """How a batch's records are written.

    Attributes:
        is_narrowed: what Postgres fails for an unknown reason is split until it is alone, instead of raised.
        failed_alone: of which entitlements and invoices one has.
    """

    tally: Tally
    is_narrowed: bool
    failed_alone: set[MemoryKey] = field(default_factory=set)


def _looked_back_on(wanted: Sequence[WantedRecord]) -> set[MemoryKey]:
    """Return whose documents must be read again: a rule looks back, so another writer's crossing counts at once."""
    return {one.key for one in wanted if looks_back(one.rules)}


def _too_many(folded: Fold, again: Sequence[WantedRecord]) -> list[DeadLetter]:
    """Return those that make too many events, but for what is judged *again*."""
    unsettled = {one.key for one in again}
    return [
        DeadLetter(one.record, Reject(RejectReason.TOO_MANY_EVENTS, why))
        for one, why in folded.too_many
        if one.key not in unsettled
    ]


def _by_rules_of(catalog: Catalog, one: WantedRecord) -> WantedRecord:
    return msgspec.structs.replace(one, rules=catalog.about(one.source))


def _refused(record: KafkaRecord, exc: DataRefused | StoreFailed) -> DeadLetter:
    return DeadLetter(record, Reject(RejectReason.REFUSED, f"Postgres refuses it: {exc}"))


def _recipients(changed: Iterable[Folded]) -> Recipients:
    return Counter(
        (occurrence.rule.namespace, channel)
        for state in changed
        for occurrence, _ in state.occurrences
        for channel in occurrence.rule.channels
    )
