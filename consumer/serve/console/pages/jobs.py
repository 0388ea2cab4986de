"""Jobs: resends and recoveries, and how far they are."""

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from consumer.serve.console import paging
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.visits import Visit
from schemas import answers


async def show_all(visit: Visit) -> web.Response:
    """Return the list."""
    query = {"page": visit.query.get("page", "1"), "pageSize": str(paging.SIZE)}
    if state := visit.query.get("state"):
        query["state"] = state
    found = await visit.read(answers.Page[answers.Job], "list_jobs", query=urlencode(query))
    channels = await visit.channel_names(job.channel_id for job in found.items if job.channel_id)
    return visit.page("jobs", found=found, channels=channels, pages=paging.Numbered.of(found, visit.query))


async def show(visit: Visit) -> web.Response:
    """Return one job."""
    job = await visit.read(answers.Job, "get_job", job=visit.request.match_info["job"])
    channels = await visit.channel_names([job.channel_id] if job.channel_id else [])
    return visit.page("job", job=job, channels=channels)


PAGES: Final = (
    ConsolePage("jobs", "GET", "/jobs", show_all),
    ConsolePage("job", "GET", "/jobs/{job}", show),
)
