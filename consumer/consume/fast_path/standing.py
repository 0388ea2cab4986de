"""How an entitlement stands: what its records are judged like while none of them crosses a line. Pure.

A snapshot that changed nothing is the measure of those after it. Whatever the judgement looks at beside time and level
is the same in them (`Glance.said`), the memory is the same (with another document the standing is forgotten), and so
are the rules (`Under`: asked before a standing is believed). Of time and level the judgement asks only on which side of
a line they are: so between the nearest lines every record changes nothing, for the same reasons.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Struct

from consumer.consume.fast_path.glance import Glance, Number
from consumer.decide import levels
from consumer.decide.entitlements import FALL_PAUSE, feature_of
from consumer.decide.model import Document, Level, Reason
from consumer.decide.rules import ENTITLEMENTS
from schemas.rules import Rule, RuleType
from schemas.sources import Snapshot
from schemas.thresholds import Line

_FAR: Final = 10**39  # beyond every amount
_LAST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)
_INSTANT: Final = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, eq=False)
class Why:
    """Why records change nothing: counted by the object, of which there is one for the same reasons (`Standings`)."""

    reasons: tuple[tuple[RuleType, Reason], ...]  # none where no rule is about them


@dataclass(slots=True, eq=False)
class Under:
    """The rules that a record was judged by: those about one feature of a namespace.

    Attributes:
        rules: the very object that the catalog had. While the catalog has it, none of them has changed, and none was
            added. None once it has another one: it never has the old one again.
        turn: which catalog was last asked, for who asks (`Standings`).
    """

    namespace: str
    feature_id: str
    feature_key: str
    rules: Sequence[Rule] | None
    turn: int = -1


class Beyond(NamedTuple):
    """What bounds an entitlement's standing but for its coarse level: the lines of the rules alone.

    Attributes:
        before, usage_from, usage_below: as in `Standing`.
        allowance: of which the coarse level is a part.
    """

    before: dt.datetime
    usage_from: Number
    usage_below: Number
    allowance: Decimal | None


class Standing(NamedTuple):
    """Where an entitlement stands. Entitlements that stand alike may share one.

    Attributes:
        said: as the record said that it is made of.
        under: by what rules it was judged.
        why: such records change nothing.
        after, before: when such a record was calculated, both exclusive.
        usage_from, usage_below: the lines around its usage: it is at the first or above, and below the second.
        balance_above, balance_to: the lines around its balance: it is above the first, at the second or below.
        version: of the document it was judged on, where a rule looks back: another writer may have fired what this
            record recovers from, and nothing that is written would show it. Believed only while the row has it.
        beyond: records between these lines are judged alike too, but may change the coarse level. None where none is
            known.
    """

    said: tuple[object, ...]
    under: Under
    why: Why
    after: dt.datetime
    before: dt.datetime
    usage_from: Number = -_FAR
    usage_below: Number = _FAR
    balance_above: Number = -_FAR
    balance_to: Number = _FAR
    version: int | None = None
    beyond: Beyond | None = None


def stands(standing: Standing, seen: Glance) -> bool:
    """Return whether *seen* is judged like the record that *standing* is made of: nothing changes, nothing fires.

    By the same rules: whether those are still in force is for the caller to know.
    """
    said, _, _, after, before, usage_from, usage_below, balance_above, balance_to, _, _ = standing
    return (
        seen.said == said
        and after < seen.at < before
        and usage_from <= seen.usage < usage_below
        and (seen.balance is None or balance_above < seen.balance <= balance_to)
    )


def stands_but_for_level(standing: Standing, seen: Glance) -> bool:
    """Return whether *seen* is judged like the record that *standing* is made of, but may change the coarse level."""
    beyond = standing.beyond
    return (
        beyond is not None
        and seen.said == standing.said
        and standing.after < seen.at < beyond.before
        and beyond.usage_from <= seen.usage < beyond.usage_below
        and (seen.balance is None or standing.balance_above < seen.balance <= standing.balance_to)
    )


def standing(seen: Glance, snapshot: Snapshot, under: Under, document: Document | None, why: Why) -> Standing | None:
    """Return where the entitlement of a record stands.

    Args:
        seen: the record at a glance.
        snapshot: the same record.
        under: the rules about it; none, where *document* is None.
        document: what it was judged on, and left as it was. What the record says of the end is then either what the
            document has, or not believed because the record is late: of the latter nothing follows for a newer one.
        why: of that judgement.

    Returns:
        None where more than a line decides what becomes of the next record: the entitlement is deleted, not active,
        its record late or of a period that is over; or one of the rules asks for more than lines.
    """
    lines = [ENTITLEMENTS[rule.type].lines(rule) for rule in under.rules or ()]
    if snapshot.is_deleted or snapshot.reset_at is not None or None in lines:
        return None
    since, before = _since(snapshot, document), snapshot.active_to or _LAST
    if since is None or not since < snapshot.calculated_at < before:
        return None
    nearest = _nearest([line for of_rule in lines for line in of_rule or ()], snapshot)
    beyond = Beyond(
        before,
        -_FAR if nearest.usage_from is None else _number(nearest.usage_from),
        _FAR if nearest.usage_below is None else _number(nearest.usage_below),
        snapshot.allowance,
    )
    is_leveled = document is not None and document.level_at is not None
    usage_from, usage_below = beyond.usage_from, beyond.usage_below
    if document is not None and is_leveled:
        before, usage_from, usage_below = _at_level(
            beyond, levels.coarse(snapshot.usage, snapshot.allowance), seen.at, document
        )
    made = Standing(
        seen.said,
        under,
        why,
        since,
        before,
        usage_from,
        usage_below,
        -_FAR if nearest.balance_above is None else _number(nearest.balance_above),
        _FAR if nearest.balance_to is None else _number(nearest.balance_to),
        document.version if document is not None and looks_back(under.rules or ()) else None,
        beyond if is_leveled else None,
    )
    return made if stands(made, seen) else None


def _since(snapshot: Snapshot, document: Document | None) -> dt.datetime | None:
    """Return after when records are judged like *snapshot*; None where *document* has something else than it says."""
    since = snapshot.period_from
    times = [snapshot.active_from]
    if document is not None:
        if document.period_from != snapshot.period_from or document.ended or document.deleted_at is not None:
            return None
        if document.period_to != snapshot.period_to or document.active_to != snapshot.active_to:
            return None
        if feature_of(document, snapshot) is not document.feature:
            return None
        times += [document.as_of, document.begins_at]
    for time in times:
        if time is not None and time > since:
            since = time
    return since


def at_level(standing: Standing, level: int | None, at: dt.datetime, document: Document) -> Standing:
    """Return *standing* after a record of *level*, calculated *at*, that has left *document* and changed no more."""
    said, under, why, after, _, _, _, balance_above, balance_to, version, beyond = standing
    assert beyond is not None  # noqa: S101 - it has a level
    before, usage_from, usage_below = _at_level(beyond, level, at, document)
    return Standing(
        said, under, why, after, before, usage_from, usage_below, balance_above, balance_to, version, beyond
    )


def _at_level(
    beyond: Beyond, level: int | None, at: dt.datetime, document: Document
) -> tuple[dt.datetime, Number, Number]:
    """Return until when, from which usage and below which one the coarse level of *document* stays, in *beyond*.

    It was left by a record of *level*, calculated *at*. A record older than the one that changed it changes nothing,
    whatever its level; one of a lower level not for a while.
    """
    before, usage_from, usage_below, allowance = beyond
    known, changed_at = document.level, document.level_at
    assert changed_at is not None  # noqa: S101 - it has a level
    if level != known and at <= changed_at:
        return min(before, changed_at + _INSTANT), usage_from, usage_below
    if level != known:
        before = min(before, changed_at + FALL_PAUSE)
    if level is not None and known is not None and allowance is not None:
        if known < levels.COARSE_MOST:
            usage_below = min(usage_below, _number(levels.coarse_amount(known + 10, allowance)))
        if level == known > 0:
            usage_from = max(usage_from, _number(levels.coarse_amount(known, allowance)))
    return before, usage_from, usage_below


def looks_back(rules: Sequence[Rule]) -> bool:
    """Return whether one of *rules* makes something of a level that is no longer reached: re-arms, or recovers."""
    for rule in rules:  # not any(): each settled record asks
        about = ENTITLEMENTS.get(rule.type)
        if about is not None and about.looks_back(rule):
            return True
    return False


class _Nearest(Struct):
    """The lines nearest to a level, exactly, as in `Standing`; None where there is none on that side."""

    usage_from: Decimal | None = None
    usage_below: Decimal | None = None
    balance_above: Decimal | None = None
    balance_to: Decimal | None = None

    def add_usage(self, amount: Decimal, *, is_reached: bool) -> None:
        """Take the line of usage at *amount* for the nearest on its side, if it is."""
        if is_reached:
            if self.usage_from is None or amount > self.usage_from:
                self.usage_from = amount
        elif self.usage_below is None or amount < self.usage_below:
            self.usage_below = amount

    def add_balance(self, amount: Decimal, *, is_reached: bool) -> None:
        """Do the same with a line of the balance."""
        if is_reached:
            if self.balance_to is None or amount < self.balance_to:
                self.balance_to = amount
        elif self.balance_above is None or amount > self.balance_above:
            self.balance_above = amount


def _nearest(lines: Sequence[Line], snapshot: Snapshot) -> _Nearest:
    level = Level(snapshot.usage, snapshot.allowance, snapshot.balance)
    found = _Nearest()
    for line, (amount, is_reached) in zip(lines, levels.placed(lines, level), strict=True):
        if is_reached is not None and amount is not None:
            add = found.add_balance if line.is_balance else found.add_usage
            add(amount, is_reached=is_reached)
    return found


def _number(line: Decimal) -> Number:
    """Return *line* as it is compared fastest."""
    whole = int(line)
    return whole if whole == line else line
