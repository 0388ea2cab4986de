"""A visit: one request of a browser, what it may do, and how a page of it asks the API's operations.

In process, by the operation's own function: the same gate, the same checks, the same refusals as over HTTP. So nothing
that the console does is beyond the API.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from aiohttp import web

from consumer.errors import DataRefused, Refused
from consumer.serve import bodies, large
from consumer.serve.access import Access
from consumer.serve.api.call import Call, Operation, PageInput, Served, perform, problem_of
from consumer.serve.console import repeats
from consumer.serve.console.rendering import Templates
from consumer.serve.large import Turn
from consumer.serve.problems import ApiProblem, bad_request, conflict
from consumer.store import configured
from schemas import events

MAX_FIELDS: Final = 1000  # of a form: a rule with a hundred thresholds has three hundred
FORM: Final = "application/x-www-form-urlencoded"
FRAGMENT: Final = "Tollbell-Fragment"  # a request's header: the block of the page that is wanted alone, which is LIVE
LIVE: Final = "live"
# Within this console: no host can be in it, and no segment leads up, to what else the host has beside its prefix.
_PATH: Final = re.compile(r"(?![^?#]*/(?:\.|%2e){1,2}(?:[/?#]|$))/(?![/\\])[^\\\x00-\x20]*", re.IGNORECASE)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser.

    Attributes:
        access: what its session may do.
        named: the parts of its path that name something.
        can_leave: whether there is a session to sign out of.
    """

    request: web.Request
    served: Served
    access: Access
    turn: Turn
    operations: Mapping[str, Operation]
    templates: Templates
    root: str
    can_leave: bool

    @property
    def may_write(self) -> bool:
        """Whether buttons are there; the operations look for themselves."""
        return self.access.scope == "write"

    async def ask(
        self,
        operation: str,
        *,
        query: str = "",
        body: object = None,
        seen_at: str | None = None,
        new_id: str | None = None,
        **named: str,
    ) -> web.Response:
        """Return the operation's answer.

        *seen_at*: 409 `CHANGED` where what it changes was changed since. *new_id*: of what it makes; 409 `MADE` where
        that is there.

        Raises:
            Problem: as the API would answer.
        """
        wanted = self.operations[operation]
        asked = PageInput(query, b"" if body is None else events.encode(body), seen_at, new_id)
        takes = wanted.about.takes if wanted.about else None
        call = Call(self.served, self.access, self.request, self.turn, named, takes, asked)
        try:
            answered = await perform(wanted, call)
        except (Refused, DataRefused) as exc:  # shown on the form: else what was typed is lost
            raise problem_of(exc) from None
        assert isinstance(answered, web.Response)  # noqa: S101 - only what is sent over HTTP is sent in pieces
        return answered

    async def read(
        self,
        model: type[T],
        operation: str,
        *,
        query: str = "",
        body: object = None,
        seen_at: str | None = None,
        new_id: str | None = None,
        **named: str,
    ) -> T:
        """Return the same, read: its numbers have all their digits."""
        answered = await self.ask(operation, query=query, body=body, seen_at=seen_at, new_id=new_id, **named)
        assert isinstance(answered.body, bytes)  # noqa: S101 - of answers with a model
        return msgspec.json.decode(answered.body, type=model)

    async def channel_names(self, ids: Iterable[str]) -> Mapping[str, str]:
        """Return what channels are called, by id; without those of others."""
        return await configured.channel_names(self.served.database, self.access.namespace, set(ids))

    async def form(self) -> "Form":
        """Return the form that was sent.

        Raises:
            Problem: 415, 413, 400: it is no form, or too large; 409: it was filled in for another namespace.
        """
        if self.request.content_type != FORM:
            raise ApiProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send a form ({FORM})")
        raw = await bodies.whole(self.request)
        await self.turn.take(large.OF_BODY * len(raw))
        form = Form(raw)
        if form.one("namespace") not in {"", self.access.namespace}:  # which another tab has switched meanwhile
            raise conflict(f"this form is for the namespace {form.one('namespace')}, and another one is looked at now")
        return form

    def sealed_id(self) -> str:
        """Return a new id for what a form makes, as the form carries it."""
        return repeats.sealed_id(self.served.cipher, self.access.namespace)

    def id_of(self, form: "Form") -> str | None:
        """Return the id that *form* has for what it makes; None of one that was written by others.

        Raises:
            Problem: 400: it is none that was given to a form of this namespace.
        """
        sealed = form.one("makes")
        return repeats.opened_id(self.served.cipher, self.access.namespace, sealed) if sealed else None

    def page(self, name: str, status: HTTPStatus = HTTPStatus.OK, **context: Any) -> web.Response:
        """Return the page of the template *name*, or the block of it that was asked for alone."""
        context["visit"] = self
        if is_polled(self.request) and self.templates.has_block(name, LIVE):
            text = self.templates.fragment(name, LIVE, **context)
        else:
            text = self.templates.page(name, **context)
        return web.Response(status=status, text=text, content_type="text/html")

    def go(self, path: str, **said: str) -> web.Response:
        """Return what leads to another page, after something was done."""
        return redirect(f"{self.root}{path}", **said)

    @property
    def query(self) -> "Texts":
        """The parameters of its URL, the last of each name."""
        return Texts(self.request.rel_url.query)

    @property
    def section(self) -> str:
        """Which part of the console it is in: `/events`."""
        return "/" + self.request.path.removeprefix(self.root).strip("/").partition("/")[0]


class Texts(dict[str, str]):
    """Texts by name; one that is not there is empty."""

    def __missing__(self, _: str) -> str:
        return ""


class Form:
    """What a form had: each of its fields is a text, or several."""

    def __init__(self, raw: bytes) -> None:
        """Read *raw*.

        Raises:
            Problem: 400: it has too many fields, or is no text.
        """
        try:
            pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        except ValueError:  # UnicodeDecodeError is one
            raise bad_request(f"the form is not UTF-8, or has more than {MAX_FIELDS} fields") from None
        self._given: dict[str, list[str]] = {}
        for name, value in pairs:
            self._given.setdefault(name, []).append(value.replace("\r\n", "\n"))

    def one(self, name: str) -> str:
        """Return a field's text without spaces around it; empty where it is not there."""
        return self._given.get(name, [""])[-1].strip()

    def raw(self, name: str) -> list[str]:
        """Return the texts of a field that is there several times, empty ones too: each in its row."""
        return self._given.get(name, [])

    def all(self, name: str) -> list[str]:
        """Return the texts of a field that may be there several times, without empty ones."""
        return [value.strip() for value in self._given.get(name, []) if value.strip()]


def is_polled(request: web.Request) -> bool:
    """Return whether *request* is a look at what is live on a page."""
    return request.method == "GET" and request.headers.get(FRAGMENT) == LIVE


def redirect(to: str, **said: str) -> web.Response:
    """Return what leads a browser to *to* with GET."""
    location = f"{to}?{urlencode(said)}" if said else to
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"location": location})


def is_place(text: str) -> bool:
    """Return whether *text* is a path within this console, and so may be gone to after the sign-in."""
    return _PATH.fullmatch(text) is not None


def segment(text: str) -> str:
    """Return *text* as a segment of a path."""
    return quote(text, safe="")
