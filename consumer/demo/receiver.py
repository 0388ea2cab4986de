"""The demo's receiver, as a customer's engineer would write one: verify, take each webhook once, act on it.

Acting is done by the handler that the repository has for customers, deploy/enforcement/.
"""

import asyncio
import datetime as dt
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import msgspec
import standardwebhooks
from aiohttp import web

from consumer import clock
from consumer.demo import webhooks
from consumer.demo.enforcing import Enforcer, Place, Refusals
from consumer.demo.steps import BUSY, OK
from consumer.demo.webhooks import Webhook
from schemas.secret import Secret

HOST: Final = "127.0.0.1"
PATH: Final = "/hooks/tollbell"
REFUSED: Final = 401


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request, and what was made of it.

    Attributes:
        webhook: which one it claims to be; None where it can't be trusted or read, and *problem* says why.
        is_again: its webhook-id has been here before.
        is_taken: it was acted upon: the first of its webhook-id that was not turned away.
        at: monotonic seconds.
    """

    webhook: Webhook | None
    webhook_id: str
    status: int
    problem: str | None
    is_again: bool
    is_taken: bool
    at: float


class _Access(Refusals):
    """Who is cut off, and who was."""

    def __init__(self) -> None:
        super().__init__()
        self.cut_off_now: set[str] = set()
        self.given_back: set[str] = set()

    async def cut_off(self, place: Place, until: dt.datetime | None) -> None:
        """Take access away."""
        await super().cut_off(place, until)
        self.cut_off_now.add(place.customer)
        self.given_back.discard(place.customer)

    async def give_back(self, place: Place) -> None:
        """Give access, where it was taken away."""
        await super().give_back(place)
        if place.customer in self.cut_off_now:
            self.cut_off_now.remove(place.customer)
            self.given_back.add(place.customer)


class Receiver:
    """An HTTP server with a URL of its own.

    Attributes:
        arrivals: all requests so far.
        news: each of them, to wait for.
    """

    def __init__(self, signing_secret: Secret, token: Secret, period_number: Callable[[str], int]) -> None:
        self._verifier = standardwebhooks.Webhook(signing_secret.reveal())
        self._token = token
        self._period_number = period_number
        self._busy_for: set[Webhook] = set()
        self._taken: set[str] = set()
        self._runner: web.AppRunner | None = None
        self.arrivals: list[Arrival] = []
        self.news: asyncio.Queue[Arrival] = asyncio.Queue()
        self._access = _Access()
        self._enforcer = Enforcer(self._access, [signing_secret.reveal()])

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes([web.post(PATH, self._receive)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where webhooks are to be sent."""
        port = self._runner.addresses[0][1] if self._runner else 0
        return f"http://{HOST}:{port}{PATH}"

    @property
    def cut_off(self) -> set[str]:
        """The customers whose access was taken away."""
        return self._access.cut_off_now

    @property
    def given_back(self) -> set[str]:
        """Those who have it again."""
        return self._access.given_back

    def be_busy_for(self, webhook: Webhook) -> None:
        """Answer the next attempt of *webhook* with 503."""
        self._busy_for.add(webhook)

    async def _receive(self, request: web.Request) -> web.Response:
        arrival = await self._take(dict(request.headers), await request.read())
        self.arrivals.append(arrival)
        self.news.put_nowait(arrival)
        return web.Response(status=arrival.status)

    async def _take(self, headers: dict[str, str], body: bytes) -> Arrival:
        at = clock.monotonic()
        webhook_id = headers.get("webhook-id", "")
        is_again = any(arrival.webhook_id == webhook_id for arrival in self.arrivals)
        webhook, problem = self._read(headers, body)
        if webhook is None:
            return Arrival(None, webhook_id, REFUSED, problem, is_again=is_again, is_taken=False, at=at)
        if webhook in self._busy_for:
            self._busy_for.remove(webhook)
            return Arrival(webhook, webhook_id, BUSY, None, is_again=is_again, is_taken=False, at=at)
        status = await self._enforcer.receive(headers, body)
        if status is not HTTPStatus.NO_CONTENT:
            problem = "the handler refuses it"
            return Arrival(None, webhook_id, status, problem, is_again=is_again, is_taken=False, at=at)
        # At least once, says Standard Webhooks: what has been taken is answered well, and not acted upon again.
        is_new = webhook_id not in self._taken
        self._taken.add(webhook_id)
        return Arrival(webhook, webhook_id, OK, None, is_again=is_again, is_taken=is_new, at=at)

    def _read(self, headers: dict[str, str], body: bytes) -> tuple[Webhook | None, str | None]:
        """Return the webhook of a request that may be trusted; else why it may not, or can't be read."""
        given = headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token.reveal()}".encode()):
            return None, "the shared secret is missing or wrong"
        try:
            self._verifier.verify(body, headers)
            event = webhooks.read(body, self._period_number)
        except standardwebhooks.WebhookVerificationError as exc:
            return None, f"the signature does not verify: {exc}"
        except msgspec.MsgspecError as exc:
            return None, f"the body is not as documented: {exc}"
        if event.id != headers.get("webhook-id"):
            return None, "the body's id is not the webhook-id"
        return event.webhook, None
