"""The form of a channel: made or changed, with what it would send before it is saved."""

from http import HTTPStatus
from typing import Any, Final, get_args

from aiohttp import web

from consumer.serve.api.call import CHANGED, MADE
from consumer.serve.console import drafts
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.pages import channels
from consumer.serve.console.visits import Texts, Visit
from consumer.serve.problems import ApiProblem, conflict
from consumer.store import configured
from schemas import answers
from schemas.channels import Format

FORMATS: Final = [(name, name) for name in get_args(Format)]


async def new(visit: Visit) -> web.Response:
    """Return an empty form."""
    return await _page(visit, Texts(format="openmeter"))


async def create(visit: Visit) -> web.Response:
    """Make the channel; its page shows the secret, once."""
    form = await visit.form()
    draft, new_id = drafts.of_form(form, drafts.CHANNEL_FIELDS), visit.id_of(form)
    try:
        body = drafts.channel_body(draft)
        if form.one("act") == "preview":
            return await _previewed(visit, draft, body)
        made = await visit.read(answers.NotificationChannel, "create_channel", body=body, new_id=new_id)
    except ApiProblem as problem:
        if problem.detail == MADE:
            return visit.go(f"/channels/{new_id}", said="made_channel")
        return await _page(visit, draft, problem=_of_form(problem))
    more = {"rotated": made.signing_secret, "is_new": True, "warnings": made.warnings}
    return await channels.shown(visit, made.id, **more)


async def edit(visit: Visit) -> web.Response:
    """Return the form with the channel as it is."""
    channel = await _found(visit)
    return await _page(visit, drafts.of_channel(channel), channel)


async def update(visit: Visit) -> web.Response:
    """Change the channel; who disabled it stays."""
    form = await visit.form()
    draft, seen_at = drafts.of_form(form, drafts.CHANNEL_FIELDS), form.one("updatedAt")
    channel = await _found(visit)
    try:
        body = drafts.channel_body(draft)
        if form.one("act") == "preview":
            return await _previewed(visit, draft, body, channel, seen_at=seen_at)
        if seen_at != channel.updated_at:  # before what else is wrong with it
            raise conflict(CHANGED)
        changed = await visit.read(
            answers.NotificationChannel, "update_channel", body=body, seen_at=seen_at, channel=channel.id
        )
    except ApiProblem as problem:
        if problem.detail == CHANGED:
            now = await _found(visit)
            if draft == drafts.of_channel(now):  # by this very form, which was sent twice
                return visit.go(f"/channels/{channel.id}", said="saved")
            return await _page(visit, draft, now, problem=problem)  # once it has been read, it may be saved
        return await _page(visit, draft, channel, problem=_of_form(problem), seen_at=seen_at)
    if changed.warnings:  # which this one answer has
        return await channels.shown(visit, channel.id, warnings=changed.warnings)
    return visit.go(f"/channels/{channel.id}", said="saved")


async def _found(visit: Visit) -> answers.NotificationChannel:
    return await visit.read(answers.NotificationChannel, "get_channel", channel=visit.request.match_info["channel"])


def _of_form(problem: ApiProblem) -> ApiProblem:
    """Return *problem*, where the form can say it; one of access, or of us, is raised."""
    if problem.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT}:
        raise problem
    return problem


async def _previewed(
    visit: Visit,
    draft: Texts,
    body: dict[str, Any],
    channel: answers.NotificationChannel | None = None,
    *,
    seen_at: str = "",
) -> web.Response:
    try:
        asked = drafts.for_preview(body)
        if channel and drafts.is_masked(body["url"]):
            # By it its format knows that it is a webhook of its own. It stays a secret, whatever the form says of that.
            asked |= {"url": await _stored_url(visit, channel), "secretUrl": True}
        preview = await visit.read(answers.ChannelPreview, "preview_channel", body=asked)
    except ApiProblem as problem:
        return await _page(visit, draft, channel, problem=_of_form(problem), seen_at=seen_at)
    return await _page(visit, draft, channel, preview=preview, seen_at=seen_at)


async def _stored_url(visit: Visit, channel: answers.NotificationChannel) -> str:
    """Return the URL as it is stored; the answer to a preview masks it again."""
    served = visit.served
    stored = await configured.channel(served.database, served.cipher, visit.access.namespace, channel.id)
    return stored.config.url if stored and stored.shown_url == channel.url else channel.url


async def _page(
    visit: Visit,
    draft: Texts,
    channel: answers.NotificationChannel | None = None,
    *,
    problem: ApiProblem | None = None,
    preview: answers.ChannelPreview | None = None,
    seen_at: str = "",
) -> web.Response:
    """Return the form; *seen_at*: when what it was filled from was changed, where that is not now looked at."""
    visit.access.check_write()
    return visit.page(
        "channel_form",
        problem.status if problem else HTTPStatus.OK,
        draft=draft,
        channel=channel,
        problem=problem,
        faults=drafts.by_field(problem.faults if problem else ()),
        preview=preview,
        formats=FORMATS,
        seen_at=seen_at or (channel.updated_at if channel else ""),
    )


PAGES: Final = (
    ConsolePage("new_channel", "GET", "/channels/new", new),
    ConsolePage("create_channel", "POST", "/channels/new", create),
    ConsolePage("edit_channel", "GET", "/channels/{channel}/edit", edit),
    ConsolePage("update_channel", "POST", "/channels/{channel}/edit", update),
)
