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


def stands(standing: Standing, seen: Glance) -> bool:
    """Return whether *seen* is judged like the record that *standing* is made of: nothing changes, nothing fires.

    By the same rules: whether those are still in force is for the caller to know.
    """
    said, _, _, after, before, usage_from, usage_below, balance_above, balance_to, _ = standing
    return (
        seen.said == said
        and after < seen.at < before
        and usage_from <= seen.usage < usage_below
        and (seen.balance is None or balance_above < seen.balance <= balance_to)
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
    after = [snapshot.period_from, snapshot.active_from]
    if document is not None:
        if document.period_from != snapshot.period_from or document.ended or document.deleted_at is not None:
            return None
        if document.period_to != snapshot.period_to or document.active_to != snapshot.active_to:
            return None
        if feature_of(document, snapshot) is not document.feature:
            return None
        after += [document.as_of, document.begins_at]
    since = max(time for time in after if time is not None)
    before = snapshot.active_to or _LAST
    if not since < snapshot.calculated_at < before:
        return None
    nearest = _nearest([line for of_rule in lines for line in of_rule or ()], snapshot)
    if document is not None:
        before = min(before, _narrow(nearest, snapshot, document))
    made = Standing(
        seen.said,
        under,
        why,
        since,
        before,
        **{name: _number(amount) for name, amount in nearest.items()},
        version=document.version if document is not None and looks_back(under.rules or ()) else None,
    )
    return made if stands(made, seen) else None


def looks_back(rules: Sequence[Rule]) -> bool:
    """Return whether one of *rules* makes something of a level that is no longer reached: re-arms, or recovers."""
    for rule in rules:  # not any(): each settled record asks
        about = ENTITLEMENTS.get(rule.type)
        if about is not None and about.looks_back(rule):
            return True
    return False


def _nearest(lines: Sequence[Line], snapshot: Snapshot) -> dict[str, Decimal]:
    level = Level(snapshot.usage, snapshot.allowance, snapshot.balance)
    found: dict[str, Decimal] = {}
    for line, place in zip(lines, levels.placed(lines, level), strict=True):
        amount, is_reached = place.amount, place.is_reached
        if is_reached is None or amount is None:
            continue
        if line.is_balance:
            name, nearest = ("balance_to", min) if is_reached else ("balance_above", max)
        else:
            name, nearest = ("usage_from", max) if is_reached else ("usage_below", min)
        found[name] = nearest(found[name], amount) if name in found else amount
    return found


def _narrow(lines: dict[str, Decimal], snapshot: Snapshot, document: Document) -> dt.datetime:
    """Narrow *lines* to where the document's coarse level stays; return until when it does.

    A record older than the one that changed it changes nothing, whatever its level; one of a lower level not for a
    while.
    """
    known, changed_at = document.level, document.level_at
    if changed_at is None:  # the allowance, the same in all of them, gives none
        return _LAST
    level = levels.coarse(Level(snapshot.usage, snapshot.allowance, snapshot.balance))
    if level != known and snapshot.calculated_at <= changed_at:
        return changed_at + _INSTANT
    until = _LAST if level == known else changed_at + FALL_PAUSE
    if level is not None and known is not None and snapshot.allowance is not None:
        if known < levels.COARSE_MOST:
            below = levels.coarse_amount(known + 10, snapshot.allowance)
            lines["usage_below"] = min(lines.get("usage_below", below), below)
        if level == known > 0:
            from_ = levels.coarse_amount(known, snapshot.allowance)
            lines["usage_from"] = max(lines.get("usage_from", from_), from_)
    return until


def _number(line: Decimal) -> Number:
    """Return *line* as it is compared fastest."""
    return int(line) if line == line.to_integral_value() else line
