"""What a person does with a channel: enable or disable it, recover, rotate its secret, look at its deliveries."""

from dataclasses import replace
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web

from consumer.errors import Refused
from consumer.serve import bodies, large
from consumer.serve.api import channels, events, lists, shown
from consumer.serve.api.call import Call, Operation
from consumer.serve.described import CLASH, Described, RequestBody
from consumer.serve.problems import bad_request
from consumer.store import configuration, history, jobs
from consumer.store.history import EventFilter
from schemas import answers, signing_secrets
from schemas.requests import RecoverRequest, RotateRequest


async def enable(call: Call) -> web.Response:
    """Enable a channel that Tollbell or a person disabled; its failures and pauses are forgotten."""
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        stored = await channels.changeable(edit, call)
        await edit.put_channel(replace(stored, disabled_by=None), before=stored, forgets=True)
        enabled = await edit.channel(stored.id)
    assert enabled is not None  # noqa: S101 - it was there a line above
    return bodies.answer(shown.channel(enabled))


async def disable(call: Call) -> web.Response:
    """Disable a channel: its open deliveries end FAILED, no event makes another. Who disabled it before, stays."""
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        stored = await channels.changeable(edit, call)
        await edit.put_channel(replace(stored, disabled_by=stored.disabled_by or "person"), before=stored)
        disabled = await edit.channel(stored.id)
    assert disabled is not None  # noqa: S101 - it was there a line above
    return bodies.answer(shown.channel(disabled))


async def rotate(call: Call) -> web.Response:
    """Sign with a new secret, and for the overlap with the one before as well; the answer has the new one."""
    wanted = bodies.fit(RotateRequest, await call.body())
    new = wanted.signing_secret or signing_secrets.generate()
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        stored = await channels.changeable(edit, call)
        await edit.rotate_secret(stored, new, overlap=wanted.overlap)
        rotated = await edit.channel(stored.id)
    assert rotated is not None  # noqa: S101 - likewise
    return bodies.answer(shown.channel(rotated, made=new))


async def recover(call: Call) -> web.Response:
    """Send again what has not succeeded, of a span of time; the answer is the job that does it."""
    wanted = bodies.fit(RecoverRequest, await call.body())
    channel = await channels.found(call)
    try:
        job_id = await jobs.recover(
            call.served.database,
            call.namespace,
            channel.id,
            since=wanted.since,
            until=wanted.until,
            job_id=await call.new_job_id(),
        )
    except Refused as exc:
        raise bad_request(str(exc)) from None
    job = await jobs.get(call.served.database, call.namespace, job_id)
    assert job is not None  # noqa: S101 - it was made a line above
    made = bodies.answer(shown.job(job), HTTPStatus.ACCEPTED)
    made.headers["location"] = call.job_path(job_id)
    return made


async def list_deliveries(call: Call) -> web.Response:
    """Return a page of a channel's deliveries, in the order of their events."""
    query = call.query()
    page, size = lists.numbers(query)
    channel = await channels.found(call)
    wanted = EventFilter(
        channels=[channel.id],
        states=events.states(query),
        since=query.time("from"),
        until=query.time("to"),
        after=query.one("cursor"),
        descending=lists.is_descending(query),
        limit=size,
        offset=(page - 1) * size,
    )
    query.check()
    found = await history.page(call.served.database, call.namespace, wanted)
    listed = [replace(one, bytes=0) for one in found.parts]  # of events, deliveries say the id alone
    await call.turn.take(sum(one.attempts for one in listed))
    items = large.Items(size)
    for part in large.parts(listed):
        ids = [one.id for one in part]
        for event in await history.read(call.served.database, call.namespace, ids, with_payload=False):
            for one in event.deliveries:
                if one.channel_id == channel.id:
                    delivery = shown.delivery(one)
                    await items.add(answers.ChannelDelivery(event_id=event.id, type=event.type, delivery=delivery))
    answer = answers.DeliveryPage(
        total_count=found.total,
        page=page,
        page_size=size,
        items=cast("list[answers.ChannelDelivery]", items.raws),
        next_cursor=listed[-1].id if len(listed) == size else None,
    )
    return bodies.answer(answer)


OPERATIONS: Final = (
    Operation(
        "enable_channel",
        "POST",
        "/notification/channels/{channel}/enable",
        enable,
        writes=True,
        about=Described(
            summary="Enable a channel that Tollbell or a person disabled",
            answers={HTTPStatus.OK: answers.NotificationChannel},
            problems=CLASH,
        ),
    ),
    Operation(
        "disable_channel",
        "POST",
        "/notification/channels/{channel}/disable",
        disable,
        writes=True,
        about=Described(
            summary="Disable a channel; its open deliveries end FAILED",
            answers={HTTPStatus.OK: answers.NotificationChannel},
            problems=CLASH,
        ),
    ),
    Operation(
        "rotate_secret",
        "POST",
        "/notification/channels/{channel}/secret/rotate",
        rotate,
        writes=True,
        about=Described(
            summary="Sign with a new secret, and for a while with the one before as well; the answer has the new one",
            takes=RequestBody(RotateRequest, "RotateRequest", is_optional=True),
            answers={HTTPStatus.OK: answers.NotificationChannel},
            problems=CLASH,
        ),
    ),
    Operation(
        "recover_channel",
        "POST",
        "/notification/channels/{channel}/recover",
        recover,
        writes=True,
        about=Described(
            summary="Send again what has not succeeded, of events made since a time, and before another",
            takes=RequestBody(RecoverRequest, "RecoverRequest"),
            answers={HTTPStatus.ACCEPTED: answers.Job},
        ),
    ),
    Operation(
        "list_deliveries",
        "GET",
        "/notification/channels/{channel}/deliveries",
        list_deliveries,
        writes=False,
        about=Described(
            summary="List a channel's deliveries, in the order of their events",
            answers={HTTPStatus.OK: answers.DeliveryPage},
            query=(*lists.parameters(events.ORDER_BY)[:-1], *events.TIMES_AND_STATES),
        ),
    ),
)
