"""Signing in by a token of the API, and out again."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer import log
from consumer.metrics import Metrics
from consumer.serve import bodies
from consumer.serve.access import Gate, digest_of, hostname, is_loopback
from consumer.serve.console import origins
from consumer.serve.console.rendering import Templates
from consumer.serve.console.sessions import Sessions, is_secure
from consumer.serve.console.slowdown import Slowdown
from consumer.serve.console.visits import FORM, Form, is_place, redirect
from consumer.serve.problems import ApiProblem

_MAX_TOKEN: Final = 4096
_MAX_FORM: Final = 16_384
WRONG: Final = "This is not a token of TOLLBELL_API_TOKENS."
REFUSED: Final = "Too many wrong tokens were tried just now. Try again in a few seconds."
logger = log.get("console")


class SignIn:
    """The page where a session begins."""

    def __init__(self, gate: Gate, sessions: Sessions, templates: Templates, metrics: Metrics, root: str) -> None:
        self._gate = gate
        self._sessions = sessions
        self._templates = templates
        self._metrics = metrics
        self._root = root
        self._slowdown = Slowdown()

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Return the form; with a session, redirect."""
        to = request.query.get("next", "/")
        session = self._sessions.of(request)
        if self._gate.is_open or (session is not None and self._gate.opened_by(session.token)):
            return redirect(f"{self._root}{to if is_place(to) else '/'}")
        return self._page(request, to)

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """Begin a session, if the token is one.

        Raises:
            Problem: the request is of another site, or is no form.
        """
        origins.check(request.headers)
        form = await _form(request)
        to = form.one("next")
        if self._slowdown.is_full(request.remote):
            self._metrics.signed_in("refused")
            return self._page(request, to, REFUSED, HTTPStatus.TOO_MANY_REQUESTS)
        token = digest_of(form.one("token")[:_MAX_TOKEN])
        access = self._gate.opened_by(token)
        if access is None:
            self._metrics.signed_in("wrong")
            logger.warning("console.sign_in_wrong", remote=request.remote)
            await self._slowdown.wrong(request.remote)
            return self._page(request, to, WRONG, HTTPStatus.FORBIDDEN)
        self._metrics.signed_in("accepted")
        logger.info("console.signed_in", namespace=access.namespace, scope=access.scope, remote=request.remote)
        response = redirect(f"{self._root}{to if is_place(to) else '/'}")
        self._sessions.begin(request, response, token)
        return response

    async def switch(self, request: web.Request) -> web.StreamResponse:
        """Look at another namespace from now on, if the session's token is for all of them.

        Raises:
            Problem: the request is of another site; there is no session, or its token is for one namespace.
        """
        origins.check(request.headers)
        session = self._sessions.of(request)
        access = self._gate.opened_by(session.token) if session else None
        if session is None or access is None:
            return redirect(f"{self._root}/sign-in")
        access.check_spans()
        namespace = (await _form(request)).one("namespace")
        response = redirect(f"{self._root}/")
        self._sessions.switch(request, response, session, access.within(namespace).namespace)
        return response

    async def end(self, request: web.Request) -> web.StreamResponse:
        """End the session: its browser forgets it.

        Raises:
            Problem: the request is of another site.
        """
        origins.check(request.headers)
        response = redirect(f"{self._root}/sign-in")
        self._sessions.end(request, response)
        return response

    def _page(
        self, request: web.Request, to: str, problem: str = "", status: HTTPStatus = HTTPStatus.OK
    ) -> web.Response:
        is_safe = is_secure(request) or _is_near(request)
        text = self._templates.page("sign_in", to=to, problem=problem, is_secure=is_safe)
        return web.Response(status=status, text=text, content_type="text/html")


async def _form(request: web.Request) -> Form:
    """Return the form; its sender is not known yet, so it must declare that it is small."""
    length = request.content_length
    if request.content_type != FORM or length is None or length > _MAX_FORM:
        raise ApiProblem(HTTPStatus.BAD_REQUEST, "send the form of the sign-in page")
    return Form(await bodies.whole(request))


def _is_near(request: web.Request) -> bool:
    """Return whether nothing is between browser and console: the warning of plain http is then about nothing."""
    return is_loopback(hostname(f"//{request.host}"))
