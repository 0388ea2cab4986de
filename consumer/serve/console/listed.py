"""Events in a list: each with what it says in a line."""

from collections.abc import Iterable
from dataclasses import dataclass

from consumer.serve.console.summaries import Summary, summary
from schemas import answers


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event, and what it says."""

    event: answers.NotificationEvent
    summary: Summary


def listed(events: Iterable[answers.NotificationEvent]) -> list[ListedEvent]:
    """Return *events* with what each says."""
    return [ListedEvent(one, summary(one.type, bytes(one.payload))) for one in events]
