"""The handler over HTTP: webhooks through aiohttp and any ASGI server, and a middleware that refuses customers."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from consumer import clock
from deploy.enforcement import receiver
from deploy.enforcement.access import Place, Policy, Reported
from deploy.enforcement.handler import Enforcer, StateUnknown
from deploy.enforcement.middleware import AccessMiddleware, Refusals
from tests.support.enforcement import ACME, SECRET, Failing, crossed, signed

Scope = MutableMapping[str, Any]


async def nothing_fired(_: Policy) -> Iterable[Reported]:
    return []


@pytest.fixture
async def backend() -> Failing:
    return Failing()


@pytest.fixture
async def server(backend: Failing) -> AsyncIterator[TestServer]:
    async with TestServer(receiver.application(Enforcer(backend, [SECRET]), nothing_fired)) as running:
        yield running


async def post(server: TestServer, body: bytes, headers: dict[str, str]) -> int:
    url = server.make_url("/hooks/tollbell")
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_a_webhook_is_taken_over_http_and_an_unsigned_one_is_not(server: TestServer, backend: Failing) -> None:
    sent = signed(crossed(100), "e-1")

    assert await post(server, sent.body, {}) == 401
    assert ACME not in backend
    assert await post(server, sent.body, sent.headers) == 204
    assert ACME in backend


class Script:
    """A state that is unknown at first."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_read = asyncio.Event()

    async def __call__(self, _: Policy) -> Iterable[Reported]:
        self.reads += 1
        if self.reads == 1:
            raise StateUnknown("Tollbell answered 503")
        self.is_read.set()
        return []


async def test_a_state_unknown_at_the_start_is_requested_again() -> None:
    enforcer, script = Enforcer(Failing(), [SECRET]), Script()
    task = asyncio.create_task(receiver.keep_up(enforcer, script, seconds=0.01))

    async with asyncio.timeout(10):
        await script.is_read.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert script.reads >= 2


async def test_livez_is_ok_until_a_mistake_of_ours_ends_the_reading(caplog: pytest.LogCaptureFixture) -> None:
    is_read, is_wrong = asyncio.Event(), asyncio.Event()

    async def read(_: Policy) -> Iterable[Reported]:
        is_read.set()
        await is_wrong.wait()
        raise RuntimeError("a mistake")

    async def livez(server: TestServer) -> int:
        async with aiohttp.ClientSession() as session, session.get(server.make_url("/livez")) as answer:
            return answer.status

    async with TestServer(receiver.application(Enforcer(Failing(), [SECRET]), read)) as server:
        await is_read.wait()
        assert await livez(server) == 200
        is_wrong.set()
        assert await livez(server) == 503

    assert "restart the process" in caplog.text


async def call(application: Any, scope: Scope, *messages: dict[str, Any]) -> list[MutableMapping[str, Any]]:
    """Call an ASGI application as its server does; return what it sent."""
    incoming, sent = iter(messages), []

    async def receive() -> MutableMapping[str, Any]:
        return next(incoming)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return sent


def request(method: str = "GET", headers: dict[str, str] | None = None, kind: str = "http") -> Scope:
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return {"type": kind, "method": method, "path": "/", "headers": raw}


async def test_a_webhook_is_taken_through_asgi_in_parts(backend: Failing) -> None:
    application = receiver.asgi(Enforcer(backend, [SECRET]))
    sent = signed(crossed(100), "e-1")
    parts = [sent.body[:10], sent.body[10:]]
    messages = [{"type": "http.request", "body": part, "more_body": part is parts[0]} for part in parts]

    answers = [
        await call(application, request("GET")),
        await call(application, request("POST", sent.headers), *messages),
        await call(application, request("POST"), {"type": "http.request", "body": b" " * (receiver.BODY_BYTES + 1)}),
    ]

    assert [answer[0]["status"] for answer in answers] == [405, 204, 413]
    assert ACME in backend


async def test_a_sender_that_goes_before_its_body_changes_nothing(backend: Failing) -> None:
    with pytest.raises(ConnectionError):
        await call(receiver.asgi(Enforcer(backend, [SECRET])), request("POST"), {"type": "http.disconnect"})

    assert backend.calls == []


async def shop(scope: Scope, receive: Any, send: Any) -> None:  # noqa: ARG001 - an ASGI application
    await send({"type": "http.response.start", "status": 200, "headers": []})


def guarded(refusals: Refusals, **more: Any) -> AccessMiddleware:
    def place(scope: Scope) -> Place | None:
        customer = dict(scope["headers"]).get(b"x-customer")
        return Place(customer.decode(), "llm_tokens") if customer else None

    return AccessMiddleware(shop, refusals=refusals, place=place, **more)


async def refused(middleware: AccessMiddleware) -> tuple[int, dict[bytes, bytes], dict[str, Any]]:
    start, body = await call(middleware, request(headers={"x-customer": "acme"}))
    return start["status"], dict(start["headers"]), json.loads(body["body"])


@pytest.mark.parametrize("status", [HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS])
async def test_who_is_cut_off_is_refused_until_the_periods_end(status: HTTPStatus) -> None:
    refusals, now = Refusals(), clock.now()
    await refusals.cut_off(ACME, now)
    at = int(now.timestamp()) - 3600

    answer, headers, problem = await refused(guarded(refusals, status=status, now=lambda: at))

    assert (answer, headers[b"content-type"]) == (status, b"application/problem+json")
    assert int(headers[b"retry-after"]) in {3600, 3601}
    assert (problem["status"], problem["code"]) == (status, "USAGE_LIMIT_REACHED")
    assert "llm_tokens" in problem["detail"]


async def test_retry_after_needs_a_periods_end_and_is_at_least_1_s() -> None:
    """The end may be over."""
    refusals = Refusals()

    await refusals.cut_off(ACME, None)
    assert b"retry-after" not in (await refused(guarded(refusals)))[1]

    await refusals.cut_off(ACME, clock.now())
    assert (await refused(guarded(refusals, now=lambda: clock.now().timestamp() + 60)))[1][b"retry-after"] == b"1"


async def test_others_and_what_is_not_guarded_are_let_through() -> None:
    refusals = Refusals()
    await refusals.cut_off(ACME, None)
    for headers in ({"x-customer": "globex"}, {}):
        assert (await call(guarded(refusals), request(headers=headers)))[0]["status"] == 200
    await refusals.give_back(ACME)
    await refusals.give_back(ACME)
    assert (await call(guarded(refusals), request(headers={"x-customer": "acme"})))[0]["status"] == 200
    assert (await call(guarded(refusals), {"type": "lifespan"}))[0]["status"] == 200


async def test_a_websocket_of_who_is_cut_off_is_closed() -> None:
    refusals = Refusals()
    await refusals.cut_off(ACME, None)

    sent = await call(guarded(refusals), request(headers={"x-customer": "acme"}, kind="websocket"))

    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_an_unknown_state_can_refuse_every_customer() -> None:
    enforcer = Enforcer(Refusals(), [SECRET])
    middleware = guarded(Refusals(), is_known=lambda: enforcer.is_known)

    status, headers, problem = await refused(middleware)
    assert (status, headers[b"retry-after"], problem["code"]) == (503, b"5", "STATE_UNKNOWN")

    await enforcer.converge(nothing_fired)
    assert (await call(middleware, request(headers={"x-customer": "acme"})))[0]["status"] == 200
