"""The role `serve`: the API, on the same HTTP server as health and metrics."""

import datetime as dt
from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web

from consumer import ids, log
from consumer.encryption import Cipher
from consumer.metrics import Metrics
from consumer.serve import problems
from consumer.serve.access import ApiToken, Gate, is_loopback
from consumer.serve.api import acts, channels, events, explain, rules, samples, states
from consumer.serve.api.call import PREFIX, Served, route
from consumer.serve.problems import Problem
from consumer.store.database import Database

OPERATIONS = (
    *channels.OPERATIONS,
    *acts.OPERATIONS,
    *rules.OPERATIONS,
    *events.OPERATIONS,
    *explain.OPERATIONS,
    *samples.OPERATIONS,
    *states.OPERATIONS,
)
logger = log.get("api")


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
    ) -> None:
        self._gate = Gate(tokens)
        self._cipher = cipher
        self._metrics = metrics
        self._off = _off(tokens, cipher, host)
        self._future_tolerance = future_tolerance
        self._database: Database | None = None

    def begin(self, database: Database) -> None:
        """Answer from now on."""
        self._database = database

    def say(self) -> None:
        """Say in one line whether it is on, and why not."""
        if self._off:
            logger.warning("api.off", why=self._off)
        else:
            logger.info("api.on")

    def add_to(self, app: web.Application) -> None:
        """Add the API's routes to *app*."""
        if self._off is None and self._cipher is not None:
            self._metrics.serves(operation.name for operation in OPERATIONS)
            served = Served(self._there, self._cipher, self._future_tolerance)
            app.add_routes([route(operation, served, self._gate, self._metrics) for operation in OPERATIONS])
        app.router.add_route("*", f"{PREFIX}/{{path:.*}}", self._nothing)

    def _there(self) -> Database:
        if self._database is None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "starting: Postgres has not been reached yet")
        return self._database

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        try:
            if self._off:
                raise Problem(HTTPStatus.NOT_FOUND, f"the API is off: {self._off}")
            self._gate.admit(request.headers)
            raise Problem(
                HTTPStatus.NOT_FOUND, f"there is no {request.method} {request.path}: see {PREFIX}/openapi.json"
            )
        except Problem as problem:
            return problems.response(problem, ids.new())


def _off(tokens: Sequence[ApiToken], cipher: Cipher | None, host: str) -> str | None:
    if not tokens and not is_loopback(host):
        return "TOLLBELL_API_TOKENS is not set, and TOLLBELL_HTTP_LISTEN is not a loopback address"
    if cipher is None:
        return "TOLLBELL_ENCRYPTION_KEYS is not set"
    return None
