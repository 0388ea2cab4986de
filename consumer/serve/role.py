"""The role `serve`: the API and the console, on the same HTTP server as health and metrics."""

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from aiohttp import web

from consumer import ids, log
from consumer.addresses import Network
from consumer.encryption import Cipher
from consumer.metrics import Metrics
from consumer.serve import bodies, openapi, problems
from consumer.serve.access import ApiToken, Gate, is_loopback
from consumer.serve.api import (
    acts,
    channel_preview,
    channels,
    entitlements,
    events,
    explain,
    flags,
    replicas,
    resends,
    rules,
    samples,
    states,
)
from consumer.serve.api.call import PREFIX, Call, Operation, Served, route
from consumer.serve.console.serving import Console
from consumer.serve.described import Described, Schema
from consumer.serve.problems import ApiProblem
from consumer.store.database import Database


async def get_openapi(_: Call) -> web.Response:
    """Return the document of all of these."""
    return bodies.answer(document())


OPERATIONS = (
    *channels.OPERATIONS,
    *channel_preview.OPERATIONS,
    *acts.OPERATIONS,
    *rules.OPERATIONS,
    *events.OPERATIONS,
    *explain.OPERATIONS,
    *samples.OPERATIONS,
    *states.OPERATIONS,
    *entitlements.OPERATIONS,
    *flags.OPERATIONS,
    *replicas.OPERATIONS,
    *resends.OPERATIONS,
    Operation(
        "get_openapi",
        "GET",
        "/openapi.json",
        get_openapi,
        writes=False,
        about=Described(summary="Read this document", answers={HTTPStatus.OK: dict[str, Any]}),
    ),
)
logger = log.get("api")


@functools.cache
def document() -> Schema:
    """Return the OpenAPI document of the API."""
    return openapi.document(OPERATIONS)


@dataclass(frozen=True, slots=True)
class ForConsole:
    """What the console needs beside the API.

    Attributes:
        prefix: of its links.
        settings: by name, as they are shown: without secrets.
    """

    prefix: str
    settings: Mapping[str, str]


class Api:
    """The API, which answers 503 until it is given a database."""

    def __init__(
        self,
        tokens: Sequence[ApiToken],
        cipher: Cipher | None,
        metrics: Metrics,
        *,
        host: str,
        future_tolerance: dt.timedelta,
        allowed: Sequence[Network],
        console: ForConsole | None,
    ) -> None:
        """Prepare; *console* is None where there is to be no console."""
        self._gate = Gate(tokens)
        self._cipher = cipher
        self._metrics = metrics
        self._off = _off(tokens, cipher, host)
        self._future_tolerance = future_tolerance
        self._reachable = allowed
        self._console = console
        self._database: Database | None = None

    def begin(self, database: Database) -> None:
        """Answer from now on."""
        self._database = database

    def say(self) -> None:
        """Say in one line whether it is on, and why not."""
        if self._off:
            logger.warning("api.off", why=self._off)
        else:
            logger.info("api.on", console="off" if self._console is None else f"{self._console.prefix}/")

    def add_to(self, app: web.Application) -> None:
        """Add the API's routes to *app*."""
        if self._off is None and self._cipher is not None:
            served = Served(self._there, self._cipher, self._future_tolerance, self._reachable)
            app.add_routes([route(operation, served, self._gate, self._metrics) for operation in OPERATIONS])
            if self._console is not None:
                served = replace(served, settings=self._console.settings)
                Console(served, self._gate, self._metrics, OPERATIONS, prefix=self._console.prefix).add_to(app)
        app.router.add_route("*", f"{PREFIX}/{{path:.*}}", self._nothing)

    def _there(self) -> Database:
        if self._database is None:
            raise ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, "starting: Postgres has not been reached yet")
        return self._database

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        try:
            if self._off:
                raise ApiProblem(HTTPStatus.NOT_FOUND, f"the API is off: {self._off}")
            self._gate.admit(request.headers)
            allowed = ", ".join(await self._allowed(request))
            if not allowed:
                raise ApiProblem(HTTPStatus.NOT_FOUND, f"there is no such path: see {PREFIX}/openapi.json")
        except ApiProblem as problem:
            return problems.response(problem, ids.new())
        refusal = ApiProblem(HTTPStatus.METHOD_NOT_ALLOWED, f"method not allowed; allowed: {allowed}")
        answered = problems.response(refusal, ids.new())
        answered.headers["allow"] = allowed
        return answered

    async def _allowed(self, request: web.Request) -> list[str]:
        """Return the methods that the path has."""
        allowed: set[str] = set()
        for resource in request.app.router.resources():
            _, methods = await resource.resolve(request)
            allowed |= methods
        return sorted(allowed - {"*"})


def _off(tokens: Sequence[ApiToken], cipher: Cipher | None, host: str) -> str | None:
    if not tokens and not is_loopback(host):
        return "TOLLBELL_API_TOKENS is not set, and TOLLBELL_HTTP_LISTEN is not a loopback address"
    if cipher is None:
        return "TOLLBELL_ENCRYPTION_KEYS is not set"
    return None
