"""What the oracle expects of rules and records, and whether the judgement does the same."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf

from consumer.decide.model import Document, InvoiceDocument
from tests.property.oracle import Story
from tests.property.words import About, Billed, Event, Rule, Shown
from tests.property.world import World, line, minutes


def begun(rules: Mapping[str, Rule]) -> Story:
    """A story whose rules were always there."""
    story = Story()
    for name, rule in rules.items():
        story.edited(name, rule, -inf)
    return story


def go_on(story: Story, records: Iterable[Shown | Billed], now: float = 0) -> Story:
    for record in records:
        if isinstance(record, Billed):
            story.billed(record)
        else:
            story.shown(record, now)
    return story


def in_turn(events: Iterable[Event]) -> dict[tuple[str, About], list[Event]]:
    """Each rule's own of each entitlement or invoice, in order: they are independent of each other."""
    found: dict[tuple[str, About], list[Event]] = {}
    for event in events:
        found.setdefault(event[:2], []).append(event)
    return found


def of_thresholds(events: Sequence[Event]) -> Iterator[tuple[str, list[tuple[object, object]]]]:
    """The rule, and the actions and episodes in turn, of each threshold in each period of each entitlement."""
    found: dict[tuple[object, ...], list[tuple[object, object]]] = {}
    for event in events:
        period, threshold, action, episode = event.identity
        found.setdefault((event.rule, event.about, period, threshold), []).append((action, episode))
    return ((str(about[0]), in_order) for about, in_order in found.items())


def check(world: World, story: Story) -> None:
    """Compare the events, the reasons, and what is remembered."""
    assert in_turn(world.events) == in_turn(story.events)
    assert Counter(world.reasons) == Counter(story.reasons)
    entitlements = {key[:2]: one for key, one in world.documents.items() if isinstance(one, Document)}
    known = {about: one for about, one in entitlements.items() if one.period_from is not None}
    assert {about: remembered(one) for about, one in known.items()} == {
        about: (
            *(one.period, one.end, one.begins, one.ended, one.known, one.newest),
            *(one.as_of, one.deleted_at, one.active_to, one.feature, one.reset_until, one.marks),
        )
        for about, one in story.memories.items()
    }
    invoices = {key[:2]: one for key, one in world.documents.items() if isinstance(one, InvoiceDocument)}
    assert {about: (minutes(one.as_of), one.state) for about, one in invoices.items()} == story.invoices


def remembered(one: Document) -> tuple[object, ...]:
    """What a document says, in the oracle's words."""
    marks = {
        (rule, line(threshold)): (mark.state, mark.episode)
        for rule, of_rule in one.marks.items()
        for threshold, mark in of_rule.items()
    }
    period = (minutes(one.period_from), minutes(one.period_to, inf), minutes(one.begins_at or one.period_from))
    known = (minutes(one.known_at), minutes(one.newest_at), minutes(one.as_of))
    feature = one.feature and (one.feature.id, one.feature.key)
    gone = (minutes(one.deleted_at), minutes(one.active_to, inf))
    return (*period, one.ended, *known, *gone, feature, minutes(one.reset_until), marks)
