"""Parse: records → what is to be judged, what cannot be read, and what is passed over. Nothing is awaited, or written.

A record is passed over at a glance where its entitlement stands (`standing.py`): its judgement is known then,
and changes nothing. All others are parsed and judged, and where their entitlement stands then is found out.
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from consumer.consume.aiokafka_patch.records import BadBatch
from consumer.consume.batch import Folded, KafkaRecord, WantedRecord
from consumer.consume.dead_letters import DeadLetter
from consumer.consume.fast_path.glance import Glance, look
from consumer.consume.fast_path.standing import Why, stands
from consumer.consume.fast_path.standings import Standings
from consumer.decide.judge import judge
from consumer.decide.model import TOLERANCE, AnyDocument, Document, Reason
from consumer.store.catalog import Catalog
from consumer.store.memory import key_of
from schemas.parse import Ignored, Reject, parse
from schemas.rules import RuleType
from schemas.sources import Snapshot

_LATER: Final = dt.timedelta(microseconds=1)  # the smallest difference there is


@dataclass(slots=True)
class Sifted:
    """What a batch holds. Each record is in one of these.

    Attributes:
        passed: how many records change nothing, by why.
        believed: entitlements of which records were passed over though a rule looks back, and the versions of their
            documents: true only if the rows still have them.
    """

    wanted: list[WantedRecord] = field(default_factory=list)
    rejected: list[DeadLetter] = field(default_factory=list)
    ignored: int = 0
    uncovered: int = 0
    passed: dict[Why, int] = field(default_factory=dict)
    believed: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, other: "Sifted") -> None:
        """Add what comes after this in the batch."""
        self.wanted += other.wanted
        self.rejected += other.rejected
        self.ignored += other.ignored
        self.uncovered += other.uncovered
        self.believed |= other.believed
        for why, count in other.passed.items():
            self.passed[why] = self.passed.get(why, 0) + count

    def reasons(self) -> Counter[tuple[RuleType, Reason]]:
        """Return the reasons of what was passed over, as the judgement would have given them."""
        found: Counter[tuple[RuleType, Reason]] = Counter()
        for why, count in self.passed.items():
            for reason in why.reasons:
                found[reason] += count
        return found


def sift(
    records: Sequence[KafkaRecord],
    catalog: Catalog,
    standings: Standings,
    *,
    latest: dt.datetime,
    at_a_glance: bool = True,
) -> Sifted:
    """Sift *records*.

    Args:
        records: in offset order within each partition.
        catalog: the rules.
        standings: of the memory that the records will be judged on.
        latest: the last moment that is not the future.
        at_a_glance: False to have every record judged.
    """
    sifted = Sifted()
    known, passed = standings.under(catalog), sifted.passed
    turn = standings.turn
    for record in records:
        seen = look(record.value, record.headers) if at_a_glance else None
        if (
            seen is not None
            and (found := known.get(seen.key)) is not None
            and seen.at <= latest
            and (found.under.turn == turn or standings.holds(found.under))
            and (stands(found, seen) or standings.level(found, seen))
        ):
            passed[found.why] = passed.get(found.why, 0) + 1
            if found.version is not None:
                sifted.believed[seen.key] = found.version
            continue
        _parse(record, seen, sifted, catalog, standings, latest)
    for why in [why for why in passed if not why.reasons]:
        sifted.uncovered += passed.pop(why)
    return sifted


def settle(
    standings: Standings,
    state: Folded,
    document: AnyDocument,
    tolerance: dt.timedelta = TOLERANCE,
) -> None:
    """Find out where an entitlement stands, by its last record: *state* is settled, and left *document*.

    A record that changed something is judged once more, as if it came an instant later: so a crossing, or the first
    sight of an entitlement, makes one record that is parsed, not two. One that changed the coarse level alone would be
    judged the same: the judgement does not look at that.
    """
    last, reasons = state.wanted[-1], state.last
    seen, source = last.seen, last.source
    if seen is None or not isinstance(source, Snapshot) or not isinstance(document, Document):
        return
    if state.is_changed and not _is_level_alone(state):
        seen = msgspec.structs.replace(seen, at=seen.at + _LATER)
        source = msgspec.structs.replace(source, calculated_at=source.calculated_at + _LATER)
        document_after, occurrences, reasons = judge(last.rules, source, document, tolerance=tolerance)
        if document_after is not document or occurrences:
            return
    standings.keep(seen, source, last.rules, document, reasons)


def _is_level_alone(state: Folded) -> bool:
    before, after = state.before, state.document
    if state.occurrences or not isinstance(before, Document) or not isinstance(after, Document):
        return False
    return before.level_at != after.level_at and after == msgspec.structs.replace(
        before, level=after.level, level_at=after.level_at
    )


def _parse(
    record: KafkaRecord,
    seen: Glance | None,
    sifted: Sifted,
    catalog: Catalog,
    standings: Standings,
    latest: dt.datetime,
) -> None:
    if isinstance(record.value, BadBatch):
        sifted.rejected.append(DeadLetter(record, record.value.reject))
        return
    match parse(record.value, record.headers, latest=latest):
        case Reject() as reject:
            sifted.rejected.append(DeadLetter(record, reject))
        case Ignored():
            sifted.ignored += 1
        case source:
            key = key_of(source)
            standings.drop(key)
            if rules := catalog.about(source):
                sifted.wanted.append(WantedRecord(record, key, source, rules, seen))
            else:
                sifted.uncovered += 1
                if seen is not None and isinstance(source, Snapshot):
                    standings.keep(seen, source, rules)
