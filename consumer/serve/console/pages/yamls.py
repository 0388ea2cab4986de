"""What one sees as YAML, for `tollbell apply`: copied or downloaded. No secret is in it."""

import asyncio
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from consumer.serve.console.page import ConsolePage
from consumer.serve.console.visits import Visit
from consumer.serve.problems import ApiProblem, bad_request
from consumer.store import configured, exported

MOST_NAMED: Final = 100  # a page of a list has 50
MOST_CHANNELS: Final = 200  # of what is named: PyYAML writes a thousand in a second
NONE: Final = "None of these channels and rules is there."


async def show(visit: Visit) -> web.Response:
    """Return the page."""
    channels, rules = _named(visit)
    text = await _text(visit, channels, rules)
    return visit.page("yaml", text=text, query=urlencode({"channel": channels, "rule": rules}, doseq=True))


async def download(visit: Visit) -> web.Response:
    """Return the file."""
    text = await _text(visit, *_named(visit))
    headers = {"Content-Disposition": 'attachment; filename="tollbell.yaml"'}
    return web.Response(text=text, content_type="application/yaml", headers=headers)


def _named(visit: Visit) -> tuple[list[str], list[str]]:
    query = visit.request.rel_url.query
    channels, rules = query.getall("channel", []), query.getall("rule", [])
    if len(channels) + len(rules) > MOST_NAMED:
        raise bad_request(f"at most {MOST_NAMED} channels and rules at once; tollbell export writes all of them")
    if any("\0" in name for name in (*channels, *rules)):
        raise ApiProblem(HTTPStatus.NOT_FOUND, NONE)
    return channels, rules


async def _text(visit: Visit, channels: list[str], rules: list[str]) -> str:
    """Return the YAML of these, and of the channels to which the rules send: a file is whole.

    Raises:
        Problem: 404, none of them is there; 400, they are too many.
    """
    database, namespace = visit.served.database, visit.access.namespace
    named = await configured.rules_of(database, namespace, rules)
    alive = [one for one in named.values() if one.life is None or one.life.deleted_at is None]
    wanted = {*channels, *(channel for one in alive for channel in one.channels)}
    if len(wanted) > MOST_CHANNELS:
        raise bad_request(f"these rules send to {len(wanted)} channels: at most {MOST_CHANNELS} are written at once")
    found = await configured.some_channels(database, visit.served.cipher, namespace, wanted)
    if not found and not alive:
        raise ApiProblem(HTTPStatus.NOT_FOUND, NONE)
    return await asyncio.to_thread(exported.text, namespace, found, sorted(alive, key=lambda one: one.id))


PAGES: Final = (
    ConsolePage("yaml", "GET", "/yaml", show),
    ConsolePage("yaml_file", "GET", "/yaml/tollbell.yaml", download),
)
