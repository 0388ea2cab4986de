"""Takes webhooks over HTTP: as an aiohttp application, or as any ASGI server's. And keeps up with the state."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from .handler import BackendFailed, Enforcer, ReadState, StateUnknown

BODY_BYTES: Final = 8 * 1_048_576  # an event repeats its record, which Kafka limits to 1 MiB by default
REFRESH_SECONDS: Final = 300.0
AGAIN_SECONDS: Final = 5.0  # after a state that could not be read or enforced
logger: Final = logging.getLogger("enforcement")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


async def keep_up(enforcer: Enforcer, read: ReadState, *, seconds: float = REFRESH_SECONDS) -> None:
    """Converge now and every *seconds*, until cancelled; sooner where it failed."""
    while True:
        pause = seconds
        try:
            await enforcer.converge(read)
        except (StateUnknown, BackendFailed) as exc:
            logger.error("not converged, webhooks alone count: %s", exc)  # noqa: TRY400 - its message says all
            pause = min(AGAIN_SECONDS, seconds)
        except Exception:
            logger.exception("a mistake of ours: the state is not read any more: restart the process")
            raise
        await asyncio.sleep(pause)


@contextlib.asynccontextmanager
async def keeping_up(
    enforcer: Enforcer, read: ReadState | None, *, seconds: float = REFRESH_SECONDS
) -> AsyncIterator[Callable[[], bool]]:
    """Keep up with the state while the body runs; give what says whether that goes on. None: webhooks alone count."""
    work = None if read is None else keep_up(enforcer, read, seconds=seconds)
    task = None if work is None else asyncio.create_task(work, name="enforcement.keep_up")
    try:
        yield lambda: task is None or not task.done()
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)  # it was logged


def application(enforcer: Enforcer, read: ReadState | None = None, *, path: str = "/hooks/tollbell") -> web.Application:
    """Return an aiohttp application that takes webhooks at *path*; `/livez` says 503 where it has to be restarted."""
    is_well: list[Callable[[], bool]] = []

    async def receive(request: web.Request) -> web.Response:
        return web.Response(status=await enforcer.receive(dict(request.headers), await request.read()))

    async def alive(_: web.Request) -> web.Response:
        return web.Response(status=HTTPStatus.OK if is_well[0]() else HTTPStatus.SERVICE_UNAVAILABLE)

    async def keep(_: web.Application) -> AsyncIterator[None]:
        async with keeping_up(enforcer, read) as goes_on:
            is_well.append(goes_on)
            yield

    made = web.Application(client_max_size=BODY_BYTES)
    made.add_routes([web.post(path, receive), web.get("/livez", alive)])
    made.cleanup_ctx.append(keep)
    return made


def asgi(enforcer: Enforcer) -> Application:
    """Return an ASGI application that takes webhooks at whatever path it is mounted.

    The application around it keeps up with the state, in its lifespan: `async with keeping_up(enforcer, read)`.
    """

    async def answer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"webhooks come by http, not {scope['type']}")
        status = HTTPStatus.METHOD_NOT_ALLOWED
        if scope["method"] == "POST":
            body = await _body(receive)
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if body is None else await enforcer.receive(headers, body)
        await send({"type": "http.response.start", "status": int(status), "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return answer


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body; None where it is too large."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the sender is gone before its body was there")
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(parts)
