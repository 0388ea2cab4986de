"""Routes the console's requests: static files, the sign-in, and pages: each let in, answered, and logged."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer import clock, ids, log, loop
from consumer.errors import StoreFailed
from consumer.metrics import Metrics
from consumer.serve import bodies, large
from consumer.serve.access import Access, Gate
from consumer.serve.api.call import FORESEEN, Operation, Served, problem_of
from consumer.serve.console import origins, rendering
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.pages import PAGES
from consumer.serve.console.recent import SharedForASecond
from consumer.serve.console.rendering import Templates
from consumer.serve.console.sessions import Sessions
from consumer.serve.console.signing_in import SignIn
from consumer.serve.console.visits import Visit, is_polled, redirect
from consumer.serve.large import Turn
from consumer.serve.problems import ApiProblem

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}
_UNCOMPRESSED: Final = 1024  # bytes: fewer are a packet, whatever they are
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
NO_PAGE: Final = "There is no such page."
logger = log.get("console")
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Console:
    """The console, at `/` and under the prefix by which its links begin: whether a proxy strips that or not."""

    def __init__(
        self, served: Served, gate: Gate, metrics: Metrics, operations: tuple[Operation, ...], *, prefix: str
    ) -> None:
        self._served = served
        self._gate = gate
        self._operations = {operation.name: operation for operation in operations}
        self._root = prefix
        self._templates = Templates(prefix)
        self._sessions = Sessions(served.cipher, prefix or "/")
        self._recent: SharedForASecond[bytes] = SharedForASecond()
        self._sign_in = SignIn(gate, self._sessions, self._templates, metrics, prefix)

    def add_to(self, app: web.Application) -> None:
        """Add the console's routes to *app*."""
        for root in dict.fromkeys(("", self._root)):
            for page in PAGES:
                app.router.add_route(page.method, f"{root}{page.path}", self._shown(page))
            app.router.add_route("GET", f"{root}/sign-in", self._open("sign_in", self._sign_in.show))
            app.router.add_post(f"{root}/sign-in", self._open("sign_in", self._sign_in.begin))
            app.router.add_post(f"{root}/sign-out", self._open("sign_out", self._sign_in.end))
            app.router.add_post(f"{root}/namespaces", self._open("switch_namespace", self._sign_in.switch))
            app.router.add_route("GET", f"{root}/static/{{name}}", self._static)
        if self._root:
            app.router.add_route("GET", self._root, self._to_root)
        # Not the API's: what it has not is its own to say.
        app.router.add_route("*", "/{path:(?!api/).*}", self._open("no_page", self._no_page))

    def _shown(self, page: ConsolePage) -> Handle:
        async def work(request: web.Request) -> web.StreamResponse:
            access = self._access(request)
            if access is None:
                return self._to_sign_in(request)
            if request.method != "GET":
                origins.check(request.headers)
            async with Turn(self._served.turns) as turn:
                visit = Visit(
                    request=request,
                    served=self._served,
                    access=access,
                    turn=turn,
                    operations=self._operations,
                    templates=self._templates,
                    root=self._root,
                    can_leave=not self._gate.is_open,
                )
                if is_polled(request):
                    return await _ready(request, await self._polled(page, visit))
                return await _ready(request, await page.work(visit))

        return self._open(page.name, work)

    async def _polled(self, page: ConsolePage, visit: Visit) -> web.Response:
        """Return a part of a page that is looked at again and again: the same for all who may do the same."""

        async def make() -> bytes:
            made = await page.work(visit)
            assert isinstance(made, web.Response) and isinstance(made.body, bytes)  # noqa: S101, PT018 - what pages are
            return made.body

        access = visit.access
        key = (access.namespace, access.scope, str(access.spans), visit.request.rel_url.raw_path_qs)
        return web.Response(body=await self._recent.get(key, make), content_type="text/html", charset="utf-8")

    def _open(self, name: str, work: Handle) -> Handle:
        """Return *work*, with problems as pages, headers, and a line in the log."""

        async def handle(request: web.Request) -> web.StreamResponse:
            started, request_id = clock.monotonic(), ids.new()
            said = {"page": name, "request_id": request_id}
            try:
                met = await loop.survived(work(request), "console.unforeseen", foreseen=FORESEEN, **said)
            except FORESEEN as exc:
                met = exc
                if isinstance(exc, StoreFailed):
                    logger.failed("console.store_failed", exc, **said)
            answer = met if isinstance(met, web.StreamResponse) else self._problem(problem_of(met), request_id)
            if not answer.prepared:
                answer.headers.update(HEADERS)
            duration = round((clock.monotonic() - started) * 1000)
            say = logger.debug if is_polled(request) else logger.info  # a look every two seconds
            say("console.answered", status=answer.status, duration_ms=duration, **said)
            return answer

        return handle

    def _access(self, request: web.Request) -> Access | None:
        """Return what *request* may do; None where it has no session, or none any more.

        Raises:
            Problem: 403: without tokens, it comes from elsewhere.
        """
        if self._gate.is_open:
            return self._gate.admit(request.headers)
        session = self._sessions.of(request)
        access = self._gate.opened_by(session.token) if session else None
        # Which was chosen is kept in the session; a token that is for one namespace alone meanwhile sees that one.
        return access.within(session.namespace) if session and access and access.spans else access

    def _to_sign_in(self, request: web.Request) -> web.StreamResponse:
        if is_polled(request):
            raise ApiProblem(HTTPStatus.UNAUTHORIZED, "The session has ended: sign in again.")
        place = request.rel_url.raw_path_qs
        below = place.removeprefix(self._root) if place.startswith(f"{self._root}/") else place
        if request.method != "GET" or below == "/":
            return redirect(f"{self._root}/sign-in")
        return redirect(f"{self._root}/sign-in", next=below)

    async def _to_root(self, _: web.Request) -> web.StreamResponse:
        return redirect(f"{self._root}/")

    async def _no_page(self, request: web.Request) -> web.StreamResponse:
        """Answer what no route takes: a path that is not there, or a method that is not a page's."""
        allowed = set[str]()
        for resource in request.app.router.resources():
            allowed |= (await resource.resolve(request))[1]
        if not (others := sorted(allowed - {"*", request.method})):
            raise ApiProblem(HTTPStatus.NOT_FOUND, NO_PAGE)
        answer = self._problem(
            ApiProblem(HTTPStatus.METHOD_NOT_ALLOWED, f"Here is only {', '.join(others)}."), ids.new()
        )
        answer.headers["Allow"] = ", ".join(others)
        return answer

    def _problem(self, problem: ApiProblem, request_id: str) -> web.Response:
        text = self._templates.page("problem", problem=problem, request_id=request_id)
        return web.Response(status=problem.status, text=text, content_type="text/html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        content, kind = rendering.static_files().get(request.match_info["name"], (None, ""))
        if content is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, headers=HEADERS)
        answer = web.Response(body=content, content_type=kind, charset="utf-8", headers=HEADERS | _FOR_EVER)
        answer.enable_compression()
        return answer


async def _ready(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Return *answer* as it is sent: compressed where the browser can; 304 where a polled part has not changed."""
    answer.headers.update(HEADERS)
    if not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
        return answer
    if is_polled(request):
        answer.headers["ETag"] = tag = f'"{rendering.digest(answer.body)}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=HEADERS | {"ETag": tag})
    if len(answer.body) > _UNCOMPRESSED and "gzip" in request.headers.get("Accept-Encoding", ""):
        answer.headers["Content-Encoding"] = "gzip"
        body = answer.body
        is_long = len(body) > bodies.IN_A_THREAD_BYTES
        answer.body = await asyncio.to_thread(_compressed, body) if is_long else _compressed(body)
    return await large.send(request, answer)


def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)
