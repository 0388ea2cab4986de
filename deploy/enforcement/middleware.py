"""An ASGI middleware that refuses customers who are cut off: 403 or 429, `application/problem+json`, `Retry-After`.

Pure ASGI, so it serves FastAPI, Starlette, Litestar and Django alike. `Refusals` is the backend that it looks into: one
process. Several processes of an application need one receiver each, or a backend that they share (flagd, Kong).
"""

import json
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from .access import Place
from .receiver import Application, Receive, Send

WAIT_SECONDS: Final = 5  # until the state may be known
POLICY_VIOLATION: Final = 1008  # RFC 6455, 7.4.1


class Refusals:
    """Who is cut off from what, until when, in this process."""

    def __init__(self) -> None:
        self._refused: dict[Place, datetime | None] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self._refused

    def until(self, place: Place) -> datetime | None:
        """Return the end of the usage period in which *place* is refused."""
        return self._refused[place]

    async def cut_off(self, place: Place, until: datetime | None) -> None:
        """See `Backend`; as the two that follow."""
        self._refused[place] = until

    async def give_back(self, place: Place) -> None:
        """Let the customer in."""
        self._refused.pop(place, None)

    async def converge(self, cut_off: Mapping[Place, datetime | None]) -> None:
        """Refuse these and no others."""
        self._refused = dict(cut_off)


Scope = MutableMapping[str, Any]


class AccessMiddleware:
    """Lets a request through where its customer has access to what it asks for."""

    def __init__(
        self,
        app: Application,
        *,
        refusals: Refusals,
        place: Callable[[Scope], Place | None],
        status: HTTPStatus = HTTPStatus.FORBIDDEN,
        is_known: Callable[[], bool] = lambda: True,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Guard *app*.

        Args:
            app: what is guarded.
            refusals: the backend of the enforcer in this process.
            place: which customer a request is of, and which feature it uses; None: not guarded.
            status: 403, or 429 for clients that wait for `Retry-After` by themselves.
            is_known: where it is false, every guarded request is answered 503; give `lambda: enforcer.is_known` to
                admit no request before Tollbell's state is known.
            now: Unix seconds.
        """
        self._app = app
        self._refusals = refusals
        self._place = place
        self._status = status
        self._is_known = is_known
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on."""
        place = self._place(scope) if scope["type"] in {"http", "websocket"} else None
        is_refused = place is not None and (place in self._refusals or not self._is_known())
        if place is None or not is_refused:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})  # the server answers 403
        elif not self._is_known():
            await _refuse(send, HTTPStatus.SERVICE_UNAVAILABLE, "STATE_UNKNOWN", "Not known yet.", WAIT_SECONDS)
        else:
            detail = f"The usage allowance of {place.feature} is used up."
            await _refuse(send, self._status, "USAGE_LIMIT_REACHED", detail, self._seconds(place))

    def _seconds(self, place: Place) -> int | None:
        """Return how long the usage period still lasts: at least a second, for its reset may be on its way."""
        until = self._refusals.until(place)
        return None if until is None else max(1, int(until.timestamp() - self._now()) + 1)


async def _refuse(send: Send, status: HTTPStatus, code: str, detail: str, seconds: int | None) -> None:
    problem = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, "code": code}
    body = json.dumps(problem).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if seconds is not None:
        headers.append((b"retry-after", str(seconds).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
