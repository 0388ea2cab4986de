"""POST one webhook and say what the wire did. One deadline, bounded memory, no redirects, no cookies, no proxies.

Whatever a receiver does, `Webhook.send` returns an `Outcome`: a hostile one costs itself an attempt and nobody
else anything.
"""

import asyncio
import datetime as dt
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Final, Self

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver
from msgspec import Struct

from consumer import addresses, clock, loop
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.deliver import signing
from consumer.deliver.bounded import AnswerTooLong, BoundedSocket
from consumer.errors import ConfigInvalid
from schemas import headers, urls
from schemas.secret import Secret

USER_AGENT: Final = f"Tollbell/{metadata.version('tollbell')}"
KEEPALIVE_SECONDS: Final = 75  # a little more than the 60 s after which common balancers close: they do it, not we
READ_LIMIT_BYTES: Final = 16_384  # more, and it is cheaper to connect again than to read on
KEPT_BYTES: Final = 4_096  # of each response, for a person
RETRY_AFTER_LIMIT: Final = 200  # characters; the longest date of RFC 9110 has 33
DETAIL_LIMIT: Final = 200
FORESEEN: Final = (aiohttp.ClientError, OSError, ValueError)  # what an exchange may raise
_COPIED_BYTES: Final = 2**20  # aiohttp warns about, and blocks the loop for, larger bodies given as bytes


class WebhookRequest(Struct, frozen=True, kw_only=True):
    """One attempt to make.

    Attributes:
        url: the channel's.
        webhook_id: the event's id: the same on every retry and resend.
        body: the bytes to sign and send.
        headers: the channel's custom ones.
        secrets: for signing, the current one first.
    """

    url: str
    webhook_id: str
    body: bytes
    headers: Mapping[str, Secret]
    secrets: Sequence[Secret]


class Webhook:
    """Sends webhooks over one pool of connections. Use as an async context manager; safe for many tasks at once.

    How many are in flight is the caller's business: the pool has no limit, so nobody waits for a slot in it.
    """

    def __init__(
        self,
        timeout: dt.timedelta,
        *,
        allowed: Sequence[addresses.Network] = (),
        ca_file: Path | None = None,
        resolver: Callable[[], AbstractResolver] = aiohttp.AsyncResolver,
    ) -> None:
        """Prepare; nothing is opened before the context is entered.

        Args:
            timeout: for a whole attempt: resolve, connect, send, and the bounded answer.
            allowed: special ranges that may be delivered to all the same.
            ca_file: PEM certificates of the only authorities to trust; None: the system's.
            resolver: makes the resolver. aiodns: a resolver in threads that hangs would stop every channel.

        Raises:
            ConfigInvalid: *ca_file* can't be read, or holds no certificate.
        """
        self._timeout_seconds = timeout.total_seconds()
        self._socket_factory = addresses.guarded_socket_factory(allowed, kind=BoundedSocket)
        self._tls = _tls(ca_file)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the pool."""
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=KEEPALIVE_SECONDS,
            resolver=self._resolver(),
            socket_factory=self._socket_factory,
            ssl=self._tls,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,  # 100 kB of gzip may be 100 MB
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=READ_LIMIT_BYTES,
            timeout=aiohttp.ClientTimeout(),  # none of its own: `send` holds the one deadline
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection; call it when nothing is in flight."""
        if self._session is not None:
            await self._session.close()

    async def send(self, request: WebhookRequest) -> Outcome:
        """Make one attempt and return what happened. Raises nothing but CancelledError.

        It takes the timeout at most. `Outcome.detail` and `body` are for the channel's owner: no secret of ours,
        no path or query; what the receiver says is the receiver's.
        """
        if self._session is None:
            raise RuntimeError("not open: use `async with`")
        started_at, start = clock.now(), clock.monotonic()
        until = asyncio.get_running_loop().time() + self._timeout_seconds
        exchange = _exchange(self._session, request, int(started_at.timestamp()), until)
        to = urls.redacted(request.url)
        try:
            # What aiohttp makes of hostile bytes is an open set; and neither may a mistake of ours hide among them.
            met = await loop.survived(exchange, "webhook.unforeseen", foreseen=FORESEEN, to=to)
        except FORESEEN as problem:
            answer = _failure(problem)
        else:
            answer = _unforeseen(met) if isinstance(met, Exception) else met
        return Outcome(
            kind=answer.kind,
            started_at=started_at,
            duration_ms=round((clock.monotonic() - start) * 1000),
            status=answer.status,
            body=answer.body,
            detail=answer.detail[:DETAIL_LIMIT],
            retry_after=answer.retry_after,
        )


class _Answer(Struct, frozen=True, kw_only=True):
    kind: OutcomeClass
    status: int | None = None
    body: str = ""
    detail: str = ""
    retry_after: str | None = None


class _Unsendable(ValueError):
    """The row itself can't be sent; the text says why without its secrets."""


async def _exchange(session: aiohttp.ClientSession, request: WebhookRequest, timestamp: int, until: float) -> _Answer:
    sent = _headers(request, timestamp)
    if problem := urls.problem(request.url):
        raise _Unsendable(f"the URL {problem}")
    async with asyncio.timeout_at(until):
        response = await session.post(
            yarl.URL(request.url, encoded=True),  # as the owner wrote it: some are signed to the letter
            data=request.body if len(request.body) <= _COPIED_BYTES else BytesIO(request.body),
            headers=sent,
            allow_redirects=False,  # a 307 would carry body, signature and custom headers to another host
        )
    try:
        return await _answer(response, until)
    finally:
        response.close()  # back to the pool already where it was read to its end; else the connection ends here


