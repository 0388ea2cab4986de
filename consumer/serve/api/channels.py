"""/notification/channels: made, read, listed, changed, deleted."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from consumer import addresses
from consumer.errors import Refused
from consumer.serve import bodies
from consumer.serve.api import lists, shown
from consumer.serve.api.alive import alive
from consumer.serve.api.call import Call, Operation
from consumer.serve.described import CLASH, Described, RequestBody
from consumer.serve.problems import Fault, bad_request, invalid, not_found
from consumer.store import configuration, configured, wanted
from consumer.store.configuration import Edit
from consumer.store.configured import StoredChannel
from schemas import answers, refusals
from schemas.channels import ChannelConfig
from schemas.rules import RuleType

# What an answer has and a person does not set: clients put back what they read.
READ_ONLY: Final = frozenset(
    {
        "id",
        "createdAt",
        "updatedAt",
        "deletedAt",
        "annotations",
        "disabledBy",
        "disabledReason",
        "pausedUntil",
        "allowedRate",
        "warnings",
    }
)

_LEFT_OUT: Final = {"custom_headers": "customHeaders", "secrets": "secrets"}  # of a PUT: what is stored stays


async def create(call: Call) -> web.Response:
    """Make a channel; the answer is the only one with its signing secret."""
    config = _config(_without_read_only(await call.body()))
    await _check_reach(call, config.url)
    await call.served.trials.of(config)
    unmasked = _unmasked(call, config, None)
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        planned = wanted.channel(config, call.namespace, None, unmasked=unmasked).channel
        made = replace(planned, id=await call.new_id(edit.channel))
        await edit.put_channel(made, before=None)
        stored = await edit.channel(made.id)
    assert stored is not None  # noqa: S101 - it was put a line above
    answer = shown.channel(stored, made=stored.signing_secret, warnings=unmasked.warnings)
    return bodies.answer(answer, HTTPStatus.CREATED)


async def get(call: Call) -> web.Response:
    """Return a channel, deleted or not."""
    return bodies.answer(shown.channel(await found(call)))


async def list_all(call: Call) -> web.Response:
    """Return a page of channels."""
    query = call.query()
    which = lists.selection(query)
    query.check()
    found = await configured.channel_page(call.served.database, call.served.cipher, call.namespace, which)

    async def show(part: list[StoredChannel]) -> list[object]:
        return [shown.channel(one) for one in part]

    return bodies.answer(await lists.page(call, which, found, show))


async def update(call: Call) -> web.Response:
    """Change all of a channel; a secret that is left out, or a mask, keeps what is stored."""
    body = _without_read_only(await call.body())
    before = await found(call)
    # Before the edit, which other editors wait for. A URL that stays is not looked at: a person must be able to
    # disable a channel whose host has moved to an address that is refused.
    config = _config(body)
    if config.url not in {before.config.url, before.shown_url}:
        await _check_reach(call, config.url)
    await call.served.trials.of(config)
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        stored = await changeable(edit, call)
        keeps = [name for name, alias in _LEFT_OUT.items() if alias not in body]
        types = await edit.types_of(stored.id) or None
        unmasked = _unmasked(call, config, stored, keeps=keeps, types=types)
        await edit.put_channel(wanted.channel(config, call.namespace, stored, unmasked=unmasked).channel, before=stored)
        changed = await edit.channel(stored.id)
    assert changed is not None  # noqa: S101 - it was there a line above
    return bodies.answer(shown.channel(changed, warnings=unmasked.warnings))


async def delete(call: Call) -> web.Response:
    """Delete a channel that no rule sends to."""
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        stored = await edit.channel(call.named["channel"])
        if stored is None:
            raise not_found("channel", call.named["channel"])
        if not configured.is_deleted(stored):
            try:
                await edit.delete_channel(stored)
            except Refused as exc:
                raise bad_request(str(exc)) from None
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def found(call: Call) -> StoredChannel:
    """Return the channel that the path names.

    Raises:
        Problem: 404, it is not there.
    """
    channel_id = call.named["channel"]
    stored = await configured.channel(call.served.database, call.served.cipher, call.namespace, channel_id)
    if stored is None:
        raise not_found("channel", channel_id)
    return stored


async def changeable(edit: Edit, call: Call) -> StoredChannel:
    """Return the channel that the path names, to be changed.

    Raises:
        Problem: 404, it is not there; 409, it is deleted, or was changed since its form was filled in.
    """
    channel_id = call.named["channel"]
    stored = alive(await edit.channel(channel_id), "channel", channel_id)
    call.check_seen(stored.life)
    return stored


async def _check_reach(call: Call, url: str) -> None:
    if problem := await addresses.url_refusal(url, call.served.allowed):
        raise bad_request(f"url: {problem}", [Fault("url", problem)])


async def wanted_of(call: Call, body: Mapping[str, Any]) -> tuple[ChannelConfig, wanted.Unmasked]:
    """Return the channel that *body* asks for, as one that is to be made, and what it has in place of masks.

    Raises:
        Problem: 400, with every field at fault; 503: too many templates are tried at once.
    """
    config = _config(_without_read_only(body))
    await call.served.trials.of(config)
    unmasked = _unmasked(call, config, None)
    return config.model_copy(update={"url": unmasked.url}), unmasked


def _without_read_only(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in READ_ONLY}


def _config(body: dict[str, Any]) -> ChannelConfig:
    """Return the channel that *body* asks for.

    Raises:
        Problem: 400, with every field at fault.
    """
    bodies.check_lengths(body)
    given = dict(body)
    if given.get("metadata", {}) is None:
        given.pop("metadata")
    try:
        return ChannelConfig.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as exc:
        raise invalid(exc) from None


def _unmasked(
    call: Call,
    config: ChannelConfig,
    stored: StoredChannel | None,
    *,
    keeps: Collection[str] = (),
    types: Collection[RuleType] | None = None,
) -> wanted.Unmasked:
    """Return what is to be stored in place of masks.

    Raises:
        Problem: 400, one is masked and there is nothing to keep, or something does not fit the format.
    """
    unmasked, wrong = wanted.unmask(config, stored, keeps=keeps, allowed=call.served.allowed, types=types)
    if wrong:
        faults = [Fault(refusals.written(place), problem) for place, problem in wrong]
        raise bad_request(f"{faults[0].field}: {wrong[0][1]}", faults)
    return unmasked


BODY: Final = RequestBody(ChannelConfig, "ChannelConfig", ignored=READ_ONLY)
_IN_USE: Final = {HTTPStatus.BAD_REQUEST: "A rule still sends to it."}

OPERATIONS: Final = (
    Operation(
        "list_channels",
        "GET",
        "/notification/channels",
        list_all,
        writes=False,
        about=Described(
            summary="List channels",
            answers={HTTPStatus.OK: answers.Page[answers.NotificationChannel]},
            query=lists.OF_CONFIGURATION,
        ),
    ),
    Operation(
        "create_channel",
        "POST",
        "/notification/channels",
        create,
        writes=True,
        about=Described(
            summary="Make a channel; the answer is the only one with its signing secret",
            takes=BODY,
            answers={HTTPStatus.CREATED: answers.NotificationChannel},
            problems=CLASH,
        ),
    ),
    Operation(
        "get_channel",
        "GET",
        "/notification/channels/{channel}",
        get,
        writes=False,
        about=Described(summary="Read a channel, deleted or not", answers={HTTPStatus.OK: answers.NotificationChannel}),
    ),
    Operation(
        "update_channel",
        "PUT",
        "/notification/channels/{channel}",
        update,
        writes=True,
        about=Described(
            summary="Change all of a channel; a secret that is left out, or ***, stays",
            takes=BODY,
            answers={HTTPStatus.OK: answers.NotificationChannel},
            problems=CLASH,
        ),
    ),
    Operation(
        "delete_channel",
        "DELETE",
        "/notification/channels/{channel}",
        delete,
        writes=True,
        about=Described(
            summary="Delete a channel that no rule sends to",
            answers={HTTPStatus.NO_CONTENT: None},
            problems=_IN_USE,
        ),
    ),
)
