"""POST one webhook and say what the wire did. One deadline, bounded memory, no redirects, no cookies, no proxies.

Whatever a receiver does, `Webhook.send` returns an `Outcome`: a hostile one costs itself an attempt and the
others nothing. The wire is `consumer.deliver.http`; here it gets its terms, and what comes of it becomes an outcome.
"""

import asyncio
import datetime as dt
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from msgspec import Struct

from consumer import addresses, clock, loop
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.deliver import masking, signing
from consumer.deliver.http import request as requests
from consumer.deliver.http.answer import Answer
from consumer.deliver.http.connect import Connector
from consumer.deliver.http.failed import Failed
from consumer.deliver.http.pool import Pool
from consumer.deliver.http.request import Unsendable
from consumer.deliver.signing import Unsignable
from consumer.errors import ConfigInvalid
from schemas import urls
from schemas.channels import SHORTEST_SECRET
from schemas.secret import Secret

KEPT_BYTES: Final = 4_096  # of each response, for a person
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
        format_headers: what the format says beside them, of this event: the attributes of a CloudEvent, say.
        traceparent: the trace that the event's record is part of, valid by W3C Trace Context; None: it is part of none.
        headers: the channel's custom ones.
        secrets: for signing, the current one first.
        hidden: other secrets that it has, in its body or URL: masked in what is kept of the answer, as all are.
    """

    channel_id: str
    url: str
    webhook_id: str
    body: bytes
    content_type: str = "application/json"
    format_headers: Sequence[tuple[str, str]] = ()
    traceparent: str | None = None
    headers: Mapping[str, Secret]
    secrets: Sequence[Secret]
    hidden: Sequence[Secret] = ()


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
        no path or query, not even where the receiver repeats them.
        """
        outcome, _ = await self._met(request, self._exchange)
        return outcome

    async def ask(self, request: WebhookRequest, headers: Sequence[tuple[str, str]]) -> tuple[Outcome, Answer | None]:
        """Ask with OPTIONS, and *headers*, where *request* would go; return what happened, and the answer if one came.

        As `send`, but that nothing of the request's body goes out, and no signature: the channel's own headers do, by
        which it passes what guards the receiver.
        """

        async def asked(pool: Pool, request: WebhookRequest, _: int) -> Answer:
            until = asyncio.get_running_loop().time() + self._timeout_seconds
            try:
                question = requests.options(request.url, request.headers, headers)
            except Unsendable as problem:
                raise Failed(OutcomeClass.REQUEST, str(problem)) from None
            return await pool.exchange(question.origin, question.head, b"", until)

        return await self._met(request, asked)

    async def _met(
        self, request: WebhookRequest, make: Callable[[Pool, WebhookRequest, int], Coroutine[Any, Any, Answer]]
    ) -> tuple[Outcome, Answer | None]:
        if self._pool is None:
            raise RuntimeError("not open: use `async with`")
        started_at, start = clock.now(), clock.monotonic()
        to = urls.redacted(request.url)
        exchange = make(self._pool, request, int(started_at.timestamp()))
        try:
            # A mistake of ours must not hide among what receivers do.
            met = await loop.survived(exchange, "webhook.unforeseen", foreseen=(Failed,), to=to)
        except Failed as why:  # its traceback holds the body: it ends here
            met = why.with_traceback(None)
        duration_ms = round((clock.monotonic() - start) * 1000)
        if isinstance(met, Answer):
            outcome = Outcome(
                kind=OutcomeClass.STATUS,
                started_at=started_at,
                duration_ms=duration_ms,
                status=met.status,
                body=_kept(met, request),
                retry_after=_retry_after(met),
            )
            return outcome, met
        failed = met if isinstance(met, Failed) else Failed(OutcomeClass.PROTOCOL, _unforeseen(met))
        outcome = Outcome(
            kind=failed.kind,
            started_at=started_at,
            duration_ms=duration_ms,
            detail=failed.detail[:DETAIL_LIMIT],
            is_of_destination=failed.is_of_destination,
        )
        return outcome, None

    async def _exchange(self, pool: Pool, request: WebhookRequest, timestamp: int) -> Answer:
        until = asyncio.get_running_loop().time() + self._timeout_seconds
        try:
            target = self._targets.of(
                request.channel_id, request.url, request.headers, request.content_type, request.secrets
            )
            signature = signing.sign(target.keys, webhook_id=request.webhook_id, timestamp=timestamp, body=request.body)
            head = requests.head(
                target,
                webhook_id=request.webhook_id,
                timestamp=timestamp,
                signature=signature,
                length=len(request.body),
                traceparent=request.traceparent,
                more=request.format_headers,
            )
        except (Unsendable, Unsignable) as problem:  # the row itself can't be sent: a secret, a header, the URL
            raise Failed(OutcomeClass.REQUEST, str(problem)) from None
        return await pool.exchange(target.origin, head, request.body, until)


def _kept(answer: Answer, request: WebhookRequest) -> str:
    """Return the start of *answer* without what is secret of the request."""
    text = answer.text(len(answer.body))
    if len(text) < SHORTEST_SECRET:
        return text
    secrets = (*request.headers.values(), *request.secrets, *request.hidden)
    masked = masking.masked(text, KEPT_BYTES, request.url, secrets)
    return answer.text(KEPT_BYTES) if masked is None else masked


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
