"""The demo's receiver, as a customer's engineer would write one: verify, take each webhook once, act on it."""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import msgspec
import standardwebhooks
from aiohttp import web

from consumer import clock
from consumer.demo import webhooks
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


class Receiver:
    """An HTTP server with a URL of its own.

    Attributes:
        arrivals: all requests so far.
        news: each of them, for whoever waits.
        cut_off: the customers whose access was taken away.
        given_back: those who have it again.
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
        self.cut_off: set[str] = set()
        self.given_back: set[str] = set()

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

    def be_busy_for(self, webhook: Webhook) -> None:
        """Answer the next attempt of *webhook* with 503."""
        self._busy_for.add(webhook)

    async def _receive(self, request: web.Request) -> web.Response:
        arrival = self._take(dict(request.headers), await request.read())
        self.arrivals.append(arrival)
        self.news.put_nowait(arrival)
        return web.Response(status=arrival.status)

    def _take(self, headers: dict[str, str], body: bytes) -> Arrival:
        at = clock.monotonic()
        webhook_id = headers.get("webhook-id", "")
        is_again = any(arrival.webhook_id == webhook_id for arrival in self.arrivals)
        webhook, problem = self._read(headers, body)
        if webhook is None:
            return Arrival(None, webhook_id, REFUSED, problem, is_again=is_again, is_taken=False, at=at)
        if webhook in self._busy_for:
            self._busy_for.remove(webhook)
            return Arrival(webhook, webhook_id, BUSY, None, is_again=is_again, is_taken=False, at=at)
        # At least once, says Standard Webhooks: what has been taken is answered well, and not acted upon again.
        is_new = webhook_id not in self._taken
        if is_new:
            self._taken.add(webhook_id)
            self._act(webhook)
        return Arrival(webhook, webhook_id, OK, None, is_again=is_again, is_taken=is_new, at=at)

    def _act(self, webhook: Webhook) -> None:
        if webhook.gives_access is False:
            self.cut_off.add(webhook.customer)
            self.given_back.discard(webhook.customer)
        elif webhook.gives_access and webhook.customer in self.cut_off:
            self.cut_off.remove(webhook.customer)
            self.given_back.add(webhook.customer)

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
