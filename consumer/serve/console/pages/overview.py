"""The overview: whether all is well, and what to do next where there is nothing yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from consumer.serve.console.listed import listed
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.visits import Visit
from consumer.store import overview
from consumer.store.overview import MOST_COUNTED, MOST_OF_HOUR
from schemas import answers

NEWEST: Final = "order=DESC&pageSize=8"
HEIGHT: Final = 40  # of a chart, in its own units
WIDTH: Final = 8  # of a bar, with the gap behind it


@dataclass(frozen=True, slots=True)
class Bar:
    """An hour of a chart."""

    x: int
    y: int
    height: int
    total: int
    hours_ago: int


async def show(visit: Visit) -> web.Response:
    """Return the page."""
    found = await overview.overview(visit.served.database, visit.access.namespace)
    newest = await visit.read(answers.NotificationEventPage, "list_events", query=NEWEST)
    channels = await visit.channel_names(one.channel.id for event in newest.items for one in event.delivery_status)
    hours = found.hours
    return visit.page(
        "overview",
        found=found,
        events=listed(newest.items),
        channels=channels,
        bars=bars(hours),
        day=sum(hours),
        is_capped=max(hours) >= MOST_OF_HOUR,
        most_of_hour=MOST_OF_HOUR,
        most=MOST_COUNTED,
    )


def bars(totals: Sequence[int]) -> list[Bar]:
    """Return the bars of *totals*; an hour that has anything has a bar that can be seen."""
    most = max(totals, default=0) or 1
    heights = [max(-(-total * HEIGHT // most), 1) if total else 0 for total in totals]
    return [
        Bar(n * WIDTH, HEIGHT - height, height, total, len(totals) - n)
        for n, (total, height) in enumerate(zip(totals, heights, strict=True))
    ]


PAGES: Final = (ConsolePage("overview", "GET", "/", show),)
