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

from consumer.decide import levels
from consumer.decide.entitlements import feature_of
from consumer.decide.model import Document, Level, Reason
from schemas.glance import Glance, Number
from schemas.rules import BalanceThresholdSpec, Rule, RuleType
from schemas.sources import Snapshot

_FAR: Final = 10**39  # beyond every amount
_LAST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


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
        its record late or of a period that is over.
    """
    if snapshot.is_deleted or snapshot.reset_at is not None:
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
    rules = under.rules or ()
    made = Standing(
        seen.said,
        under,
        why,
        since,
        before,
        **_lines(rules, snapshot),
        version=document.version if document is not None and looks_back(rules) else None,
    )
    return made if stands(made, seen) else None


def looks_back(rules: Sequence[Rule]) -> bool:
    """Return whether one of *rules* makes something of a level that is no longer reached: re-arms, or recovers."""
    for rule in rules:  # not any(): each settled record asks
        spec = rule.spec
        if type(spec) is BalanceThresholdSpec and spec.looks_back:
            return True
    return False


def _lines(rules: Sequence[Rule], snapshot: Snapshot) -> dict[str, Number]:
    level = Level(snapshot.usage, snapshot.allowance, snapshot.balance)
    found: dict[str, Decimal] = {}
    for rule in rules:
        if type(rule.spec) is not BalanceThresholdSpec:  # isinstance asks pydantic's metaclass, which is slow
            continue
        lines = rule.spec.lines
        for line, place in zip(lines, levels.placed(lines, level), strict=True):
            amount, is_reached = place.amount, place.is_reached
            if is_reached is None or amount is None:
                continue
            if line.is_balance:
                name, nearest = ("balance_to", min) if is_reached else ("balance_above", max)
            else:
                name, nearest = ("usage_from", max) if is_reached else ("usage_below", min)
            found[name] = nearest(found[name], amount) if name in found else amount
    return {name: _number(amount) for name, amount in found.items()}


def _number(line: Decimal) -> Number:
    """Return *line* as it is compared fastest."""
    return int(line) if line == line.to_integral_value() else line
