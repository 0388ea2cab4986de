"""/notification/channels/preview: what a channel that is not made would send. Nothing is stored or sent."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer.formats.preview import previews
from consumer.serve import bodies
from consumer.serve.api import channels, shown
from consumer.serve.api.call import Call, Operation
from consumer.serve.described import Described
from schemas import answers
from schemas.channels import shown_url


async def preview_channel(call: Call) -> web.Response:
    """Return what the channel would send of a sample of each type of event."""
    config, unmasked = await channels.wanted_of(call, await call.body())
    now = await call.served.database.now()
    previewed = await call.served.trials.run(config, lambda: list(previews(config, now)))
    items = [
        answers.PreviewedWebhook(
            type=one.type, body=one.body.decode(), bytes=len(one.body), headers=dict(one.headers), problem=one.problem
        )
        for one in previewed
    ]
    warnings = shown.oddities(unmasked.warnings)
    return bodies.answer(answers.ChannelPreview(url=shown_url(config), items=items, warnings=warnings))


OPERATIONS: Final = (
    Operation(
        "preview_channel",
        "POST",
        "/notification/channels/preview",
        preview_channel,
        writes=False,
        about=Described(
            summary="What a channel that is not made would send: a sample of each type of event; nothing is sent",
            takes=channels.BODY,
            answers={HTTPStatus.OK: answers.ChannelPreview},
        ),
    ),
)