def _headers(request: WebhookRequest, timestamp: int) -> dict[str, str]:
    if problems := headers.problems(request.headers):
        raise _Unsendable(problems[0])
    try:
        signature = signing.sign(request.secrets, webhook_id=request.webhook_id, timestamp=timestamp, body=request.body)
    except ValueError as problem:
        raise _Unsendable(str(problem)) from None
    return {name: value.reveal() for name, value in request.headers.items()} | {
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": request.webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


async def _answer(response: aiohttp.ClientResponse, until: float) -> _Answer:
    if not 100 <= response.status <= 599:  # noqa: PLR2004 - RFC 9110 section 15
        return _Answer(kind=OutcomeClass.PROTOCOL, detail=f"answered with the status {response.status}")
    retry_after = response.headers.get("retry-after")
    return _Answer(
        kind=OutcomeClass.STATUS,
        status=response.status,
        body=_text(await _body(response, until)),
        retry_after=None if retry_after is None else _text(retry_after.encode(errors="replace"))[:RETRY_AFTER_LIMIT],
    )


async def _body(response: aiohttp.ClientResponse, until: float) -> bytes:
    """Return the start of the body; read on, boundedly, so that the connection can be used again.

    A body that stalls, breaks off or isn't HTTP doesn't change the outcome: the status was the answer. A 2xx
    means that the receiver has it, and a retry would give it twice; any other one is no clearer for its body.
    """
    read = bytearray()
    try:
        if response.content.is_eof():  # it came with the head, as short ones do: nothing is waited for
            return response.content.read_nowait(KEPT_BYTES)
        async with asyncio.timeout_at(until):
            while len(read) < READ_LIMIT_BYTES:
                chunk = await response.content.read(READ_LIMIT_BYTES - len(read))
                if not chunk:
                    break
                read += chunk
    except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, ValueError):
        pass
    return bytes(read[:KEPT_BYTES])


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace").replace("\0", "\ufffd")  # Postgres' text takes neither NUL nor surrogates


def _failure(problem: Exception) -> _Answer:
    """Map what was raised before there was an answer. The texts are ours or the system's: messages hold URLs."""
    match problem:
        case _Unsendable():
            answer = _Answer(kind=OutcomeClass.REQUEST, detail=str(problem))
        case aiohttp.ClientConnectorDNSError(os_error=cause):
            reason = (cause.strerror or "unknown reason").lower()
            answer = _Answer(kind=OutcomeClass.DNS, detail=f"the host name does not resolve: {reason}")
        case aiohttp.ClientConnectorError(os_error=cause):
            answer = _unconnected(cause)
        case aiohttp.ClientOSError(__cause__=ssl.SSLError() as cause):  # after the handshake: our certificate is missed
            answer = _untrusted(cause)
        case aiohttp.ClientOSError(__cause__=AnswerTooLong()):
            answer = _Answer(kind=OutcomeClass.PROTOCOL, detail="not HTTP: too much came before an answer")
        case TimeoutError():
            answer = _Answer(kind=OutcomeClass.TIMEOUT, detail="no answer within the timeout")
        case aiohttp.ClientConnectionError() | OSError():
            answer = _Answer(kind=OutcomeClass.RESET, detail="the connection ended before an answer")
        case ValueError():
            answer = _Answer(kind=OutcomeClass.REQUEST, detail="no request can be made of this URL and these headers")
        case aiohttp.ClientResponseError(message=message):
            # Its `status` is 400 whatever came; what follows the colon is the receiver's bytes.
            answer = _Answer(kind=OutcomeClass.PROTOCOL, detail=f"not HTTP: {message.partition(':')[0].lower()}")
        case _:
            answer = _unforeseen(problem)
    return answer


def _unforeseen(problem: Exception) -> _Answer:
    return _Answer(kind=OutcomeClass.PROTOCOL, detail=f"unforeseen: {type(problem).__name__}")


def _unconnected(cause: OSError) -> _Answer:
    match cause:
        case addresses.AddressRefused():
            answer = _Answer(kind=OutcomeClass.ADDRESS, detail=str(cause))
        case ssl.SSLError():
            answer = _untrusted(cause)
        case TimeoutError():
            answer = _Answer(kind=OutcomeClass.TIMEOUT, detail="no connection within the system's own timeout")
        case ConnectionResetError() | ConnectionAbortedError():
            answer = _Answer(kind=OutcomeClass.RESET, detail="the connection ended before it was set up")
        case OSError(errno=int() as code):
            answer = _Answer(kind=OutcomeClass.CONNECT, detail=f"no connection: {os.strerror(code).lower()}")
        case _:  # several addresses, each with a reason of its own
            answer = _Answer(kind=OutcomeClass.CONNECT, detail="no connection to any of the host's addresses")
    return answer


def _untrusted(cause: ssl.SSLError) -> _Answer:
    known = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else cause.reason
    reason = (known or "unknown").replace("_", " ").lower().rstrip(".")
    return _Answer(kind=OutcomeClass.TLS, detail=f"no trust: {reason}")


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
