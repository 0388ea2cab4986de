"""What every call of the API is given, and does around its work: access, problems, one line a request."""

import asyncio
import datetime as dt
import functools
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from consumer import clock, ids, log, loop
from consumer.addresses import Network
from consumer.encryption import Cipher
from consumer.errors import DataRefused, MadeByNewer, Refused, StoreFailed, StoreUnavailable
from consumer.metrics import Metrics
from consumer.serve import bodies, large, problems
from consumer.serve.access import Access, Gate
from consumer.serve.bodies import QueryParameters
from consumer.serve.described import NAMESPACE, Described, RequestBody
from consumer.serve.large import Turn
from consumer.serve.problems import ApiProblem
from consumer.serve.recent import Recent
from consumer.serve.trials import Trials
from consumer.store import configured, jobs
from consumer.store.configured import BY_KEY, Kind, Life
from consumer.store.database import Database
from schemas import times

PREFIX: Final = "/api/v1"
MAX_ID_LENGTH: Final = 64  # an id of ours has 26 characters
MAX_KEY_LENGTH: Final = 256 + len(BY_KEY)
_NAMED: Final = re.compile(r"\{(rule|channel|event)\}")
_KEYED: Final[tuple[Kind, ...]] = ("channel", "rule")
FORESEEN: Final = (ApiProblem, Refused, DataRefused, StoreUnavailable)  # what work may raise: each is answered
AWAY: Final = ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, "Postgres cannot be reached now: try again")
PERHAPS: Final = "Postgres cannot be reached now. Perhaps this was done all the same: look before you try again"
OURS: Final = ApiProblem(HTTPStatus.INTERNAL_SERVER_ERROR, "a mistake of Tollbell's: its log has it under this id")
STORES: Final = ApiProblem(HTTPStatus.INTERNAL_SERVER_ERROR, "Postgres fails this: Tollbell's log has it under this id")
CHANGED: Final = "It was changed meanwhile. Look at it again before you save."
MADE: Final = "This form was sent before, and has made what it asks for."
logger = log.get("api")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Served:
    """What the calls work with."""

    connected: Callable[[], Database]
    cipher: Cipher
    future_tolerance: dt.timedelta
    allowed: Sequence[Network]  # special ranges that may be delivered to all the same
    settings: Mapping[str, str] = field(default_factory=dict)  # by name, without secrets
    turns: asyncio.Semaphore = field(default_factory=large.turns)
    flags: Recent[bytes] = field(default_factory=Recent)
    trials: Trials = field(default_factory=Trials)

    @property
    def database(self) -> Database:
        """Postgres.

        Raises:
            Problem: 503, it has not been reached yet.
        """
        return self.connected()


