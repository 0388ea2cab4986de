"""Channels: listed, one of them with all that concerns it, and what a person does with it."""

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from consumer import clock
from consumer.serve.api.call import MADE
from consumer.serve.console import paging
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.visits import Form, Visit, segment
from consumer.serve.problems import ApiProblem
from schemas import answers, times

RECENT: Final = 15  # deliveries and jobs of a channel that its page shows
SPANS: Final = {"1h": dt.timedelta(hours=1), "1d": dt.timedelta(days=1), "7d": dt.timedelta(days=7)}


async def show_all(visit: Visit) -> web.Response:
    """Return the list."""
    wanted = paging.configured(visit.query)
    found = await visit.read(answers.Page[answers.NotificationChannel], "list_channels", query=wanted)
    return visit.page("channels", found=found, pages=paging.Numbered.of(found, visit.query))


async def show(visit: Visit) -> web.Response:
    """Return one channel."""
    return await shown(visit, visit.request.match_info["channel"])


async def shown(visit: Visit, name: str, **more: Any) -> web.Response:
    """Return one channel, with *more* on its page."""
    channel = await visit.read(answers.NotificationChannel, "get_channel", channel=name)
    newest = urlencode({"order": "DESC", "pageSize": RECENT})
    rules = await visit.read(
        answers.Page[answers.NotificationRule], "list_rules", query=_of(channel.id, includeDisabled="true")
    )
    deliveries = await visit.read(answers.DeliveryPage, "list_deliveries", query=newest, channel=channel.id)
    jobs = await visit.read(answers.Page[answers.Job], "list_jobs", query=_of(channel.id, pageSize="5"))
    context: dict[str, Any] = {
        "channel": channel,
        "rules": rules,
        "deliveries": deliveries,
        "jobs": jobs,
        "rotated": "",
        "is_new": False,
        "warnings": None,
    }
    return visit.page("channel", **context | more)


async def test(visit: Visit) -> web.Response:
    """Send a sample; lead to its event."""
    channel = visit.request.match_info["channel"]
    event = await visit.read(answers.NotificationEvent, "test_channel", channel=channel)
    return visit.go(f"/events/{event.id}", said="sampled")


async def enable(visit: Visit) -> web.Response:
    """Enable it."""
    return await _changed(visit, "enable_channel", "enabled")


async def disable(visit: Visit) -> web.Response:
    """Disable it."""
    return await _changed(visit, "disable_channel", "disabled")


async def delete(visit: Visit) -> web.Response:
    """Delete it; its page stays."""
    return await _changed(visit, "delete_channel", "deleted")


async def rotate(visit: Visit) -> web.Response:
    """Give it another secret, which this one answer shows: so it leads nowhere else."""
    form = await visit.form()
    body = {"overlap": form.one("overlap")} if form.one("overlap") else {}
    made = await visit.read(
        answers.NotificationChannel, "rotate_secret", body=body, channel=visit.request.match_info["channel"]
    )
    return await shown(visit, made.id, rotated=made.signing_secret)


async def recover(visit: Visit) -> web.Response:
    """Send again what it missed; lead to the job."""
    form = await visit.form()
    channel, new_id = visit.request.match_info["channel"], visit.id_of(form)
    try:
        job = await visit.read(answers.Job, "recover_channel", body=_span(form), new_id=new_id, channel=channel)
    except ApiProblem as problem:
        if problem.detail != MADE:
            raise
        return visit.go(f"/jobs/{new_id}", said="recovering")
    return visit.go(f"/jobs/{job.id}", said="recovering")


def _span(form: Form) -> dict[str, str]:
    """Return the span of time that was chosen, or typed."""
    if ago := SPANS.get(form.one("span")):
        return {"since": times.text(clock.now() - ago)}
    return {name: form.one(name) for name in ("since", "until") if form.one(name)}


async def _changed(visit: Visit, operation: str, said: str) -> web.Response:
    channel = visit.request.match_info["channel"]
    await visit.ask(operation, channel=channel)
    return visit.go(f"/channels/{segment(channel)}", said=said)


def _of(channel_id: str, **more: str) -> str:
    return urlencode({"channel": channel_id, **more})


PAGES: Final = (
    ConsolePage("channels", "GET", "/channels", show_all),
    ConsolePage("channel", "GET", "/channels/{channel}", show),
    ConsolePage("test_channel", "POST", "/channels/{channel}/test", test),
    ConsolePage("enable_channel", "POST", "/channels/{channel}/enable", enable),
    ConsolePage("disable_channel", "POST", "/channels/{channel}/disable", disable),
    ConsolePage("delete_channel", "POST", "/channels/{channel}/delete", delete),
    ConsolePage("rotate_secret", "POST", "/channels/{channel}/rotate", rotate),
    ConsolePage("recover_channel", "POST", "/channels/{channel}/recover", recover),
)
