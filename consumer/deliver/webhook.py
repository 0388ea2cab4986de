"""POST one webhook and say what the wire did. One deadline, bounded memory, no redirects, no cookies, no proxies.

Whatever a receiver does, `Webhook.send` returns an `Outcome`: a hostile one costs itself an attempt and nobody
else anything. The wire is `consumer.deliver.http`; here it gets its terms, and what comes of it becomes an outcome.
"""

import asyncio
import datetime as dt
import html
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from msgspec import Struct

from consumer import addresses, clock, loop
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.deliver import signing
from consumer.deliver.http import request as requests
from consumer.deliver.http.answer import Answer
from consumer.deliver.http.connect import Connector
from consumer.deliver.http.failed import Failed
from consumer.deliver.http.pool import Pool
from consumer.errors import ConfigInvalid
from schemas import urls
from schemas.secret import MASK, Secret

KEPT_BYTES: Final = 4_096  # of each response, for a person
SHORTEST_SECRET: Final = 6  # characters; what is shorter, `1` say, stands in answers by itself
RETRY_AFTER_LIMIT: Final = 200  # characters; the longest date of RFC 9110 has 33
DETAIL_LIMIT: Final = 200
CONNECTIONS: Final = 1_524  # open at once: the default concurrency, and a thousand that wait for their next request


class WebhookRequest(Struct, frozen=True, kw_only=True):
    """One attempt to make.

    Attributes:
        channel_id: whose; what its requests share is made once for each URL and headers that it has.
        url: the channel's.
        webhook_id: the event's id: the same on every retry and resend.
        body: the bytes to sign and send.
        content_type: of them.
        traceparent: the trace that the event's record is part of, valid by W3C Trace Context; None: it is part of none.
        headers: the channel's custom ones.
        secrets: for signing, the current one first.
    """

    channel_id: str
    url: str
    webhook_id: str
    body: bytes
    content_type: str = "application/json"
    traceparent: str | None = None
    headers: Mapping[str, Secret]
    secrets: Sequence[Secret]


class Webhook:
    """Sends webhooks over one pool of connections. Use as an async context manager; safe for many tasks at once."""

    def __init__(
        self,
        timeout: dt.timedelta,
        *,
        allowed: Sequence[addresses.Network] = (),
        ca_file: Path | None = None,
        connections: int = CONNECTIONS,
        resolver: Callable[[], AbstractResolver] = aiohttp.AsyncResolver,
    ) -> None:
        """Prepare; nothing is opened before the context is entered.

        Args:
            timeout: for a whole attempt: resolve, connect, send, and the bounded answer.
            allowed: special ranges that may be delivered to all the same.
            ca_file: PEM certificates of the only authorities to trust; None: the system's.
            connections: open at once, those that wait for their next request among them; more requests than that at
                once fail as a shortage of ours.
            resolver: makes the resolver. aiodns: a resolver in threads that hangs would stop every channel.

        Raises:
            ConfigInvalid: *ca_file* can't be read, or holds no certificate.
        """
        self._timeout_seconds = timeout.total_seconds()
        self._make_socket = addresses.guarded_socket_factory(allowed)
        self._tls = _tls(ca_file)
        self._connections = connections
        self._make_resolver = resolver
        self._resolver: AbstractResolver | None = None
        self._targets = requests.Targets()
        self._pool: Pool | None = None

    async def __aenter__(self) -> Self:
        """Open the pool."""
        self._resolver = self._make_resolver()
        self._pool = Pool(Connector(self._resolver, self._make_socket, self._tls), self._connections)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection; call it when nothing is in flight."""
        if self._pool is not None:
            await self._pool.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def send(self, request: WebhookRequest) -> Outcome:
        """Make one attempt and return what happened. Raises nothing but CancelledError.

        It takes the timeout at most. `Outcome.detail` and `body` are for the channel's owner: no secret of ours,
        no path or query; what the receiver says is the receiver's.
        """
        if self._pool is None:
            raise RuntimeError("not open: use `async with`")
        started_at, start = clock.now(), clock.monotonic()
        to = urls.redacted(request.url)
        exchange = self._exchange(self._pool, request, int(started_at.timestamp()))
        try:
            # A mistake of ours must not hide among what receivers do.
            met = await loop.survived(exchange, "webhook.unforeseen", foreseen=(Failed,), to=to)
        except Failed as failed:  # its traceback holds the body: it ends here
            met = failed.with_traceback(None)
        duration_ms = round((clock.monotonic() - start) * 1000)
        if isinstance(met, Answer):
            return Outcome(
                kind=OutcomeClass.STATUS,
                started_at=started_at,
                duration_ms=duration_ms,
                status=met.status,
                body=_kept(met, request),
                retry_after=_retry_after(met),
            )
        kind, detail = (met.kind, met.detail) if isinstance(met, Failed) else (OutcomeClass.PROTOCOL, _unforeseen(met))
        return Outcome(kind=kind, started_at=started_at, duration_ms=duration_ms, detail=detail[:DETAIL_LIMIT])

    async def _exchange(self, pool: Pool, request: WebhookRequest, timestamp: int) -> Answer:
        until = asyncio.get_running_loop().time() + self._timeout_seconds
        try:
            target = self._targets.of(request.channel_id, request.url, request.headers, request.content_type)
            signature = signing.sign(
                request.secrets, webhook_id=request.webhook_id, timestamp=timestamp, body=request.body
            )
            head = requests.head(
                target,
                webhook_id=request.webhook_id,
                timestamp=timestamp,
                signature=signature,
                length=len(request.body),
                traceparent=request.traceparent,
            )
        except ValueError as problem:  # the row itself can't be sent: a secret, a header, the URL
            raise Failed(OutcomeClass.REQUEST, str(problem)) from None
        return await pool.exchange(target.origin, head, request.body, until)


def _kept(answer: Answer, request: WebhookRequest) -> str:
    """Return the start of *answer* without what is secret of the request: a receiver may repeat that, or escape it too.

    Masked before it is cut: else what lies across the end would be half of a secret.
    """
    text = masked = answer.text(len(answer.body))
    if text:
        for secret in (*request.headers.values(), *request.secrets):
            whole = secret.reveal()
            for part in (whole, whole.rpartition(" ")[2]):  # with a scheme before it, such as Bearer
                if len(part) >= SHORTEST_SECRET:
                    for spelt in (part, json.dumps(part)[1:-1], html.escape(part)):
                        masked = masked.replace(spelt, MASK)
    return answer.text(KEPT_BYTES) if masked == text else masked[:KEPT_BYTES]


def _retry_after(answer: Answer) -> str | None:
    if answer.retry_after is None:
        return None
    return answer.retry_after.decode(errors="replace").replace("\0", "\ufffd")[:RETRY_AFTER_LIMIT]


def _unforeseen(problem: Exception) -> str:
    return f"unforeseen: {type(problem).__name__}"


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as problem:
        reason = "holds no certificate" if isinstance(problem, ssl.SSLError) else f"{problem.strerror}".lower()
        raise ConfigInvalid(
            f"TOLLBELL_DELIVERY_CA_FILE={ca_file}: {reason}; give a readable file of PEM certificates"
        ) from problem
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