@dataclass(frozen=True, slots=True)
class PageInput:
    """What a page of the console asks an operation for, in place of its own request's query and body.

    Attributes:
        query: as it is written in a URL.
        body: JSON; empty where there is none.
        seen_at: when what is to be changed was changed before, as its form was filled from it; None: whenever.
        new_id: the id of what is to be made, by which a form makes it once; None: any.
    """

    query: str = ""
    body: bytes = b""
    seen_at: str | None = None
    new_id: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request, and what it may do.

    Attributes:
        turn: to work on what is large; until it is answered.
        named: the parts of its path that name something; a rule or channel by its id, however it was named.
        takes: the body that it may bring.
        asked: by a page; None of a call over HTTP.
    """

    served: Served
    access: Access
    request: web.Request
    turn: Turn
    named: Mapping[str, str]
    takes: RequestBody | None
    asked: PageInput | None = None

    @property
    def namespace(self) -> str:
        """Whose things it sees."""
        return self.access.namespace

    def job_path(self, job_id: str) -> str:
        """Return where a job of its namespace is found, by the same token."""
        query = f"?{urlencode({NAMESPACE.name: self.namespace})}" if self.access.spans else ""
        return f"{PREFIX}/notification/jobs/{job_id}{query}"

    async def ids(self, kind: Kind, names: Sequence[str] | None) -> list[str] | None:
        """Return *names*, each an id or `key:NAME`, as ids; one that is not there stays as it is."""
        if names is None:
            return None
        return await configured.ids_of(self.served.database, self.namespace, kind, names)

    def check_seen(self, life: Life | None) -> None:
        """See that what has this *life* is as a form was filled from it; within the edit that changes it.

        Raises:
            Problem: 409: it was changed meanwhile.
        """
        seen_at = None if self.asked is None else self.asked.seen_at
        if seen_at is not None and (life is None or seen_at != times.text(life.updated_at)):
            raise problems.conflict(CHANGED)

    async def new_id(self, find: Callable[[str], Awaitable[object | None]]) -> str:
        """Return the id of what it makes, of which *find* finds what is there.

        Raises:
            Problem: 409: its form has made it before.
        """
        if self.asked is None or self.asked.new_id is None:
            return ids.new()
        if await find(self.asked.new_id) is not None:
            raise problems.conflict(MADE)
        return self.asked.new_id

    async def new_job_id(self) -> str:
        """Return the same of a job."""
        return await self.new_id(functools.partial(jobs.get, self.served.database, self.namespace))

    def query(self) -> QueryParameters:
        """Return its parameters; which namespace is asked for was looked at before."""
        return QueryParameters(
            self.request.rel_url.raw_query_string if self.asked is None else self.asked.query, known={NAMESPACE.name}
        )

    async def body(self) -> dict[str, object]:
        """Return the JSON object that it brings, or an empty one where it may; a large one once it has its turn.

        Raises:
            Problem: it brings none, and has to.
        """
        is_given = self.request.can_read_body if self.asked is None else bool(self.asked.body)
        if self.takes is not None and self.takes.is_optional and not is_given:
            return {}
        raw = await bodies.received(self.request) if self.asked is None else self.asked.body
        await self.turn.take(large.OF_BODY * len(raw))
        return await bodies.parsed(raw)


Work = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the API.

    Attributes:
        name: a metric's label.
        method, path: below the prefix, as aiohttp writes it.
        work: what it does.
        writes: whether it takes a token of the scope write.
        about: what it takes and answers; a test fails where one says nothing of that.
    """

    name: str
    method: str
    path: str
    work: Work
    writes: bool
    about: Described | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What is answered, and in whose namespace that was."""

    response: web.StreamResponse
    namespace: str


def route(operation: Operation, served: Served, gate: Gate, metrics: Metrics) -> web.RouteDef:
    """Return the route of *operation*: let in by *gate*, its problems answered, logged and counted."""

    async def answer(request: web.Request, request_id: str, turn: Turn) -> Answered:
        namespace = ""

        async def work() -> web.StreamResponse:
            nonlocal namespace
            asked = QueryParameters(request.rel_url.raw_query_string).one(NAMESPACE.name)
            access = gate.admit(request.headers).within(asked)
            namespace = access.namespace
            takes = operation.about.takes if operation.about else None
            return await perform(operation, Call(served, access, request, turn, request.match_info, takes))

        said = {"operation": operation.name, "request_id": request_id}
        try:
            met = await loop.survived(work(), "api.unforeseen", foreseen=FORESEEN, **said)
        except FORESEEN as exc:
            met = exc
            if isinstance(exc, StoreFailed):
                logger.failed("api.store_failed", exc, **said)
        answered = met if isinstance(met, web.StreamResponse) else problems.response(problem_of(met), request_id)
        answered.headers["cache-control"] = "no-store"
        return Answered(answered, namespace)

    async def handle(request: web.Request) -> web.StreamResponse:
        started, request_id = clock.monotonic(), ids.new()
        async with Turn(served.turns) as turn:
            made = await answer(request, request_id, turn)
            sent = await large.send(request, made.response)
        duration = clock.monotonic() - started
        metrics.api(operation.name, sent.status)
        logger.info(
            "api.answered",
            operation=operation.name,
            status=sent.status,
            namespace=made.namespace,
            duration_ms=round(duration * 1000),
            request_id=request_id,
        )
        return sent

    # `/rules/preview` is no rule, `/events/resend` no event: a method that they have not is 405 there, as everywhere.
    path = _NAMED.sub(r"{\1:(?!(?:preview|resend)$)[^/]+}", operation.path)
    return web.route(operation.method, f"{PREFIX}{path}", handle)


async def perform(operation: Operation, call: Call) -> web.StreamResponse:
    """Do what *call* asks of *operation*, if it may; what its path names may be an id or `key:NAME`.

    Raises:
        Problem: it may not, or cannot; 503: whether it has is not known.
    """
    if operation.writes:
        call.access.check_write()
    _check_ids(call.named)
    named = await _resolved(call.named, call.served, call.namespace)
    try:
        return await operation.work(replace(call, named=named))
    except StoreUnavailable as exc:
        if operation.writes and call.request.method != "GET" and not isinstance(exc, StoreFailed):
            raise ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, PERHAPS) from exc
        raise


def _check_ids(named: Mapping[str, str]) -> None:
    """See that what the path names may be an id or key: tables take no NUL, and an answer repeats what was asked."""
    for what, which in named.items():
        is_key = what in _KEYED and which.startswith(BY_KEY)
        is_good = which.isprintable() and (is_key or which.isascii())
        if len(which) > (MAX_KEY_LENGTH if is_key else MAX_ID_LENGTH) or not is_good:
            raise problems.not_found(what, ascii(which[:MAX_ID_LENGTH]))


async def _resolved(named: Mapping[str, str], served: Served, namespace: str) -> Mapping[str, str]:
    """Return what the path names, with ids in place of keys; a key that nothing has stays, and is no id."""
    by_key = [kind for kind in _KEYED if named.get(kind, "").startswith(BY_KEY)]
    if not by_key:
        return named
    found = dict(named)
    for kind in by_key:
        (found[kind],) = await configured.ids_of(served.database, namespace, kind, [named[kind]])
    return found


def problem_of(exc: Exception) -> ApiProblem:
    """Return what is answered to *exc*."""
    match exc:
        case ApiProblem():
            return exc
        case MadeByNewer():
            return ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, str(exc))
        case Refused():
            return problems.conflict(str(exc))
        case DataRefused():
            return problems.conflict(_clash(exc))
        case StoreUnavailable():
            return STORES if isinstance(exc, StoreFailed) else AWAY
        case _:
            return OURS


def _clash(exc: DataRefused) -> str:
    """Return what a person did that the tables' own rules forbid."""
    if "job_pkey" in str(exc):  # the same form, at the same moment
        return MADE
    return "key: another one has it already" if "key_unique" in str(exc) else f"Postgres refuses it: {exc}"
