"""Events: found by filters that are the URL's query, one of them with each attempt, sent again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from consumer.serve.api.call import MADE
from consumer.serve.console import paging
from consumer.serve.console.listed import listed
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.summaries import summary
from consumer.serve.console.visits import Texts, Visit, segment
from consumer.serve.problems import ApiProblem
from consumer.store.history import MOST_COUNTED
from schemas import answers

FILTERS: Final = ("type", "state", "rule", "channel", "feature", "customer", "subject", "from", "to")
_SEVERAL: Final = frozenset({"type", "state"})


@dataclass(frozen=True, slots=True)
class AttemptStep:
    """An attempt, and of which channel's delivery it is."""

    channel_id: str
    attempt: answers.Attempt


async def show_all(visit: Visit) -> web.Response:
    """Return the list, the newest first; without a cursor it may be watched live."""
    given = Texts({name: value for name in FILTERS if (value := visit.query[name].strip())})
    cursor = visit.query["cursor"]
    query = given | {"order": "DESC", "pageSize": str(paging.SIZE)} | ({"cursor": cursor} if cursor else {})
    # A comma within a key is a part of it; one between states is not.
    asked = {name: value.split(",") if name in _SEVERAL else value for name, value in query.items()}
    found = await visit.read(answers.NotificationEventPage, "list_events", query=urlencode(asked, doseq=True))
    names = await visit.channel_names(_channels(found.items, given))
    older = urlencode(given | {"cursor": found.next_cursor}) if found.next_cursor else ""
    return visit.page(
        "events",
        events=listed(found.items),
        total=found.total_count,
        is_capped=found.total_count >= MOST_COUNTED,
        filters=given,
        newest=urlencode(given),
        older=older,
        cursor=cursor,
        channels=names,
    )


def _channels(events: Iterable[answers.NotificationEvent], filters: Mapping[str, str]) -> list[str]:
    named = {one.channel.id for event in events for one in event.delivery_status}
    return [*named, filters["channel"]] if "channel" in filters else list(named)


async def show(visit: Visit) -> web.Response:
    """Return one event: its record, its judgement, each attempt."""
    event = await visit.read(answers.NotificationEvent, "get_event", event=visit.request.match_info["event"])
    steps = [AttemptStep(one.channel.id, attempt) for one in event.delivery_status for attempt in one.attempts]
    sent_to = {one.channel.id for one in event.delivery_status}
    names = await visit.channel_names(sent_to | {one.id for one in event.rule.channels})
    return visit.page(
        "event",
        event=event,
        summary=summary(event.type, bytes(event.payload)),
        steps=sorted(steps, key=lambda step: step.attempt.timestamp),
        channels=names,
        others=[one.id for one in event.rule.channels if one.id not in sent_to],
    )


async def resend(visit: Visit) -> web.Response:
    """Send it again, to the channels that were chosen; lead back, where the attempts appear."""
    event = visit.request.match_info["event"]
    form = await visit.form()
    channels = form.all("channel")
    body = {"channels": channels} if channels else None
    try:
        await visit.ask("resend_event", body=body, new_id=visit.id_of(form), event=event)
    except ApiProblem as problem:
        if problem.detail != MADE:
            raise
    return visit.go(f"/events/{segment(event)}", said="resending")


PAGES: Final = (
    ConsolePage("events", "GET", "/events", show_all),
    ConsolePage("event", "GET", "/events/{event}", show),
    ConsolePage("resend_event", "POST", "/events/{event}/resend", resend),
)
