"""The namespaces, and which one is looked at: for tokens that are for all of them."""

from typing import Final

from aiohttp import web

from consumer.serve.console.page import ConsolePage
from consumer.serve.console.visits import Visit
from consumer.store import overview


async def show(visit: Visit) -> web.Response:
    """Return the list; `signing_in` switches."""
    visit.access.check_spans()
    found = await overview.namespaces(visit.served.database)
    return visit.page("namespaces", found=found, is_cut=len(found) == overview.MOST_NAMESPACES)


PAGES: Final = (ConsolePage("namespaces", "GET", "/namespaces", show),)
